//! Space that compaction frees returns to the disk, in steps, while the store works and views are open.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, MemDisk};
use mvcc::{EntryId, HashRule, Options, RangeQuery, Store, SweepProgress};

const KEYS: u64 = 300;
const PATH: &str = "/db";

fn put(store: &mut Store, key: u64, length: usize) {
    let EntryId { term, index } = store.applied();
    let mut txn = store.begin(EntryId { term: term.max(1), index: index + 1 });
    txn.put(format!("key{key:04}").as_bytes(), &vec![b'v'; length], 0);
    txn.commit();
}

fn commit(store: &mut Store) {
    if let Some(job) = store.seal(u64::MAX) {
        store.committed(job.run().unwrap());
    }
    store.publish();
}

fn compact(store: &mut Store) {
    let EntryId { term, index } = store.applied();
    let mut txn = store.begin(EntryId { term, index: index + 1 });
    txn.compact(txn.revision()).unwrap();
    txn.commit();
    while store.sweep(100).unwrap() != SweepProgress::Idle {
        commit(store);
    }
    commit(store);
}

#[test]
fn the_file_shrinks_while_the_store_works() {
    let disk = MemDisk::new(1);
    let mut store = Store::open(Arc::new(disk.clone()), Path::new(PATH), Options::default()).unwrap();
    for round in 0..10 {
        for key in 0..KEYS {
            put(&mut store, key, 1000);
        }
        if round % 2 == 0 {
            commit(&mut store);
        }
    }
    commit(&mut store);
    let full = store.image().size();
    assert!(full > 10 * KEYS * 1000, "{full}");
    let held = store.reader().view();

    compact(&mut store);
    assert!(store.image().size() >= full);
    let mut steps = 0;
    let mut held = Some(held);
    loop {
        let shrunk = store.shrink_step(50).unwrap().run().unwrap();
        let (is_done, is_held) = (shrunk.is_done(), shrunk.is_held());
        store.shrunk(shrunk);
        // Writes go on between the steps.
        put(&mut store, steps % KEYS, 10);
        commit(&mut store);
        steps += 1;
        assert!(steps < 100);
        match (is_done, held.take()) {
            // The view keeps what it sees until it goes.
            (true, Some(view)) => {
                assert!(is_held);
                assert_eq!(
                    view.range(&RangeQuery { range_end: vec![0].into(), ..Default::default() }).unwrap().count(),
                    KEYS as i64
                );
                assert!(view.get_kv(b"key0007", 5).unwrap().is_none());
                view.events(2).unwrap().for_each(|event| assert!(event.is_ok()));
            }
            (true, None) => break,
            (false, view) => held = view,
        }
    }
    let small = store.image().size();
    assert!(small < full / 5, "{small} of {full} bytes after {steps} steps");
    assert!(store.image().size_in_use() <= small);
    let file = disk.metadata(Path::new(PATH)).unwrap().len;
    assert!(file < full, "the file has {file} bytes");
    assert!(store.check().unwrap().problems.is_empty());
    let hash = store.image().hash_kv(0, HashRule::V3_7).unwrap();
    drop(store);
    let store = Store::open(Arc::new(disk), Path::new(PATH), Options::default()).unwrap();
    assert_eq!(store.image().hash_kv(0, HashRule::V3_7).unwrap(), hash);
}
