//! Revisions, and the keys of the `key` bucket (facts: disk-formats, 6.1).
//!
//! ```text
//! put:        main u64 BE | '_' | sub u64 BE          17 bytes
//! tombstone:  the same | 't'                          18 bytes
//! ```

use crate::error::{Error, Result};

/// A moment in the history of the keyspace. The empty store is at main revision 1; each entry that changes something
/// adds one; `sub` counts the changes within the entry from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    pub main: i64,
    pub sub: i64,
}

/// Length of the bytes of a revision.
pub const REVISION_LEN: usize = 8 + 1 + 8;
const _: () = assert!(REVISION_LEN == 17);

const SEPARATOR: u8 = b'_';
const TOMBSTONE: u8 = b't';

impl Revision {
    /// The first change of a main revision.
    pub const fn first_of(main: i64) -> Revision {
        Revision { main, sub: 0 }
    }

    /// The 17 bytes of the revision.
    pub fn to_bytes(self) -> [u8; REVISION_LEN] {
        let mut out = [0; REVISION_LEN];
        out[..8].copy_from_slice(&self.main.to_be_bytes());
        out[8] = SEPARATOR;
        out[9..].copy_from_slice(&self.sub.to_be_bytes());
        out
    }

    /// Reads the 17 bytes of a revision; `None` where they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Revision> {
        let bytes: &[u8; REVISION_LEN] = bytes.try_into().ok()?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, SEPARATOR, s0, s1, s2, s3, s4, s5, s6, s7] = *bytes else { return None };
        let main = i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
        let sub = i64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        (main >= 0 && sub >= 0).then_some(Revision { main, sub })
    }
}

/// A key of the `key` bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    pub revision: Revision,
    pub tombstone: bool,
}

/// The bytes of a [`RecordKey`], without a heap.
#[derive(Clone, Copy)]
pub struct RecordKeyBytes {
    bytes: [u8; REVISION_LEN + 1],
    len: usize,
}

impl RecordKeyBytes {
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl RecordKey {
    pub fn to_bytes(self) -> RecordKeyBytes {
        let mut bytes = [TOMBSTONE; REVISION_LEN + 1];
        bytes[..REVISION_LEN].copy_from_slice(&self.revision.to_bytes());
        RecordKeyBytes { bytes, len: REVISION_LEN + usize::from(self.tombstone) }
    }

    /// Reads a key found in the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<RecordKey> {
        let (revision, tombstone) = match bytes {
            [head @ .., TOMBSTONE] if head.len() == REVISION_LEN => (Revision::from_bytes(head), true),
            _ => (Revision::from_bytes(bytes), false),
        };
        match revision {
            Some(revision) => Ok(RecordKey { revision, tombstone }),
            None => Err(Error::Corrupt { bucket: "key", what: format!("no revision: {bytes:02x?}") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_sort_as_bytes() {
        let mut keys = Vec::new();
        for main in [0, 1, 2, 255, 256, 1 << 40, i64::MAX] {
            for sub in [0, 1, 300] {
                for tombstone in [false, true] {
                    keys.push(RecordKey { revision: Revision { main, sub }, tombstone });
                }
            }
        }
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].to_bytes().as_slice() < pair[1].to_bytes().as_slice());
        }
        for key in keys {
            assert_eq!(RecordKey::from_bytes(key.to_bytes().as_slice()).unwrap(), key);
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [&b""[..], b"x", &[0; 17], &[0xff; 17], &[b't'; 18], &[b'_'; 19]] {
            assert!(RecordKey::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
