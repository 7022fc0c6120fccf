//! Deletions of more keys than are looked up at a time.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::MemDisk;
use mvcc::{EntryId, EventKind, Options, Store};

const KEYS: usize = 1300;

fn key(n: usize) -> Bytes {
    format!("k{n:05}").into()
}

/// Keys at revision 2, in a store that has shown them.
fn store() -> Store {
    let mut store = Store::open(Arc::new(MemDisk::new(1)), Path::new("/db"), Options::default()).unwrap();
    let mut txn = store.begin(EntryId { term: 1, index: 1 });
    for n in 0..KEYS {
        txn.put(&key(n), b"v", 0);
    }
    txn.commit();
    store.publish();
    store
}

#[test]
fn a_great_deletion_takes_every_key_once_in_order() {
    for (start, end, expected) in [
        (key(0), Bytes::from_static(b"\0"), 0..KEYS),
        (key(3), key(KEYS - 5), 3..KEYS - 5),
        (key(0), key(1024), 0..1024),
        (key(7), Bytes::new(), 7..8),
        (key(9), key(9), 9..9),
    ] {
        let mut store = store();
        let mut txn = store.begin(EntryId { term: 1, index: 2 });
        let mut told = Vec::new();
        assert_eq!(txn.delete_range(&start, &end, &mut |key| told.push(key.clone())), expected.len());
        assert_eq!(txn.delete_range(&start, &end, &mut |_| {}), 0, "the transaction sees its own deletions");
        txn.commit();
        assert_eq!(told, expected.clone().map(key).collect::<Vec<_>>());
        assert_eq!(store.image().count(b"\0", b"\0"), (KEYS - expected.len()) as i64);
        let events = store.publish().map_or(Vec::new(), |batch| batch.events.clone());
        let gone: Vec<_> = events.iter().map(|e| (e.kind, e.kv.key.clone(), e.revision.main, e.revision.sub)).collect();
        let expected: Vec<_> = (0..).zip(told).map(|(sub, key)| (EventKind::Delete, key, 3, sub)).collect();
        assert_eq!(gone, expected);
    }
}

#[test]
fn a_great_deletion_that_is_dropped_has_not_happened() {
    let mut store = store();
    let mut txn = store.begin(EntryId { term: 1, index: 2 });
    txn.put(b"k00700a", b"v", 0);
    assert_eq!(txn.delete_range(b"k", b"l", &mut |_| {}), KEYS + 1, "its own put goes as well");
    drop(txn);
    let image = store.image();
    assert_eq!((image.revision(), image.count(b"\0", b"\0")), (2, KEYS as i64));
    assert_eq!(image.get_kv(&key(700), 0).unwrap().unwrap().version, 1);
}
