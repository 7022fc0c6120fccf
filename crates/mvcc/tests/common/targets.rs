//! What a fuzzer feeds with bytes: the same functions serve `cargo fuzz` (`fuzz/`) and the seeded loops in
//! `fuzz_decoders.rs`. Whatever the bytes are, there is an error or a store that goes on; never a panic, never a sweep
//! without end.
#![allow(dead_code, reason = "each target is a program of its own")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::{Disk, MemDisk, Open};
use mvcc::{
    Bucket, EntryId, Error, HashRule, KeysOnly, MetaKey, Options, RangeQuery, Result, Revision, SortOrder, SortTarget,
    Store, SweepProgress,
};

const DB: &str = "/db";
/// Slices after which a sweep of a small file must have come to its end.
const SLICES_MAX: usize = 100_000;

/// A whole database file. The first byte says how small the slices of a sweep are.
pub fn file(bytes: &[u8]) -> Result<()> {
    let Some((&slice, bytes)) = bytes.split_first() else { return Ok(()) };
    let disk = MemDisk::new(0);
    let file = disk.open(Path::new(DB), Open::CreateNew { mode: 0o600 }).expect("MemDisk creates");
    file.write_all_at(0, bytes).expect("MemDisk writes");
    use_all(disk, usize::from(slice))
}

/// A file that bolt wrote well, with anything in its buckets. The first byte as in [`file`], then pairs as
/// [`encode_pair`] writes them.
pub fn pairs(bytes: &[u8]) -> Result<()> {
    let Some((&slice, mut bytes)) = bytes.split_first() else { return Ok(()) };
    let disk = MemDisk::new(0);
    let db = bolt::Db::open(Arc::new(disk.clone()), Path::new(DB), bolt::Options::default())?;
    let mut tx = db.write()?;
    for bucket in Bucket::ALL {
        tx.create_bucket_if_missing(bucket.name().as_bytes())?;
    }
    while let Some((bucket, key, value)) = next_pair(&mut bytes) {
        // Bolt takes no empty key.
        if !key.is_empty() {
            tx.put(bucket.name().as_bytes(), Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))?;
        }
    }
    tx.commit()?;
    drop(db);
    use_all(disk, usize::from(slice))
}

/// Bucket, length of the key, length of the value, a byte each, then key and value.
pub fn encode_pair(bucket: Bucket, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let position = Bucket::ALL.iter().position(|b| *b == bucket).expect("one of all");
    let (key, value) = (&key[..key.len().min(255)], &value[..value.len().min(255)]);
    out.extend([position as u8, key.len() as u8, value.len() as u8]);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

fn next_pair<'a>(bytes: &mut &'a [u8]) -> Option<(Bucket, &'a [u8], &'a [u8])> {
    let [bucket, key_len, value_len, rest @ ..] = *bytes else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
    let (value, rest) = rest.split_at_checked(usize::from(*value_len))?;
    *bytes = rest;
    Some((Bucket::ALL[usize::from(*bucket) % Bucket::ALL.len()], key, value))
}

/// Reads, writes, compacts, sweeps, commits, opens again.
fn use_all(disk: MemDisk, slice: usize) -> Result<()> {
    let mut store = Store::open(Arc::new(disk.clone()), Path::new(DB), Options::default())?;
    store.take_lease_attachments();
    read_all(&store)?;
    write_some(&mut store)?;
    sweep(&mut store, slice)?;
    read_all(&store)?;
    let job = store.seal(u64::MAX).expect("entries were applied");
    let committed = job.run()?;
    store.committed(committed);
    let (applied, revision) = (store.applied(), store.image().revision());
    drop(store);
    // What was written onto it is read back, whatever stood there before.
    let store = Store::open(Arc::new(disk), Path::new(DB), Options::default())?;
    assert_eq!((store.applied(), store.image().revision()), (applied, revision));
    read_all(&store)
}

fn read_all(store: &Store) -> Result<()> {
    let image = store.image();
    for rule in [HashRule::V3_4, HashRule::V3_7, HashRule::File] {
        image.hash(rule)?;
        image.hash_kv(0, rule)?;
        for revision in [-1, 1, image.compact_revision(), image.revision()] {
            caller(image.hash_kv(revision, rule))?;
        }
    }
    for sort_target in [SortTarget::Key, SortTarget::Version, SortTarget::Create, SortTarget::Mod, SortTarget::Value] {
        for (keys_only, limit) in [(KeysOnly::No, 0), (KeysOnly::FromIndex, 2), (KeysOnly::FromRecords, -3)] {
            let range_end = vec![0].into();
            let sort_order = SortOrder::Descend;
            let query = RangeQuery { range_end, sort_order, sort_target, keys_only, limit, ..RangeQuery::default() };
            image.range(&query)?.encode()?;
            caller(image.range(&RangeQuery { revision: image.compact_revision().max(1), ..query }))?;
        }
    }
    for bucket in Bucket::ALL.into_iter().filter(|bucket| *bucket != Bucket::Key) {
        image.scan(bucket, b"", None).collect::<Result<Vec<_>>>()?;
    }
    for meta in [MetaKey::ScheduledCompact, MetaKey::FinishedCompact] {
        let mark = image.get(Bucket::Meta, meta.bytes())?;
        assert!(mark.is_none_or(|mark| Revision::from_bytes(&mark).is_some()), "an open refuses what is no mark");
    }
    let view = store.reader().view();
    let mut before = Revision::default();
    for event in view.events(view.compact_revision())? {
        let revision = event?.revision;
        assert!(before <= revision, "events in order: {before:?}, {revision:?}");
        before = revision;
    }
    Ok(())
}

/// A refusal that the caller has earned is no failure of the file.
fn caller<T>(result: Result<T>) -> Result<()> {
    match result {
        Ok(_) | Err(Error::Compacted | Error::FutureRevision) => Ok(()),
        Err(error) => Err(error),
    }
}

fn write_some(store: &mut Store) -> Result<()> {
    let no_room = || Error::Corrupt { bucket: "meta", what: "no entries can follow".to_owned() };
    let first = store.applied().index.checked_add(1).filter(|first| *first < u64::MAX - 4).ok_or_else(no_room)?;
    let entry = |at: u64| EntryId { term: u64::MAX, index: first + at };
    let before = store.image().revision();

    let mut txn = store.begin(entry(0));
    txn.put(b"k4", b"new", 0);
    txn.delete_range(b"", b"\0", &mut |_| {});
    drop(txn);
    assert_eq!(store.image().revision(), before, "what is dropped has not happened");

    let mut txn = store.begin(entry(0));
    txn.put(b"k4", b"new", 0);
    txn.put(b"k5", b"new", 0);
    txn.delete_range(b"", b"k5", &mut |_| {});
    assert_eq!(txn.commit(), before + 1);
    let mut txn = store.begin(entry(1));
    txn.compact(before).or_else(|error| caller::<()>(Err(error)))?;
    txn.commit();
    store.publish();
    Ok(())
}

fn sweep(store: &mut Store, slice: usize) -> Result<()> {
    for _ in 0..SLICES_MAX {
        if store.sweep(slice)? == SweepProgress::Idle {
            return Ok(());
        }
    }
    panic!("a sweep in slices of {slice} comes to no end");
}
