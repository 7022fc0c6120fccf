//! Everything readable at one moment.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use proto::mvccpb::KeyValue;

use crate::backend::Bucket;
use crate::backend::layers::Layers;
use crate::backend::scan::RawScan;
use crate::error::{Error, Result};
use crate::index::{Index, KeyMeta, KeyRange};
use crate::record;
use crate::revision::{RecordKey, Revision};
use crate::store::EntryId;
use crate::view::{HashKv, HashRule, Range, RangeQuery};

/// A pinned root of the file, frozen overlays, the live overlay, the key index, all as of one moment. Persistent: a
/// clone is a snapshot in O(1).
#[derive(Clone)]
pub struct Image {
    pub(crate) layers: Layers,
    pub(crate) index: Index,
    pub(crate) revision: i64,
    pub(crate) compact_revision: i64,
    pub(crate) applied: EntryId,
    /// Hashes that sweeps left, oldest first.
    pub(crate) compaction_hashes: Arc<[HashKv]>,
}

impl Image {
    /// The current revision; 1 while nothing was ever written.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The newest revision compacted; -1 while there was none.
    pub fn compact_revision(&self) -> i64 {
        self.compact_revision
    }

    /// The last applied entry: consistent index and its term.
    pub fn applied(&self) -> EntryId {
        self.applied
    }

    /// Finds keys. Errs with `Compacted` and `FutureRevision` for the asked revision.
    pub fn range(&self, query: &RangeQuery) -> Result<Range<&Image>> {
        Range::new(self, query)
    }

    /// The key as of `revision` (0 or less = now), `None` if it did not exist then.
    /// Errs with `Compacted` and `FutureRevision`.
    pub fn get_kv(&self, key: &[u8], revision: i64) -> Result<Option<KeyValue>> {
        match self.index.meta_at(key, self.resolve(revision)?) {
            Some(meta) => record::decode(self.record(meta.revision)?).map(Some),
            None => Ok(None),
        }
    }

    /// What the index knows about the key now; reads no record.
    pub fn key_meta(&self, key: &[u8]) -> Option<KeyMeta> {
        self.index.meta_at(key, self.revision)
    }

    /// The number of keys in the range `[key, range_end)` now, by etcd's rules for `range_end`.
    pub fn count(&self, key: &[u8], range_end: &[u8]) -> i64 {
        self.index.alive(KeyRange::new(key, range_end), self.revision).count() as i64
    }

    /// As [`Image::count`], but walks no further than `max` keys: tells a small range from a large one.
    pub fn count_up_to(&self, key: &[u8], range_end: &[u8], max: usize) -> usize {
        self.index.alive(KeyRange::new(key, range_end), self.revision).take(max).count()
    }

    /// Open readers of the backend file, this image's among them.
    pub fn open_readers(&self) -> u64 {
        self.layers.root.tx().open_readers()
    }

    /// A raw pair. Of `meta`, `consistent_index` and `term` are asked through [`Image::applied`].
    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>> {
        match bucket {
            Bucket::Key => match RecordKey::from_bytes(key) {
                Ok(key) => self.layers.record(key),
                Err(_) => Ok(None),
            },
            _ => self.layers.get(bucket, key),
        }
    }

    /// The raw pairs with `start <= key`, and `key < end` where `end` is given, in key order. Not for [`Bucket::Key`],
    /// whose records [`crate::View::events`] gives.
    pub fn scan(&self, bucket: Bucket, start: &[u8], end: Option<&[u8]>) -> RawScan {
        assert!(bucket != Bucket::Key, "the key bucket is not scanned raw");
        self.layers.scan(bucket, start, end)
    }

    /// HashKV at `revision` (0 = current), by the rule of a release. Walks all records up to it: not for a front-door
    /// thread. Errs with `Compacted` and `FutureRevision`.
    pub fn hash_kv(&self, revision: i64, rule: HashRule) -> Result<HashKv> {
        super::hash::hash_kv(self, revision, rule)
    }

    /// The hash that the sweep of this compaction left, while it is remembered.
    pub fn hash_of_compaction(&self, revision: i64) -> Option<u32> {
        let remembered = self.compaction_hashes.iter().rfind(|hash| hash.hash_revision == revision);
        remembered.map(|remembered| remembered.hash)
    }

    /// The hashes that sweeps left and that are remembered, oldest first.
    pub fn compaction_hashes(&self) -> &[HashKv] {
        &self.compaction_hashes
    }

    /// Hash over the whole backend, by the rule of a release. Walks everything: not for a front-door thread.
    pub fn hash(&self, rule: HashRule) -> Result<u32> {
        super::hash::hash(self, rule)
    }

    /// Size of the file in bytes up to its high-water mark (`dbSize`), as of the last commit.
    pub fn size(&self) -> u64 {
        self.layers.root.size()
    }

    /// That without its free pages (`dbSizeInUse`).
    pub fn size_in_use(&self) -> u64 {
        self.layers.root.size_in_use()
    }

    /// The number of keys in the index, deleted ones that no compaction has taken yet too.
    pub fn index_len(&self) -> usize {
        self.index.len()
    }

    /// The main revision that a read at `revision` reads at.
    pub(crate) fn resolve(&self, revision: i64) -> Result<i64> {
        match revision {
            ..=0 => Ok(self.revision),
            asked if asked < self.compact_revision => Err(Error::Compacted),
            asked if asked > self.revision => Err(Error::FutureRevision),
            asked => Ok(asked),
        }
    }

    /// The record of a put that the index knows.
    pub(crate) fn record(&self, revision: Revision) -> Result<Bytes> {
        match self.layers.record(RecordKey { revision, tombstone: false })? {
            Some(record) => Ok(record),
            None => Err(Error::Corrupt {
                bucket: Bucket::Key.name(),
                what: format!("revision {}_{} is in the index, not in the bucket", revision.main, revision.sub),
            }),
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("revision", &self.revision)
            .field("compact_revision", &self.compact_revision)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}
