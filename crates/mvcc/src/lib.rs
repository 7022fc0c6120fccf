//! Revisions, key index, write transactions, read views, compaction, hashes, and the watch hub.
//!
//! [`Store`] is the write half and has one owner, the applier. Every raft entry is one [`Txn`], which records the
//! entry's index and term itself. Changes gather in overlays in memory; [`Store::seal`] freezes one at an entry boundary
//! and gives a [`CommitJob`] that writes it into the bolt file wherever the caller likes to run it.
//! [`Store::publish`] makes what is committed visible to [`Reader::view`], which takes a [`View`] of one moment in O(1).
//!
//! This room knows no thread, no clock and no randomness, and neither requests nor leases.

pub mod backend;
mod error;
mod event;
mod index;
mod record;
mod revision;
mod store;
mod view;
pub mod watch;

pub use backend::{Bucket, CommitJob, Committed, MetaKey, RawScan, ShrinkJob, Shrunk, SnapshotChunks, SnapshotSource};
pub use error::{Error, Result};
pub use event::{Event, EventBatch, EventKind};
pub use index::KeyMeta;
pub use revision::Revision;
pub use store::{EntryId, OfflineEdit, Options, Pending, PutResult, Store, SweepProgress, Txn};
pub use view::{
    EncodedRange, EventScan, HashKv, HashRule, Image, KeysOnly, Range, RangeItem, RangeQuery, Reader, SortOrder,
    SortTarget, View,
};
