//! Random work on the store and on a simple model, which must agree at every moment: through commits that are under way,
//! compactions, sweeps, transactions that are dropped, views that are held, and reopening.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

#[path = "model/mod.rs"]
mod model;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use disk::MemDisk;
use model::{Answer, Model, Refusal};
use mvcc::{
    Bucket, CommitJob, EntryId, Error, EventKind, HashRule, Image, KeysOnly, Options, RangeQuery, Revision, SortOrder,
    SortTarget, Store, SweepProgress, View,
};
use prost::Message;
use proto::etcdserverpb::RangeResponse;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const PATH: &str = "/db";

fn seeds() -> u64 {
    std::env::var("QUORATE_SEEDS").map_or(12, |seeds| seeds.parse().expect("QUORATE_SEEDS is a number"))
}

#[test]
fn agrees_with_the_model() {
    for seed in 0..seeds() {
        println!("seed {seed}");
        Run::new(seed).run(700);
    }
}

struct Run {
    rng: SmallRng,
    disk: MemDisk,
    store: Store,
    options: Options,
    model: Model,
    index: u64,
    /// The model after each entry that is not in the file yet, and after the last that is.
    past: BTreeMap<u64, Model>,
    jobs: VecDeque<CommitJob>,
    views: Vec<(View, Model)>,
    /// Changes that publishing has announced.
    announced: usize,
}

