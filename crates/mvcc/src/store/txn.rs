//! The transaction of one entry.

use bytes::Bytes;
use proto::mvccpb::KeyValue;
use proto::raftpb::ConfState;

use crate::backend::{Bucket, RawScan};
use crate::error::Result;
use crate::index::KeyMeta;
use crate::revision::Revision;
use crate::store::{EntryId, Store};
use crate::view::{Image, Range, RangeQuery};

/// The changes of one raft entry. Records the entry's index and term itself on [`Txn::commit`]; dropped without it,
/// nothing has happened.
pub struct Txn<'a> {
    _store: &'a mut Store,
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutResult {
    pub revision: Revision,
    pub create_revision: i64,
    pub version: i64,
}

impl Txn<'_> {
    /// The entry.
    pub fn entry(&self) -> EntryId {
        todo!()
    }

    /// The state with the changes made so far.
    pub fn image(&self) -> &Image {
        todo!()
    }

    /// The revision that a read sees now: that of this transaction once it has changed a key, else the current one.
    pub fn revision(&self) -> i64 {
        todo!()
    }

    /// Whether a key was changed.
    pub fn has_changes(&self) -> bool {
        todo!()
    }

    /// Puts a key; the lease is the caller's to check.
    pub fn put(&mut self, _key: &[u8], _value: &[u8], _lease: i64) -> PutResult {
        todo!()
    }

    /// Deletes the keys in the range, by etcd's rules for `range_end`, in key order; gives those that existed.
    pub fn delete_range(&mut self, _key: &[u8], _range_end: &[u8]) -> Vec<Bytes> {
        todo!()
    }

    /// See [`Image::range`].
    pub fn range(&self, _query: &RangeQuery) -> Result<Range<&Image>> {
        todo!()
    }

    /// The key as it stands now.
    pub fn get_kv(&self, _key: &[u8]) -> Result<Option<KeyValue>> {
        todo!()
    }

    /// What the index knows about the key now; reads no record.
    pub fn key_meta(&self, _key: &[u8]) -> Option<KeyMeta> {
        todo!()
    }

    /// Marks everything older than `revision` compacted, visible at once; [`Store::sweep`] does the rest.
    /// Errs with `Compacted` at or below the last compaction, with `FutureRevision` above the current revision.
    pub fn compact(&mut self, _revision: i64) -> Result<()> {
        todo!()
    }

    /// A raw pair.
    pub fn get(&self, _bucket: Bucket, _key: &[u8]) -> Result<Option<Bytes>> {
        todo!()
    }

    /// Writes a raw pair. Not for [`Bucket::Key`], nor for what the store itself keeps in [`Bucket::Meta`].
    pub fn put_raw(&mut self, _bucket: Bucket, _key: &[u8], _value: &[u8]) {
        todo!()
    }

    /// Deletes a raw pair; nothing happens where there is none. Bounds as [`Txn::put_raw`].
    pub fn delete_raw(&mut self, _bucket: Bucket, _key: &[u8]) {
        todo!()
    }

    /// See [`Image::scan`].
    pub fn scan(&self, _bucket: Bucket, _start: &[u8], _end: Option<&[u8]>) -> RawScan {
        todo!()
    }

    /// Records the raft configuration.
    pub fn set_conf_state(&mut self, _conf_state: &ConfState) {
        todo!()
    }

    /// Ends the entry: its changes and its index stand. Gives the store's revision.
    pub fn commit(self) -> i64 {
        todo!()
    }
}
