//! More compactions than wait one by one to be swept.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use disk::MemDisk;
use mvcc::{EntryId, HashRule, Options, Store, SweepProgress};

const PUTS: i64 = 200;

fn store() -> (Store, u64) {
    let mut store = Store::open(Arc::new(MemDisk::new(1)), Path::new("/db"), Options::default()).unwrap();
    for at in 1..=PUTS as u64 {
        let mut txn = store.begin(EntryId { term: 1, index: at });
        txn.put(format!("k{}", at % 7).as_bytes(), &at.to_be_bytes(), 0);
        txn.commit();
    }
    (store, PUTS as u64)
}

fn compact(store: &mut Store, index: &mut u64, revision: i64) {
    *index += 1;
    let mut txn = store.begin(EntryId { term: 1, index: *index });
    txn.compact(revision).unwrap();
    txn.commit();
}

#[test]
fn neighbours_are_swept_as_one_and_leave_no_hash() {
    // Swept one by one, each leaves its hash.
    let (mut one_by_one, mut index) = store();
    for revision in 2..=150 {
        compact(&mut one_by_one, &mut index, revision);
        while one_by_one.sweep(50).unwrap() != SweepProgress::Idle {}
    }
    assert!(one_by_one.image().hash_of_compaction(150).is_some());

    let (mut crowd, mut index) = store();
    let mut finished = Vec::new();
    for revision in 2..=150 {
        compact(&mut crowd, &mut index, revision);
    }
    loop {
        match crowd.sweep(50).unwrap() {
            SweepProgress::Finished { revision } => finished.push(revision),
            SweepProgress::More => {}
            SweepProgress::Idle => break,
        }
    }
    assert!(finished.len() < 100 && finished.is_sorted() && finished.last() == Some(&150), "{finished:?}");
    let (image, expected) = (crowd.image(), one_by_one.image());
    // It covers more than one compaction: nobody else has a hash to compare with it.
    assert_eq!(image.hash_of_compaction(150), None);
    for at in [0, 151, PUTS + 1] {
        assert_eq!(image.hash_kv(at, HashRule::V3_7).unwrap(), expected.hash_kv(at, HashRule::V3_7).unwrap());
    }
    assert_eq!(crowd.swept_records(), one_by_one.swept_records());
}