impl Run {
    fn new(seed: u64) -> Run {
        let disk = MemDisk::new(seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let options = Options { frozen_max: rng.random_range(1..4), cache_bytes: 1 << 16, ..Options::default() };
        let store = Store::open(Arc::new(disk.clone()), Path::new(PATH), options.clone()).unwrap();
        let model = Model::new();
        let past = BTreeMap::from([(0, model.clone())]);
        Run { rng, disk, store, options, model, index: 0, past, jobs: VecDeque::new(), views: Vec::new(), announced: 0 }
    }

    fn run(mut self, steps: usize) {
        for _ in 0..steps {
            match self.rng.random_range(0..100) {
                0..55 => self.entry(),
                55..65 => self.publish(),
                65..72 => self.jobs.extend(self.store.seal(self.index)),
                72..80 => self.finish_job(),
                80..83 => self.compact(),
                83..90 => self.sweep(),
                90..98 => self.hold_or_release(),
                98 => self.reopen(),
                _ => self.check_hashes(),
            }
        }
        while !self.jobs.is_empty() {
            self.finish_job();
        }
        if let Some(job) = self.store.seal(self.index) {
            self.jobs.push_back(job);
            self.finish_job();
        }
        assert_eq!(self.store.snapshot().unwrap().last(), self.store.applied());
        self.views.clear();
        assert!(self.store.check().unwrap().problems.is_empty());
        self.reopen();
        check_image(&mut self.rng, self.store.image(), &self.model);
        let leased: Vec<_> = self.model.keys(b"", &[0], i64::MAX).into_iter().filter(|kv| kv.lease != 0).collect();
        let leased: Vec<_> = leased.into_iter().map(|kv| (kv.key, kv.lease)).collect();
        assert_eq!(self.store.take_lease_attachments(), leased);
    }

    fn entry(&mut self) {
        let entry = EntryId { term: 1 + self.index / 100, index: self.index + 1 };
        let mut model = self.model.clone();
        let rng = &mut self.rng;
        let mut txn = self.store.begin(entry);
        let main = model.revision + 1;
        let mut sub = 0;
        for _ in 0..rng.random_range(0..5) {
            let key = random_key(rng);
            match rng.random_range(0..10) {
                0..6 => {
                    let length = *[0, 3, 20, 40, 6000].choose(rng).unwrap();
                    let value: Vec<u8> = (0..length).map(|_| rng.random_range(b'a'..b'd')).collect();
                    let lease = *[0, 0, 7, -3].choose(rng).unwrap();
                    let revision = Revision { main, sub };
                    model.put(revision, &key, &value, lease);
                    let put = txn.put(&key, &value, lease);
                    let expected = model.get(&key, main).unwrap();
                    assert_eq!(put.revision, revision);
                    assert_eq!((put.create_revision, put.version), (expected.create_revision, expected.version));
                    sub += 1;
                }
                6..8 => {
                    let end = random_end(rng);
                    let gone = model.keys(&key, &end, main);
                    for kv in &gone {
                        model.delete(Revision { main, sub }, &kv.key);
                        sub += 1;
                    }
                    let keys: Vec<_> = gone.into_iter().map(|kv| kv.key).collect();
                    let mut told = Vec::new();
                    assert_eq!(txn.delete_range(&key, &end, &mut |key| told.push(key.clone())), keys.len());
                    assert_eq!(told, keys);
                }
                8 => check_range(rng, txn.image(), &model),
                _ => random_raw(rng, &mut txn, &mut model),
            }
        }
        assert_eq!(txn.has_changes(), sub > 0);
        if rng.random_bool(0.1) {
            drop(txn);
            assert_eq!(self.store.image().revision(), self.model.revision);
            return;
        }
        assert_eq!(txn.commit(), model.revision);
        self.commit(model);
    }

    fn commit(&mut self, model: Model) {
        self.index += 1;
        self.model = model;
        self.past.insert(self.index, self.model.clone());
        assert_eq!(self.store.applied().index, self.index);
    }

    fn compact(&mut self) {
        let at = self.rng.random_range(-2..self.model.revision + 2);
        let mut txn = self.store.begin(EntryId { term: 9, index: self.index + 1 });
        let mut model = self.model.clone();
        match txn.compact(at) {
            Ok(()) => {
                assert!(at > model.compacted && at <= model.revision);
                model.compacted = at;
            }
            Err(Error::Compacted) => assert!(at <= model.compacted),
            Err(Error::FutureRevision) => assert!(at > model.revision),
            Err(other) => panic!("{other}"),
        }
        if self.rng.random_bool(0.2) {
            return;
        }
        txn.commit();
        self.commit(model);
    }

    fn sweep(&mut self) {
        let budget = self.rng.random_range(1..30);
        let progress = self.store.sweep(budget).unwrap();
        assert_eq!(progress == SweepProgress::Idle, !self.store.is_sweeping() && progress == SweepProgress::Idle);
    }

    fn publish(&mut self) {
        let batch = self.store.publish();
        let changes = &self.model.changes[self.announced..];
        assert_eq!(batch.is_some(), !changes.is_empty());
        if let Some(batch) = batch {
            assert_eq!(batch.view.revision(), self.model.revision);
            assert_events(batch.events.iter().cloned(), changes);
        }
        self.announced = self.model.changes.len();
        let view = self.store.reader().view();
        assert_eq!(view.applied(), self.store.applied());
        check_image(&mut self.rng, &view, &self.model);
    }

    fn finish_job(&mut self) {
        let Some(job) = self.jobs.pop_front() else { return };
        let committed = job.run().unwrap();
        let last = committed.last();
        self.store.committed(committed);
        assert_eq!(self.store.committed_entry(), last);
        self.past = self.past.split_off(&last.index);
    }

    fn hold_or_release(&mut self) {
        if self.views.len() < 6 {
            self.publish();
            self.views.push((self.store.reader().view(), self.model.clone()));
        } else {
            let at = self.rng.random_range(0..self.views.len());
            let (view, model) = self.views.swap_remove(at);
            check_image(&mut self.rng, &view, &model);
            check_events(&mut self.rng, &view, &model);
        }
    }

    /// The process ends, and whatever was not committed is gone.
    fn reopen(&mut self) {
        self.views.clear();
        self.jobs.clear();
        self.disk = self.disk.power_loss();
        self.store = Store::open(Arc::new(self.disk.clone()), Path::new(PATH), self.options.clone()).unwrap();
        self.index = self.store.applied().index;
        self.model = self.past[&self.index].clone();
        self.past.split_off(&(self.index + 1));
        self.announced = self.model.changes.len();
        check_image(&mut self.rng, self.store.image(), &self.model);
    }

    fn check_hashes(&mut self) {
        self.store.publish();
        self.announced = self.model.changes.len();
        let view = self.store.reader().view();
        for _ in 0..3 {
            let asked = self.rng.random_range(-1..self.model.revision + 2);
            let at = if asked == 0 { self.model.revision } else { asked };
            match view.hash_kv(asked, HashRule::V3_5) {
                Ok(hash) => {
                    assert_eq!(hash.hash, self.model.hash_kv(at), "revision {at}");
                    assert_eq!((hash.hash_revision, hash.compact_revision), (at, self.model.compacted));
                }
                Err(Error::Compacted) => assert!(at <= self.model.compacted),
                Err(Error::FutureRevision) => assert!(at > self.model.revision),
                Err(other) => panic!("{other}"),
            }
        }
        for compacted in [self.model.compacted, self.model.compacted / 2] {
            self.check_remembered(&view, compacted);
        }
    }

    /// A remembered hash is what a hash at that revision was before that compaction.
    fn check_remembered(&self, view: &View, at: i64) {
        let Ok(hash) = view.hash_kv(at, HashRule::V3_7) else { return };
        if at > 0 && hash.compact_revision < at {
            let mut before = self.model.clone();
            before.compacted = hash.compact_revision;
            // Compaction hashes with its own keep set, which holds a tombstone at the compacted revision.
            let tombstones = before.changes.iter().any(|c| c.tombstone && c.revision.main <= at);
            if !tombstones {
                assert_eq!(hash.hash, before.hash_kv(at), "compaction at {at} after {}", hash.compact_revision);
            }
        }
    }
}

fn random_key(rng: &mut SmallRng) -> Vec<u8> {
    match rng.random_range(0..10) {
        0 => b"\0".to_vec(),
        1 => vec![b'k'; 200],
        _ => format!("k{:02}", rng.random_range(0..90)).into_bytes(),
    }
}

fn random_end(rng: &mut SmallRng) -> Vec<u8> {
    match rng.random_range(0..12) {
        0 => vec![0],
        1..6 => random_key(rng),
        _ => Vec::new(),
    }
}

const RAW: [Bucket; 4] = [Bucket::Lease, Bucket::AuthUsers, Bucket::Members, Bucket::Cluster];

fn random_raw(rng: &mut SmallRng, txn: &mut mvcc::Txn<'_>, model: &mut Model) {
    let bucket = *RAW.choose(rng).unwrap();
    let key = vec![b'a' + rng.random_range(0..6)];
    if rng.random_bool(0.6) {
        let value = vec![rng.random(); rng.random_range(0..9)];
        txn.put_raw(bucket, &key, &value);
        model.raw.insert((bucket, key), value);
    } else {
        txn.delete_raw(bucket, &key);
        model.raw.remove(&(bucket, key));
    }
    check_raw(txn.image(), model);
}

fn check_raw(image: &Image, model: &Model) {
    for bucket in RAW {
        let pairs: Vec<_> = image.scan(bucket, b"", None).map(|pair| pair.unwrap()).collect();
        let expected = model.raw.iter().filter(|((b, _), _)| *b == bucket);
        let expected: Vec<_> = expected.map(|((_, k), v)| (k.clone().into(), v.clone().into())).collect();
        assert_eq!(pairs, expected);
        let from_c: Vec<_> = image.scan(bucket, b"c", Some(b"e")).map(|pair| pair.unwrap().0).collect();
        assert!(from_c.iter().all(|k| (&b"c"[..]..&b"e"[..]).contains(&&k[..])));
        let value = image.get(bucket, b"c").unwrap();
        assert_eq!(value.as_deref(), model.raw.get(&(bucket, b"c".to_vec())).map(|v| &v[..]));
    }
}

fn check_image(rng: &mut SmallRng, image: &Image, model: &Model) {
    assert_eq!(image.revision(), model.revision);
    assert_eq!(image.compact_revision(), model.compacted);
    check_raw(image, model);
    for _ in 0..4 {
        check_range(rng, image, model);
    }
    let key = random_key(rng);
    let meta = image.key_meta(&key).map(|meta| (meta.create_revision, meta.mod_revision(), meta.version));
    let kv = model.get(&key, model.revision);
    assert_eq!(meta, kv.as_ref().map(|kv| (kv.create_revision, kv.mod_revision, kv.version)));
    assert_eq!(image.get_kv(&key, 0).unwrap(), kv);
}

fn random_query(rng: &mut SmallRng, model: &Model) -> RangeQuery {
    let revision = |rng: &mut SmallRng| match rng.random_range(0..3) {
        0 => rng.random_range(0..model.revision + 2),
        _ => 0,
    };
    RangeQuery {
        key: random_key(rng).into(),
        range_end: if rng.random_bool(0.7) { random_end(rng).into() } else { vec![0].into() },
        limit: *[0, 0, -1, 1, 2, 10, 70, 1000].choose(rng).unwrap(),
        revision: revision(rng),
        sort_order: *[SortOrder::None, SortOrder::Ascend, SortOrder::Descend].choose(rng).unwrap(),
        sort_target: *[
            SortTarget::Key,
            SortTarget::Key,
            SortTarget::Version,
            SortTarget::Create,
            SortTarget::Mod,
            SortTarget::Value,
        ]
        .choose(rng)
        .unwrap(),
        keys_only: *[KeysOnly::No, KeysOnly::No, KeysOnly::FromIndex, KeysOnly::FromRecords].choose(rng).unwrap(),
        count_only: rng.random_bool(0.1),
        uncounted: rng.random_bool(0.1),
        min_mod_revision: revision(rng),
        max_mod_revision: revision(rng),
        min_create_revision: revision(rng),
        max_create_revision: revision(rng),
    }
}

fn check_range(rng: &mut SmallRng, image: &Image, model: &Model) {
    let query = random_query(rng, model);
    let answer = match image.range(&query) {
        Ok(mut range) => {
            let mut kvs = Vec::new();
            while let Some(kv) = range.next_kv().unwrap() {
                kvs.push(kv);
            }
            assert_eq!(kvs.len(), range.len());
            let mut answer = Answer { kvs, count: range.count(), more: range.more() };
            if query.uncounted {
                let whole = model.range(&query).unwrap();
                assert!((answer.kvs.len() as i64..=whole.count).contains(&answer.count));
                answer.count = whole.count;
            }
            // Both passes of the encoding give the same.
            let mut encoded = range.encode().unwrap();
            let mut bytes = BytesMut::new();
            while encoded.fill(&mut bytes, 0).unwrap() && bytes.len() < encoded.len() {
                let step = bytes.len() + rng.random_range(1..200);
                encoded.fill(&mut bytes, step).unwrap();
            }
            assert_eq!(bytes.len(), encoded.len());
            assert_eq!(RangeResponse::decode(bytes).unwrap().kvs, answer.kvs, "{query:?}");
            Ok(answer)
        }
        Err(Error::Compacted) => Err(Refusal::Compacted),
        Err(Error::FutureRevision) => Err(Refusal::Future),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(answer, model.range(&query), "{query:?}");
}

fn check_events(rng: &mut SmallRng, view: &View, model: &Model) {
    let from = rng.random_range(0..model.revision + 3);
    match view.events(from) {
        Ok(events) => assert_events(events.map(|event| event.unwrap()), &model.history(from)),
        Err(Error::Compacted) => assert!(from < model.compacted),
        Err(other) => panic!("{other}"),
    }
}

fn assert_events(events: impl Iterator<Item = mvcc::Event>, changes: &[model::Change]) {
    let events: Vec<_> = events.collect();
    assert_eq!(events.len(), changes.len());
    for (event, change) in events.iter().zip(changes) {
        assert_eq!(event.revision, change.revision);
        assert_eq!(event.kind == EventKind::Delete, change.tombstone);
        assert_eq!(event.kv.mod_revision, change.revision.main);
        let mut kv = event.kv.clone();
        if change.tombstone {
            kv.mod_revision = 0;
        }
        assert_eq!(kv, change.kv);
        assert_eq!(event.record, kv.encode_to_vec());
    }
}
