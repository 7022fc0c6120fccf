//! Records of the `key` bucket: encoded `mvccpb.KeyValue` (facts: disk-formats, 6.1).

use bytes::Bytes;
use prost::Message;
use proto::mvccpb::KeyValue;

use crate::error::{Error, Result};

/// Tag and wire type of field 1, the key.
const KEY_TAG: u8 = 0x0a;

/// Encodes a pair into one block of its own; key and value of the result point into it, so that nothing keeps the
/// request's buffer alive.
pub fn encode(
    key: &[u8],
    value: &[u8],
    lease: i64,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
) -> (Bytes, KeyValue) {
    let kv = KeyValue { key: Bytes::new(), create_revision, mod_revision, version, value: Bytes::new(), lease };
    // The fields are written here one by one, because the bytes fields would have to be copied first to stand in `kv`.
    use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, int64, key_len};
    let bytes_len =
        |tag: u32, len: usize| if len == 0 { 0 } else { key_len(tag) + encoded_len_varint(len as u64) + len };
    let length = kv.encoded_len() + bytes_len(1, key.len()) + bytes_len(5, value.len());
    let mut out = Vec::with_capacity(length);
    let put_bytes = |tag: u32, bytes: &[u8], out: &mut Vec<u8>| {
        if !bytes.is_empty() {
            encode_key(tag, WireType::LengthDelimited, out);
            encode_varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        out.len() - bytes.len()..out.len()
    };
    let key_at = put_bytes(1, key, &mut out);
    for (tag, number) in [(2, create_revision), (3, mod_revision), (4, version)] {
        if number != 0 {
            int64::encode(tag, &number, &mut out);
        }
    }
    let value_at = put_bytes(5, value, &mut out);
    if lease != 0 {
        int64::encode(6, &lease, &mut out);
    }
    debug_assert_eq!(out.len(), length);
    let record = Bytes::from(out);
    let kv = KeyValue { key: record.slice(key_at), value: record.slice(value_at), ..kv };
    (record, kv)
}

/// Encodes a tombstone: only the key.
pub fn encode_tombstone(key: &[u8]) -> (Bytes, KeyValue) {
    encode(key, b"", 0, 0, 0, 0)
}

/// Decodes; key and value point into the record.
pub fn decode(record: Bytes) -> Result<KeyValue> {
    KeyValue::decode(record).map_err(|e| Error::Corrupt { bucket: "key", what: format!("no key-value pair: {e}") })
}

/// Only the key, without decoding the rest where the record has etcd's usual form.
pub fn key_of(record: &Bytes) -> Result<Bytes> {
    if let [KEY_TAG, length @ 0..0x80, rest @ ..] = &record[..]
        && rest.len() >= usize::from(*length)
    {
        return Ok(record.slice(2..2 + usize::from(*length)));
    }
    Ok(decode(record.clone())?.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_what_prost_encodes() {
        let long = vec![b'x'; 300];
        for (key, value, lease) in
            [(&b"a"[..], &b"v"[..], 0), (b"", b"", -5), (&long[..], b"", 7), (b"k", &long[..], i64::MAX)]
        {
            let (record, kv) = encode(key, value, lease, 2, 9, 3);
            assert_eq!((&kv.key[..], &kv.value[..], kv.lease), (key, value, lease));
            assert_eq!(record, kv.encode_to_vec());
            assert_eq!(decode(record.clone()).unwrap(), kv);
            assert_eq!(key_of(&record).unwrap(), key);
        }
        let (record, kv) = encode_tombstone(b"abc");
        assert_eq!(record, b"\x0a\x03abc"[..]);
        assert_eq!(kv.key, b"abc"[..]);
    }

    #[test]
    fn damage_is_refused() {
        for bytes in [&b"\x0a\x05abc"[..], b"\xff", b"\x0a", b"\x12\x01\x01"] {
            let record = Bytes::copy_from_slice(bytes);
            assert_eq!(key_of(&record).is_err(), decode(record).is_err());
        }
    }
}
