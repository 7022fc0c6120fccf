//! Power is cut at every change of the disk that commits, sweeps and shrinking make. What is found afterwards is the
//! state of exactly the entry that the consistent index names, at least the last one whose commit was reported.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

#[path = "model/mod.rs"]
mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use disk::MemDisk;
use model::Model;
use mvcc::{Bucket, EntryId, HashRule, Options, Result, Revision, Store, SweepProgress};

const PATH: &str = "/db";
const ENTRIES: u64 = 120;

fn open(disk: &MemDisk) -> Result<Store> {
    let options = Options { cache_bytes: 1 << 16, ..Options::default() };
    Store::open(Arc::new(disk.clone()), Path::new(PATH), options)
}

/// The same work each time: puts, deletes, raw pairs, now and then a compaction.
fn apply(store: &mut Store, model: &mut Model, index: u64) {
    let mut txn = store.begin(EntryId { term: index / 50 + 1, index });
    if index.is_multiple_of(30) {
        let at = model.revision - 5;
        txn.compact(at).unwrap();
        model.compacted = at;
        txn.commit();
        return;
    }
    let main = model.revision + 1;
    let key = format!("k{:02}", index * 7 % 23).into_bytes();
    let mut sub = 0;
    if index.is_multiple_of(6) && txn.delete_range(&key, b"", &mut |_| {}) > 0 {
        model.delete(Revision { main, sub }, &key);
        sub += 1;
    }
    let value = vec![b'v'; (index * 97 % 1500) as usize];
    txn.put(&key, &value, 0);
    model.put(Revision { main, sub }, &key, &value, 0);
    let raw = index.to_be_bytes();
    txn.put_raw(Bucket::Lease, &raw[7..], &raw);
    model.raw.insert((Bucket::Lease, raw[7..].to_vec()), raw.to_vec());
    txn.commit();
}

/// Works until the end or the cut; gives the index of the last commit that was reported. `past` gets the model after
/// each entry.
fn work(store: &mut Store, model: &mut Model, past: &mut BTreeMap<u64, Model>) -> u64 {
    let mut reported = store.applied().index;
    for index in reported + 1..=ENTRIES {
        apply(store, model, index);
        past.insert(index, model.clone());
        while index % 5 == 0 && store.sweep(7).expect("the sweep reads what is cached") != SweepProgress::Idle {}
        if index % 8 == 0 {
            let job = store.seal(index).unwrap();
            let last = job.last().index;
            let Ok(committed) = job.run() else { return reported };
            store.committed(committed);
            reported = last;
        }
        if index % 40 == 0 {
            let Ok(shrunk) = store.shrink_step(100).unwrap().run() else { return reported };
            store.shrunk(shrunk);
        }
    }
    reported
}

fn check(store: &Store, model: &Model) {
    let image = store.image();
    assert_eq!(image.revision(), model.revision.max(1));
    assert_eq!(image.compact_revision(), model.compacted);
    let mut range = image.range(&mvcc::RangeQuery { range_end: vec![0].into(), ..Default::default() }).unwrap();
    let mut kvs = Vec::new();
    while let Some(kv) = range.next_kv().unwrap() {
        kvs.push(kv);
    }
    assert_eq!(kvs, model.keys(b"", &[0], model.revision));
    for at in [model.revision, (model.revision - 3).max(1)] {
        assert_eq!(image.hash_kv(at, HashRule::V3_7).unwrap().hash, model.hash_kv(at), "revision {at}");
    }
    let leases: Vec<_> = image.scan(Bucket::Lease, b"", None).map(|pair| pair.unwrap().1.to_vec()).collect();
    assert_eq!(leases, model.raw.values().cloned().collect::<Vec<_>>());
    assert_eq!(store.check().unwrap().problems.len(), 0);
}

/// The changes of the disk that the whole work makes.
fn operations() -> u64 {
    let disk = MemDisk::new(0);
    let mut store = open(&disk).unwrap();
    let (mut model, mut past) = (Model::new(), BTreeMap::new());
    assert_eq!(work(&mut store, &mut model, &mut past), ENTRIES);
    check(&store, &model);
    disk.operations()
}

#[test]
fn a_cut_leaves_the_state_of_an_entry() {
    let all = operations();
    let step = std::env::var("QUORATE_SEEDS").map_or(all / 60 + 1, |_| 1);
    for cut in (0..all).step_by(step as usize) {
        let disk = MemDisk::new(cut);
        disk.cut_after(cut);
        let mut past = BTreeMap::from([(0, Model::new())]);
        let mut reported = 0;
        if let Ok(mut store) = open(&disk) {
            reported = work(&mut store, &mut Model::new(), &mut past);
        }
        let disk = disk.power_loss();
        let mut store = open(&disk).unwrap_or_else(|e| panic!("cut {cut} of {all}: {e}"));
        let found = store.applied().index;
        assert!(found >= reported, "cut {cut}: {reported} was reported, {found} is found");
        let mut model = past[&found].clone();
        println!("cut {cut} of {all}: entry {found}");
        check(&store, &model);
        // The work goes on from there to the same end.
        assert_eq!(work(&mut store, &mut model, &mut past), ENTRIES);
        check(&store, &model);
    }
}

#[test]
fn a_sweep_cut_short_is_resumed() {
    let disk = MemDisk::new(5);
    let mut store = open(&disk).unwrap();
    let mut model = Model::new();
    for index in 1..30 {
        apply(&mut store, &mut model, index);
    }
    let mut txn = store.begin(EntryId { term: 1, index: 30 });
    txn.compact(20).unwrap();
    txn.commit();
    model.compacted = 20;
    assert_eq!(store.sweep(3).unwrap(), SweepProgress::More);
    let job = store.seal(30).unwrap();
    store.committed(job.run().unwrap());
    drop(store);

    let mut store = open(&disk.power_loss()).unwrap();
    assert!(store.is_sweeping());
    check(&store, &model);
    while store.sweep(3).unwrap() != (SweepProgress::Finished { revision: 20 }) {
        check(&store, &model);
    }
    assert!(!store.is_sweeping());
    check(&store, &model);
    // A hash over what an earlier run had already taken away in part is not remembered.
    assert_eq!(store.image().hash_kv(20, HashRule::V3_7).unwrap().compact_revision, 20);
}
