//! A keyspace as simple as can be: every change ever made, in a list. What the store answers must follow from it.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;

use mvcc::{Bucket, KeysOnly, RangeQuery, Revision, SortOrder, SortTarget};
use prost::Message;
use proto::mvccpb::KeyValue;

/// A change of a key, in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub revision: Revision,
    pub tombstone: bool,
    /// For a tombstone only the key.
    pub kv: KeyValue,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub changes: Vec<Change>,
    pub revision: i64,
    pub compacted: i64,
    pub raw: BTreeMap<(Bucket, Vec<u8>), Vec<u8>>,
}

/// The answer to a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub kvs: Vec<KeyValue>,
    pub count: i64,
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    Compacted,
    Future,
}

impl Model {
    pub fn new() -> Model {
        Model { changes: Vec::new(), revision: 1, compacted: -1, raw: BTreeMap::new() }
    }

    pub fn put(&mut self, revision: Revision, key: &[u8], value: &[u8], lease: i64) {
        let before = self.get(key, i64::MAX);
        let kv = KeyValue {
            key: key.to_vec().into(),
            create_revision: before.as_ref().map_or(revision.main, |kv| kv.create_revision),
            mod_revision: revision.main,
            version: before.as_ref().map_or(0, |kv| kv.version) + 1,
            value: value.to_vec().into(),
            lease,
        };
        self.changes.push(Change { revision, tombstone: false, kv });
        self.revision = revision.main;
    }

    pub fn delete(&mut self, revision: Revision, key: &[u8]) {
        let kv = KeyValue { key: key.to_vec().into(), ..KeyValue::default() };
        self.changes.push(Change { revision, tombstone: true, kv });
        self.revision = revision.main;
    }

    /// The newest change of each key at or before `at`, in key order.
    fn newest(&self, at: i64) -> BTreeMap<&[u8], &Change> {
        self.changes.iter().filter(|c| c.revision.main <= at).map(|c| (&c.kv.key[..], c)).collect()
    }

    pub fn get(&self, key: &[u8], at: i64) -> Option<KeyValue> {
        let newest = self.changes.iter().rfind(|c| c.revision.main <= at && c.kv.key == key)?;
        (!newest.tombstone).then(|| newest.kv.clone())
    }

    pub fn keys(&self, key: &[u8], end: &[u8], at: i64) -> Vec<KeyValue> {
        let inside = |k: &[u8]| match end {
            [] => k == key,
            [0] => k >= key,
            end => k >= key && k < end,
        };
        let newest = self.newest(at).into_iter();
        newest.filter(|(k, c)| inside(k) && !c.tombstone).map(|(_, c)| c.kv.clone()).collect()
    }

    pub fn range(&self, query: &RangeQuery) -> Result<Answer, Refusal> {
        let at = match query.revision {
            ..=0 => self.revision,
            at if at < self.compacted => return Err(Refusal::Compacted),
            at if at > self.revision => return Err(Refusal::Future),
            at => at,
        };
        let mut kvs = self.keys(&query.key, &query.range_end, at);
        let count = kvs.len() as i64;
        if query.count_only {
            return Ok(Answer { kvs: Vec::new(), count, more: false });
        }
        let limit = if query.limit > 0 { query.limit as usize } else { usize::MAX };
        let bounds =
            [query.max_mod_revision, query.min_mod_revision, query.max_create_revision, query.min_create_revision];
        let filtered = bounds.iter().any(|bound| *bound != 0);
        let key_ascending = query.sort_target == SortTarget::Key && query.sort_order == SortOrder::Ascend;
        if !filtered && (query.sort_order == SortOrder::None || key_ascending) {
            kvs.truncate(limit.saturating_add(1));
        }
        kvs.retain(|kv| {
            (bounds[0] == 0 || kv.mod_revision <= bounds[0])
                && (bounds[1] == 0 || kv.mod_revision >= bounds[1])
                && (bounds[2] == 0 || kv.create_revision <= bounds[2])
                && (bounds[3] == 0 || kv.create_revision >= bounds[3])
        });
        kvs.sort_by(|a, b| {
            let order = match query.sort_target {
                SortTarget::Key => a.key.cmp(&b.key),
                SortTarget::Version => a.version.cmp(&b.version),
                SortTarget::Create => a.create_revision.cmp(&b.create_revision),
                SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
                SortTarget::Value => a.value.cmp(&b.value),
            };
            if query.sort_order == SortOrder::Descend { order.reverse() } else { order }
        });
        let more = kvs.len() > limit;
        kvs.truncate(limit);
        for kv in &mut kvs {
            if query.keys_only != KeysOnly::No {
                kv.value.clear();
            }
            if query.keys_only == KeysOnly::FromIndex && query.sort_target != SortTarget::Value {
                kv.lease = 0;
            }
        }
        Ok(Answer { kvs, count, more })
    }

    /// Whether compaction at `at` keeps the change.
    fn is_kept(&self, change: &Change, at: i64) -> bool {
        let newest = self.newest(at);
        let is_newest = newest.get(&change.kv.key[..]).is_some_and(|c| c.revision == change.revision);
        is_newest && (!change.tombstone || change.revision.main == at)
    }

    /// The changes that are left, from main revision `from` on.
    pub fn history(&self, from: i64) -> Vec<Change> {
        let left = |c: &&Change| c.revision.main > self.compacted || self.is_kept(c, self.compacted);
        self.changes.iter().filter(|c| c.revision.main >= from).filter(left).cloned().collect()
    }

    /// HashKV by the facts, word by word.
    pub fn hash_kv(&self, at: i64) -> u32 {
        let mut hash = crc32c::crc32c(b"key");
        let newest = self.newest(at);
        let keep: Vec<Revision> = newest.values().filter(|c| !c.tombstone).map(|c| c.revision).collect();
        for change in self.history(0) {
            let main = change.revision.main;
            let below = main <= self.compacted;
            let is_left_out = below && !keep.is_empty() && !keep.contains(&change.revision);
            if main > at || is_left_out || (main == self.compacted && change.tombstone) {
                continue;
            }
            let mut key = change.revision.to_bytes().to_vec();
            key.extend(change.tombstone.then_some(b't'));
            hash = crc32c::crc32c_append(hash, &key);
            hash = crc32c::crc32c_append(hash, &change.kv.encode_to_vec());
        }
        hash
    }
}
