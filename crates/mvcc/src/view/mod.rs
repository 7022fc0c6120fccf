//! The read half: a moment of the store, taken in O(1), read at leisure.

mod events;
mod hash;
mod query;
mod range;

use std::sync::Arc;

use bytes::Bytes;
use proto::mvccpb::KeyValue;

use crate::backend::{Bucket, RawScan};
use crate::error::Result;
use crate::index::KeyMeta;
use crate::store::EntryId;

pub use events::EventScan;
pub use hash::{HashKv, HashRule};
pub use query::{KeysOnly, RangeQuery, SortOrder, SortTarget};
pub use range::{EncodedRange, Range, RangeItem};

/// Everything readable at one moment: a pinned root of the file, frozen overlays, the live overlay, the index.
#[derive(Clone, Debug)]
pub struct Image {}

impl Image {
    /// The current revision; 1 while nothing was ever written.
    pub fn revision(&self) -> i64 {
        todo!()
    }

    /// The newest revision compacted; -1 while there was none.
    pub fn compact_revision(&self) -> i64 {
        todo!()
    }

    /// The last applied entry: consistent index and its term.
    pub fn applied(&self) -> EntryId {
        todo!()
    }

    /// Finds keys. Errs with `Compacted` and `FutureRevision` for the asked revision.
    pub fn range(&self, _query: &RangeQuery) -> Result<Range<&Image>> {
        todo!()
    }

    /// The key as of `revision` (0 or less = now), `None` if it did not exist then.
    /// Errs with `Compacted` and `FutureRevision`.
    pub fn get_kv(&self, _key: &[u8], _revision: i64) -> Result<Option<KeyValue>> {
        todo!()
    }

    /// What the index knows about the key now; reads no record.
    pub fn key_meta(&self, _key: &[u8]) -> Option<KeyMeta> {
        todo!()
    }

    /// The number of keys in the range `[key, range_end)` now, by etcd's rules for `range_end`.
    pub fn count(&self, _key: &[u8], _range_end: &[u8]) -> i64 {
        todo!()
    }

    /// A raw pair. `consistent_index` and `term` of a view are [`Image::applied`], not to be asked here.
    pub fn get(&self, _bucket: Bucket, _key: &[u8]) -> Result<Option<Bytes>> {
        todo!()
    }

    /// The raw pairs with `start <= key`, and `key < end` where `end` is given, in key order.
    pub fn scan(&self, _bucket: Bucket, _start: &[u8], _end: Option<&[u8]>) -> RawScan {
        todo!()
    }

    /// HashKV at `revision` (0 = current), by the rule of a release. Walks all records up to it: not for a front-door thread.
    pub fn hash_kv(&self, _revision: i64, _rule: HashRule) -> Result<HashKv> {
        todo!()
    }

    /// Hash over the whole backend, by the rule of a release. Walks everything: not for a front-door thread.
    pub fn hash(&self, _rule: HashRule) -> Result<u32> {
        todo!()
    }

    /// Size of the file in bytes up to its high-water mark (`dbSize`), as of the last commit.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// That without its free pages (`dbSizeInUse`).
    pub fn size_in_use(&self) -> u64 {
        todo!()
    }
}

/// An [`Image`] shared by pointer. Holds back the reuse of pages of the file: let go of it in bounded time.
#[derive(Clone, Debug)]
pub struct View(Arc<Image>);

impl std::ops::Deref for View {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.0
    }
}

impl std::borrow::Borrow<Image> for View {
    fn borrow(&self) -> &Image {
        &self.0
    }
}

impl View {
    /// As [`Image::range`], with a result that holds the view itself.
    pub fn range(&self, _query: &RangeQuery) -> Result<Range<View>> {
        todo!()
    }

    /// All changes from main revision `from` on, up to this view's current revision, in revision order.
    /// Errs with `Compacted` where `from` <= the compact revision... a watcher that starts exactly at it is served.
    pub fn events(&self, _from: i64) -> Result<EventScan> {
        todo!()
    }
}

/// Hands out views of the last published moment, from any thread.
#[derive(Clone)]
pub struct Reader {}

impl Reader {
    /// The last published moment, in O(1).
    pub fn view(&self) -> View {
        todo!()
    }
}
