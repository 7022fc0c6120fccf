//! Files written by etcd and bbolt themselves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use bolt::{Db, Error, Options};
use bytes::Bytes;
use common::{PATH, assert_sound, content, open};
use disk::{Disk, MemDisk, Open};

const ETCD_3_4: &[u8] = include_bytes!("fixtures/etcd-3.4.23.db");
const ETCD_3_5: &[u8] = include_bytes!("fixtures/etcd-3.5.1.db");
const NESTED: &[u8] = include_bytes!("fixtures/nested.db");

fn open_bytes(bytes: &[u8]) -> (MemDisk, Db) {
    let disk = MemDisk::new(1);
    disk.open(Path::new(PATH), Open::CreateNew { mode: 0o600 }).unwrap().write_all_at(0, bytes).unwrap();
    let db = open(&disk, &Options::default()).unwrap();
    (disk, db)
}

/// The hash that `etcdutl snapshot status` prints, and the number of pairs.
fn hash(db: &Db) -> (u32, usize) {
    let (mut hash, mut pairs) = (0, 0);
    for (name, bucket) in content(&db.read()).unwrap() {
        hash = crc32c::crc32c_append(hash, name.as_bytes());
        for (key, value) in bucket {
            hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, &key), &value);
            pairs += 1;
        }
    }
    (hash, pairs)
}

#[test]
fn files_of_etcd() {
    for (bytes, expected) in [(ETCD_3_4, (3_521_184_555, 37)), (ETCD_3_5, (4_063_611_777, 39))] {
        let (disk, db) = open_bytes(bytes);
        assert_sound(&db, "as etcd left it");
        assert_eq!(hash(&db), expected);
        let mut before = content(&db.read()).unwrap();
        let mut tx = db.write().unwrap();
        tx.put(b"key", Bytes::from("zzz"), Bytes::from("new")).unwrap();
        tx.commit().unwrap();
        while !db.shrink(5).unwrap().done {}
        assert_sound(&db, "after changes");
        before.get_mut("key").unwrap().insert(b"zzz".to_vec(), b"new".to_vec());
        drop(db);
        assert_eq!(content(&open(&disk, &Options::default()).unwrap().read()).unwrap(), before);
    }
}

#[test]
fn nested_buckets_are_read() {
    let (_, db) = open_bytes(NESTED);
    assert_sound(&db, "as bbolt left it");
    let tx = db.read();
    assert_eq!(tx.buckets().unwrap(), ["a", "empty", "small"]);
    let a = tx.bucket(b"a").unwrap().unwrap();
    assert_eq!(a.sequence(), 77);
    assert_eq!(a.get(b"large").unwrap(), None);
    assert_eq!(a.get(b"plain001").unwrap(), Some(Bytes::from("value of some length")));
    let inline = a.nested(b"inline").unwrap().unwrap();
    assert_eq!((inline.get(b"k").unwrap(), inline.sequence()), (Some(Bytes::from("v")), 5));
    let large = a.nested(b"large").unwrap().unwrap();
    assert_eq!(large.get(b"key0123").unwrap().unwrap().len(), 100);
    assert!(large.nested(b"deep").unwrap().unwrap().nested(b"deeper").unwrap().is_some());
    let mut cursor = a.cursor();
    assert_eq!(cursor.seek(b"in").unwrap(), Some((Bytes::from("inline"), Bytes::new())));
    assert!(cursor.is_bucket());
    let small = tx.bucket(b"small").unwrap().unwrap();
    assert_eq!(small.get(b"overflow").unwrap().unwrap().len(), 5000);
}

#[test]
fn nested_buckets_are_preserved() {
    let (disk, db) = open_bytes(NESTED);
    let mut tx = db.write().unwrap();
    for i in 0..400 {
        tx.put(b"a", Bytes::from(format!("i{i:05}")), Bytes::from(vec![1; 30])).unwrap();
        tx.delete(b"a", Bytes::from(format!("plain{i:03}"))).unwrap();
    }
    tx.commit().unwrap();
    assert_sound(&db, "with more keys around");
    let mut tx = db.write().unwrap();
    for i in 0..400 {
        tx.delete(b"a", Bytes::from(format!("i{i:05}"))).unwrap();
    }
    tx.commit().unwrap();
    db.shrink(1000).unwrap();
    drop(db);
    let db = open(&disk, &Options::default()).unwrap();
    assert_sound(&db, "with the keys gone again");
    let a = db.read().bucket(b"a").unwrap().unwrap();
    assert_eq!(a.sequence(), 77);
    let large = a.nested(b"large").unwrap().unwrap();
    for i in 0..300 {
        assert!(large.get(format!("key{i:04}").as_bytes()).unwrap().is_some());
    }
    assert_eq!(a.nested(b"inline").unwrap().unwrap().get(b"k").unwrap(), Some(Bytes::from("v")));
}

#[test]
fn a_nested_bucket_is_no_value() {
    let (_, db) = open_bytes(NESTED);
    for delete in [false, true] {
        let mut tx = db.write().unwrap();
        let key = Bytes::from("large");
        if delete {
            tx.delete(b"a", key).unwrap()
        } else {
            tx.put(b"a", key, Bytes::new()).unwrap()
        }
        assert!(matches!(tx.commit(), Err(Error::IncompatibleValue)));
        assert_sound(&db, "after a refused commit");
    }
    assert!(matches!(bolt::compact_into(&db.read(), &open_bytes(ETCD_3_5).1), Err(Error::IncompatibleValue)));
}

#[test]
fn deleting_a_bucket_frees_all_that_is_nested() {
    let (_, db) = open_bytes(NESTED);
    let mut tx = db.write().unwrap();
    tx.delete_bucket(b"a").unwrap();
    tx.delete_bucket(b"small").unwrap();
    assert!(matches!(tx.get(b"a", b"x"), Err(Error::BucketNotFound)));
    tx.commit().unwrap();
    assert_sound(&db, "after the deletion");
    assert_eq!(db.read().buckets().unwrap(), ["empty"]);
    while !db.shrink(10).unwrap().done {}
    assert_eq!(db.stats().size, 3 * db.stats().page_size, "two meta pages and the root");
}

#[test]
fn a_copy_has_no_free_pages() {
    let (_, db) = open_bytes(ETCD_3_4);
    let disk = MemDisk::new(2);
    let copy = open(&disk, &Options::default()).unwrap();
    bolt::compact_into(&db.read(), &copy).unwrap();
    assert_sound(&copy, "the copy");
    assert_eq!(hash(&copy), hash(&db));
    assert!(copy.stats().size < db.stats().size);
}
