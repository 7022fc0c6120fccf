//! A disk that fails, runs full or is held by another; what callers do wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io;
use std::path::Path;

use bolt::{Error, Options};
use bytes::Bytes;
use common::{PATH, assert_sound, open};
use disk::{Disk, Fault, MemDisk, Operation};

fn fault(operation: Operation, after: u64) -> Fault {
    Fault { operation, after, times: 1, error: io::ErrorKind::Other }
}

fn put(db: &bolt::Db, key: &'static str, len: usize) -> bolt::Result<()> {
    let mut tx = db.write()?;
    tx.create_bucket_if_missing(b"b")?;
    tx.put(b"b", Bytes::from(key), Bytes::from(vec![1; len]))?;
    tx.commit().map(|_| ())
}

fn get(db: &bolt::Db, key: &str) -> Option<usize> {
    let bucket = db.read().bucket(b"b").unwrap()?;
    bucket.get(key.as_bytes()).unwrap().map(|value| value.len())
}

#[test]
fn a_failed_sync_ends_all_writing() {
    for after in [0, 1] {
        let disk = MemDisk::new(3);
        let db = open(&disk, &Options::default()).unwrap();
        put(&db, "a", 10).unwrap();
        disk.inject(fault(Operation::Sync, after));
        assert!(matches!(put(&db, "b", 10), Err(Error::Io { .. })));
        assert!(matches!(put(&db, "c", 10), Err(Error::Poisoned)));
        assert!(matches!(db.shrink(10).err(), Some(Error::Poisoned)));
        assert!(db.stats().poisoned);
        assert_eq!((get(&db, "a"), get(&db, "b")), (Some(10), None), "readers go on with the last commit");
        drop(db);
        let db = open(&disk, &Options::default()).unwrap();
        assert_sound(&db, "opened anew");
        put(&db, "d", 10).unwrap();
        assert_eq!((get(&db, "a"), get(&db, "d")), (Some(10), Some(10)));
    }
}

#[test]
fn a_full_disk_is_no_end() {
    let disk = MemDisk::new(3);
    let db = open(&disk, &Options::default()).unwrap();
    put(&db, "a", 10).unwrap();
    disk.set_capacity(Some(disk.used() + 20_000));
    for _ in 0..3 {
        let error = put(&db, "large", 100_000).err();
        assert!(
            matches!(&error, Some(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull),
            "{error:?}"
        );
        assert_sound(&db, "after a refused commit");
    }
    assert_eq!((get(&db, "a"), get(&db, "large")), (Some(10), None));
    disk.set_capacity(None);
    put(&db, "large", 100_000).unwrap();
    assert_eq!(get(&db, "large"), Some(100_000));
    assert_sound(&db, "with room again");
}

#[test]
fn a_failed_write_of_the_meta_page_ends_all_writing() {
    let disk = MemDisk::new(3);
    let db = open(&disk, &Options { grow_bytes: 1 << 20, ..Options::default() }).unwrap();
    put(&db, "a", 10).unwrap();
    put(&db, "a", 11).unwrap();
    put(&db, "a", 12).unwrap();
    // One write of pages, then the meta page.
    let writes = disk.counters().writes;
    put(&db, "a", 13).unwrap();
    let per_commit = disk.counters().writes - writes;
    disk.inject(fault(Operation::Write, per_commit - 1));
    assert!(matches!(put(&db, "a", 14), Err(Error::Io { action: "write a meta page", .. })));
    assert!(matches!(put(&db, "a", 15), Err(Error::Poisoned)));
}

#[test]
fn one_process_at_a_time() {
    let disk = MemDisk::new(3);
    let db = open(&disk, &Options::default()).unwrap();
    assert!(matches!(open(&disk, &Options::default()).err(), Some(Error::Locked)));
    let read_only = Options { read_only: true, ..Options::default() };
    assert!(matches!(open(&disk, &read_only).err(), Some(Error::Locked)));
    put(&db, "a", 1).unwrap();
    let reader = db.read();
    drop(db);
    assert!(matches!(open(&disk, &read_only).err(), Some(Error::Locked)), "an open reader keeps the file open");
    drop(reader);
    let (one, two) = (open(&disk, &read_only).unwrap(), open(&disk, &read_only).unwrap());
    assert!(matches!(one.write().err(), Some(Error::ReadOnly)));
    assert_eq!(get(&two, "a"), Some(1));
    assert!(one.check().unwrap().is_ok());
}

#[test]
fn one_writer_at_a_time() {
    let db = open(&MemDisk::new(3), &Options::default()).unwrap();
    let tx = db.write().unwrap();
    assert!(matches!(db.write().err(), Some(Error::WriterBusy)));
    drop(tx);
    assert!(db.write().is_ok());
}

#[test]
fn reading_only_needs_a_file() {
    let disk = MemDisk::new(3);
    let read_only = Options { read_only: true, ..Options::default() };
    assert!(matches!(open(&disk, &read_only).err(), Some(Error::Io { .. })));
    assert!(!disk.exists(Path::new(PATH)).unwrap());
}

#[test]
fn what_callers_do_wrong() {
    let db = open(&MemDisk::new(3), &Options::default()).unwrap();
    let mut tx = db.write().unwrap();
    let (key, value) = (Bytes::from("k"), Bytes::from("v"));
    assert!(matches!(tx.put(b"b", key.clone(), value.clone()), Err(Error::BucketNotFound)));
    assert!(matches!(tx.delete(b"b", key.clone()), Err(Error::BucketNotFound)));
    assert!(matches!(tx.delete_bucket(b"b"), Err(Error::BucketNotFound)));
    assert!(matches!(tx.create_bucket_if_missing(b""), Err(Error::BucketNameRequired)));
    tx.create_bucket_if_missing(b"b").unwrap();
    assert!(matches!(tx.put(b"b", Bytes::new(), value.clone()), Err(Error::KeyRequired)));
    let long = Bytes::from(vec![1; bolt::KEY_BYTES_MAX + 1]);
    assert!(matches!(tx.put(b"b", long.clone(), value.clone()), Err(Error::KeyTooLarge)));
    tx.put(b"b", long.slice(1..), value).unwrap();
    tx.commit().unwrap();
    assert_sound(&db, "with the longest key");
}

#[test]
fn a_commit_without_changes_writes_nothing() {
    let disk = MemDisk::new(3);
    let db = open(&disk, &Options::default()).unwrap();
    put(&db, "a", 1).unwrap();
    let (txid, operations) = (db.stats().txid, disk.operations());
    let mut tx = db.write().unwrap();
    tx.delete(b"b", Bytes::from("absent")).unwrap();
    tx.create_bucket_if_missing(b"b").unwrap();
    assert_eq!(tx.commit().unwrap().txid, txid);
    assert_eq!(disk.operations(), operations);
}
