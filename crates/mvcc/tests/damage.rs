//! Files with flipped bytes: whatever they hold, the answer is an error or some state, never a panic.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, MemDisk, Open};
use mvcc::{EntryId, HashRule, Options, RangeQuery, Result, SortOrder, SortTarget, Store, SweepProgress};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const FILES: [&str; 3] = ["etcd-3.4.23-1-written.db", "etcd-3.5.1-1-written.db", "etcd-3.5.1-3-compacted-at-8.db"];

fn use_all(disk: Arc<MemDisk>) -> Result<()> {
    let mut store = Store::open(disk, Path::new("/db"), Options::default())?;
    store.take_lease_attachments();
    for rule in [HashRule::V3_4, HashRule::V3_7, HashRule::File] {
        store.image().hash_kv(0, rule)?;
        store.image().hash(rule)?;
    }
    let query = RangeQuery {
        range_end: vec![0].into(),
        sort_order: SortOrder::Descend,
        sort_target: SortTarget::Value,
        ..RangeQuery::default()
    };
    store.image().range(&query)?.encode()?;
    let view = store.reader().view();
    view.events(view.compact_revision())?.collect::<Result<Vec<_>>>()?;
    let mut txn = store.begin(EntryId { term: u64::MAX, index: store_index(&view)? });
    txn.put(b"k4", b"new", 0);
    txn.delete_range(b"", b"\0");
    let index = txn.entry().index;
    txn.commit();
    if index < u64::MAX {
        let mut txn = store.begin(EntryId { term: u64::MAX, index: index + 1 });
        txn.compact(txn.revision())?;
        txn.commit();
    }
    while store.sweep(5)? != SweepProgress::Idle {}
    let job = store.seal(u64::MAX).unwrap();
    store.committed(job.run()?);
    Ok(())
}

/// The index of the next entry, where there can be one.
fn store_index(view: &mvcc::View) -> Result<u64> {
    let next = view.applied().index.checked_add(1);
    next.ok_or(mvcc::Error::Corrupt { bucket: "meta", what: "no entry can follow".to_string() })
}

#[test]
fn flipped_bytes_never_panic() {
    let rounds = std::env::var("QUORATE_SEEDS").map_or(150, |seeds| seeds.parse().unwrap());
    let (mut failed, mut whole) = (0, 0);
    for seed in 0..rounds {
        let mut rng = SmallRng::seed_from_u64(seed);
        let name = FILES.choose(&mut rng).unwrap();
        let mut bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/etcd").join(name)).unwrap();
        for _ in 0..rng.random_range(1..4) {
            // Most of a page is empty: aim where something stands.
            let filled: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            let at = *filled.choose(&mut rng).unwrap();
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        let disk = MemDisk::new(seed);
        let file = disk.open(Path::new("/db"), Open::CreateNew { mode: 0o600 }).unwrap();
        file.write_all_at(0, &bytes).unwrap();
        match use_all(Arc::new(disk)) {
            Ok(()) => whole += 1,
            Err(_) => failed += 1,
        }
    }
    println!("{failed} refused, {whole} passed");
    assert!(failed > 0 && whole > 0);
}
