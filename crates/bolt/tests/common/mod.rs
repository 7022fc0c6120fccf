//! What the integration tests share: a seeded source of chances, a model of a database, random transactions.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod scenario;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bolt::{Db, Options, ReadTx, WriteTx};
use bytes::Bytes;
use disk::MemDisk;

pub const PATH: &str = "db";
pub const BUCKETS: [&str; 4] = ["alarm", "key", "lease", "meta"];

/// How many seeds a test runs: `QUORATE_SEEDS`, or else `default`.
pub fn seeds(default: u64) -> u64 {
    std::env::var("QUORATE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// SplitMix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub type Model = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

pub fn options(page_size: u32) -> Options {
    Options { page_size, page_cache_bytes: 256 << 10, grow_bytes: 64 << 10, ..Options::default() }
}

pub fn open(disk: &MemDisk, options: &Options) -> bolt::Result<Db> {
    Db::open(Arc::new(disk.clone()), Path::new(PATH), options.clone())
}

/// The whole content.
pub fn content(tx: &ReadTx) -> bolt::Result<Model> {
    let mut model = Model::new();
    for name in tx.buckets()? {
        let bucket = tx.bucket(&name)?.expect("a listed bucket is there");
        let mut pairs = BTreeMap::new();
        let mut cursor = bucket.cursor();
        let mut at = cursor.first()?;
        while let Some((key, value)) = at {
            pairs.insert(key.to_vec(), value.to_vec());
            at = cursor.next()?;
        }
        model.insert(String::from_utf8(name.to_vec()).expect("test names are text"), pairs);
    }
    Ok(model)
}

fn value_len(rng: &mut Rng, page_size: u64) -> u64 {
    match rng.below(40) {
        0 => rng.below(page_size * 5),
        1..=4 => rng.below(page_size),
        _ => rng.below(60),
    }
}

fn random_key(rng: &mut Rng, space: u64) -> Vec<u8> {
    let mut key = rng.below(space).to_be_bytes()[5..].to_vec();
    if rng.below(4) == 0 {
        key.extend(vec![b'x'; rng.below(90) as usize]);
    }
    key
}

/// Changes a few buckets, in the transaction and in the model alike.
pub fn random_changes(rng: &mut Rng, tx: &mut WriteTx, model: &mut Model, page_size: u64, space: u64) {
    // Times of growth and times of decay.
    let deletes = if rng.below(3) == 0 { 85 } else { 25 };
    for _ in 0..1 + rng.below(3) {
        let name = BUCKETS[rng.below(BUCKETS.len() as u64) as usize];
        if rng.below(30) == 0 && model.remove(name).is_some() {
            tx.delete_bucket(name.as_bytes()).unwrap();
            continue;
        }
        tx.create_bucket_if_missing(name.as_bytes()).unwrap();
        if rng.below(2) == 0 {
            tx.set_fill_percent(name.as_bytes(), 90).unwrap();
        }
        let pairs = model.entry(name.to_owned()).or_default();
        let size = if rng.below(4) == 0 { 200 } else { 20 };
        for _ in 0..rng.below(size) {
            let key = random_key(rng, space);
            if rng.below(100) < deletes {
                delete_some(rng, tx, name, pairs, &key);
            } else {
                let len = value_len(rng, page_size);
                let value = vec![rng.next() as u8; len as usize];
                tx.put(name.as_bytes(), Bytes::from(key.clone()), Bytes::from(value.clone())).unwrap();
                pairs.insert(key, value);
            }
        }
    }
}

/// Deletes a run of existing keys from `key` on.
fn delete_some(rng: &mut Rng, tx: &mut WriteTx, name: &str, pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: &[u8]) {
    let many = rng.below(8) as usize;
    let keys: Vec<_> = pairs.range(key.to_vec()..).take(many).map(|(key, _)| key.clone()).collect();
    for key in keys {
        pairs.remove(&key);
        tx.delete(name.as_bytes(), Bytes::from(key)).unwrap();
    }
    tx.delete(name.as_bytes(), Bytes::copy_from_slice(key)).unwrap();
    pairs.remove(key);
}

/// Fails with the problems if there are any.
pub fn assert_sound(db: &Db, what: &str) {
    let report = db.check().unwrap();
    assert!(report.is_ok(), "{what}: {:#?}", report.problems);
}
