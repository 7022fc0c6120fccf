//! Leases: their grants and the keys that hang on them. Deadlines are the node's.

mod apply;

use std::collections::HashMap;

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};
use proto::leasepb;

/// Smallest TTL at the default timing: ceil(1.5 x election timeout).
pub const TTL_SECS_MIN_DEFAULT: i64 = 2;
/// Largest TTL a grant may ask for, in seconds.
pub const TTL_SECS_MAX: i64 = 9_000_000_000;

/// One lease with its keys, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lease {
    pub id: i64,
    /// The granted TTL, in seconds.
    pub ttl_secs: i64,
    /// The remainder at the last checkpoint; 0 = none, the full TTL.
    pub remaining_secs: i64,
    pub keys: OrdSet<Bytes>,
}

/// All leases. Cloning is O(1): the view of a published moment.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    by_id: OrdMap<i64, Lease>,
}

impl Leases {
    /// The lease of this id.
    pub fn get(&self, id: i64) -> Option<&Lease> {
        self.by_id.get(&id)
    }

    /// All leases by id.
    pub fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.by_id.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// The applier's half: the leases, and for each key that has one, which.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    leases: Leases,
    /// Never walked, so its order does not matter.
    of_key: HashMap<Bytes, i64>,
}

impl LeaseTable {
    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Takes in a stored or new lease; one of the same id is replaced, keys and all.
    pub(crate) fn insert(&mut self, lease: Lease) {
        self.leases.by_id.insert(lease.id, lease);
    }

    /// Takes a lease out, its keys with it.
    pub(crate) fn remove(&mut self, id: i64) -> Option<Lease> {
        let lease = self.leases.by_id.remove(&id)?;
        for key in &lease.keys {
            self.of_key.remove(key);
        }
        Some(lease)
    }

    /// Sets the remainder of a lease; `None` where the lease is unknown.
    pub(crate) fn checkpoint(&mut self, id: i64, remaining_secs: i64) -> Option<&Lease> {
        let lease = self.leases.by_id.get_mut(&id)?;
        lease.remaining_secs = remaining_secs;
        Some(lease)
    }

    /// Moves a key to a lease, or to none (0). False where the lease is unknown: the key then hangs on none.
    pub(crate) fn attach(&mut self, key: &[u8], id: i64) -> bool {
        let old = self.of_key.get(key).copied().unwrap_or(0);
        if old == id {
            return true;
        }
        if old != 0 {
            self.detach(key);
        }
        if id == 0 {
            return true;
        }
        let Some(lease) = self.leases.by_id.get_mut(&id) else {
            return false;
        };
        // The key of a request points into the whole entry, which must not live as long as the lease.
        let key = Bytes::copy_from_slice(key);
        lease.keys.insert(key.clone());
        self.of_key.insert(key, id);
        true
    }

    /// Frees a key from its lease, if it hangs on one.
    pub(crate) fn detach(&mut self, key: &[u8]) {
        if let Some(id) = self.of_key.remove(key)
            && let Some(lease) = self.leases.by_id.get_mut(&id)
        {
            lease.keys.remove(key);
        }
    }
}

impl Lease {
    /// The stored form.
    pub(crate) fn to_proto(&self) -> leasepb::Lease {
        leasepb::Lease { id: self.id, ttl: self.ttl_secs, remaining_ttl: self.remaining_secs }
    }

    pub(crate) fn from_proto(stored: leasepb::Lease) -> Lease {
        Lease { id: stored.id, ttl_secs: stored.ttl, remaining_secs: stored.remaining_ttl, keys: OrdSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of a request points into the entry, which may be large.
    #[test]
    fn keys_do_not_keep_entries_alive() {
        let mut table = LeaseTable::default();
        table.insert(Lease { id: 1, ttl_secs: 10, ..Lease::default() });
        let entry = Bytes::from(vec![b'k'; 1000]);
        assert!(table.attach(&entry.slice(..3), 1));
        let kept = table.leases().get(1).unwrap().keys.iter().chain(table.of_key.keys());
        for key in kept {
            assert_eq!(key[..], b"kkk"[..]);
            assert!(!entry.as_ptr_range().contains(&key.as_ptr()), "the entry itself is kept");
        }
    }
}
