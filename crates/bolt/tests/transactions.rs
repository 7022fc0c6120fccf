//! What a write transaction sees of itself, cursors in every direction, readers beside a writer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bolt::{Db, Options, TxCursor};
use bytes::Bytes;
use common::{Rng, assert_sound, open, options, seeds};
use disk::{MemDisk, RealDisk};

type Pair = (Bytes, Bytes);
type Map = BTreeMap<Bytes, Bytes>;

fn key(n: u64) -> Bytes {
    Bytes::from(format!("{n:05}"))
}

/// The cursors of a reader and of a writer take the same steps.
trait Steps {
    fn first(&mut self) -> Option<Pair>;
    fn last(&mut self) -> Option<Pair>;
    fn seek(&mut self, key: &[u8]) -> Option<Pair>;
    fn next(&mut self) -> Option<Pair>;
    fn prev(&mut self) -> Option<Pair>;
}

macro_rules! steps {
    ($type:ty) => {
        impl Steps for $type {
            fn first(&mut self) -> Option<Pair> {
                <$type>::first(self).unwrap()
            }
            fn last(&mut self) -> Option<Pair> {
                <$type>::last(self).unwrap()
            }
            fn seek(&mut self, key: &[u8]) -> Option<Pair> {
                <$type>::seek(self, key).unwrap()
            }
            fn next(&mut self) -> Option<Pair> {
                <$type>::next(self).unwrap()
            }
            fn prev(&mut self) -> Option<Pair> {
                <$type>::prev(self).unwrap()
            }
        }
    };
}

steps!(bolt::Cursor);
steps!(TxCursor<'_>);

/// Walks at random and compares each step with the map.
fn walk(rng: &mut Rng, cursor: &mut dyn Steps, map: &Map) {
    let owned = |pair: Option<(&Bytes, &Bytes)>| pair.map(|(key, value)| (key.clone(), value.clone()));
    let mut at: Option<Bytes> = None;
    for _ in 0..60 {
        let (got, expected) = match (rng.below(9), &at) {
            (0, _) => (cursor.first(), owned(map.first_key_value())),
            (1, _) => (cursor.last(), owned(map.last_key_value())),
            (2, _) | (_, None) => {
                let target = key(rng.below(1000));
                (cursor.seek(&target), owned(map.range(target..).next()))
            }
            (3..=5, Some(at)) => {
                let beyond = map.range::<Bytes, _>((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded)).next();
                (cursor.next(), owned(beyond))
            }
            (_, Some(at)) => (cursor.prev(), owned(map.range::<Bytes, _>(..at).next_back())),
        };
        assert_eq!(got, expected);
        at = got.map(|(key, _)| key);
    }
}

#[test]
fn cursors_agree_with_a_map() {
    for seed in 0..seeds(60) {
        let mut rng = Rng(seed);
        let db = open(&MemDisk::new(seed), &options(1024)).unwrap();
        let mut map = Map::new();
        for _ in 0..6 {
            let mut tx = db.write().unwrap();
            tx.create_bucket_if_missing(b"b").unwrap();
            for _ in 0..rng.below(120) {
                let key = key(rng.below(1000));
                if rng.below(3) == 0 {
                    map.remove(&key);
                    tx.delete(b"b", key).unwrap();
                } else {
                    let value = Bytes::from(vec![rng.next() as u8; rng.below(40) as usize]);
                    map.insert(key.clone(), value.clone());
                    tx.put(b"b", key, value).unwrap();
                }
            }
            walk(&mut rng, &mut tx.cursor(b"b").unwrap(), &map);
            for n in 0..1000 {
                assert_eq!(tx.get(b"b", &key(n)).unwrap().as_ref(), map.get(&key(n)));
            }
            tx.commit().unwrap();
            let bucket = db.read().bucket(b"b").unwrap().unwrap();
            walk(&mut rng, &mut bucket.cursor(), &map);
            for n in 0..1000 {
                assert_eq!(bucket.get(&key(n)).unwrap().as_ref(), map.get(&key(n)));
            }
        }
    }
}

#[test]
fn a_transaction_sees_its_own_buckets() {
    let db = open(&MemDisk::new(1), &options(4096)).unwrap();
    let mut tx = db.write().unwrap();
    for name in ["b", "a"] {
        tx.create_bucket_if_missing(name.as_bytes()).unwrap();
    }
    tx.put(b"a", key(1), key(2)).unwrap();
    tx.commit().unwrap();
    let mut tx = db.write().unwrap();
    tx.create_bucket_if_missing(b"c").unwrap();
    tx.delete_bucket(b"a").unwrap();
    assert_eq!(tx.buckets().unwrap(), ["b", "c"]);
    tx.create_bucket_if_missing(b"a").unwrap();
    assert_eq!(tx.get(b"a", &key(1)).unwrap(), None, "a bucket made anew is empty");
    assert_eq!(tx.cursor(b"a").unwrap().first().unwrap(), None);
    tx.apply_sorted(b"c", [(key(1), Some(key(1))), (key(2), None)]).unwrap();
    tx.apply_sorted(b"c", [(key(1), None), (key(3), Some(key(3)))]).unwrap();
    tx.commit().unwrap();
    let reader = db.read();
    assert_eq!(reader.buckets().unwrap(), ["a", "b", "c"]);
    assert_eq!(reader.bucket(b"a").unwrap().unwrap().get(&key(1)).unwrap(), None);
    assert_eq!(reader.bucket(b"c").unwrap().unwrap().cursor().first().unwrap(), Some((key(3), key(3))));
    assert_sound(&db, "at the end");
}

/// Each commit sets all keys to one number: a reader that sees two numbers is not isolated.
#[test]
fn readers_beside_a_writer_see_one_state() {
    const KEYS: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { page_cache_bytes: 64 << 10, ..Options::default() };
    let db = Db::open(Arc::new(RealDisk), &dir.path().join("db"), options).unwrap();
    write_all(&db, 0, KEYS);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_until(&db, &stop))).collect();
        for round in 1..60 {
            write_all(&db, round, KEYS);
            db.shrink(40).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    assert_sound(&db, "after the readers");
    let stats = db.stats();
    assert_eq!((stats.pins, stats.oldest_pin), (0, None));
    assert!(stats.cache_hits > 0 && stats.cache_misses > 0 && stats.cache_bytes <= 64 << 10);
}

fn write_all(db: &Db, round: u64, keys: u64) {
    let mut tx = db.write().unwrap();
    tx.create_bucket_if_missing(b"b").unwrap();
    for n in 0..keys {
        // Lengths differ from round to round, so that pages split and join.
        let value = format!("{round:0width$}", width = 4 + (round * 37 % 200) as usize);
        tx.put(b"b", key(n), Bytes::from(value)).unwrap();
    }
    tx.commit().unwrap();
}

fn read_until(db: &Db, stop: &AtomicBool) -> u64 {
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        let bucket = db.read().bucket(b"b").unwrap().unwrap();
        let mut cursor = bucket.cursor();
        let mut at = cursor.first().unwrap();
        let expected = at.as_ref().map(|(_, value)| value.clone());
        while let Some((_, value)) = at {
            assert_eq!(Some(value), expected);
            at = cursor.next().unwrap();
        }
        reads += 1;
    }
    reads
}
