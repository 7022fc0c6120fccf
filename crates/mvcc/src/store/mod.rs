//! The write half, with one owner.

mod compact;
mod load;
mod offline;
mod options;
mod txn;

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::base::Root;
use crate::backend::shrink::Series;
use crate::backend::{Bucket, CommitJob, Committed, MetaKey, ShrinkJob, Shrunk, SnapshotSource};
use crate::error::Result;
use crate::event::{Event, EventBatch};
use crate::store::compact::Sweeper;
use crate::view::{Image, Reader, View};

pub use compact::SweepProgress;
pub use offline::OfflineEdit;
pub use options::{EntryId, Options, Pending};
pub use txn::{PutResult, Txn};

/// The write half of the keyspace and the database under it.
///
/// Its owner applies entries one by one with [`Store::begin`], shows them with [`Store::publish`], and keeps the commits
/// going with [`Store::seal`] and [`Store::committed`]. Between entries it may sweep, migrate and shrink.
pub struct Store {
    db: bolt::Db,
    options: Options,
    /// The newest state; between transactions it stands at an entry boundary.
    image: Image,
    /// The last entry that was sealed.
    sealed: EntryId,
    reader: Reader,
    /// Of committed entries, not published yet.
    events: Vec<Event>,
    /// Entries were committed since the last publish.
    unpublished: bool,
    sweeper: Sweeper,
    /// Steps of a transaction under way, to be undone if it is dropped. Kept for its room.
    undo: Vec<txn::Undo>,
    lease_attachments: Vec<(Bytes, i64)>,
    /// A step of shrinking is under way.
    shrinking: bool,
    /// How the series of steps that goes on gets on.
    shrink_series: Option<Series>,
}

impl Store {
    /// The last entry applied: consistent index and its term.
    pub fn applied(&self) -> EntryId {
        self.image.applied
    }

    /// The last entry in the file.
    pub fn committed_entry(&self) -> EntryId {
        self.image.layers.root.last()
    }

    /// The newest state, also where it is not published yet.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The keys whose newest record names a lease, with that lease, in key order, as found when the store was opened.
    /// Gives them once.
    pub fn take_lease_attachments(&mut self) -> Vec<(Bytes, i64)> {
        std::mem::take(&mut self.lease_attachments)
    }

    /// Begins the transaction of an entry, whose index must be above that of [`Store::applied`].
    pub fn begin(&mut self, entry: EntryId) -> Txn<'_> {
        let applied = self.image.applied;
        assert!(entry.index > applied.index, "entry {entry:?} must follow {applied:?}");
        Txn::new(self, entry)
    }

    /// Makes all committed entries visible to readers, and gives the events since the last call, `None` where there
    /// are none. To be called after a sweep or a commit too, so that readers let go of what is old.
    pub fn publish(&mut self) -> Option<Arc<EventBatch>> {
        let view = View::new(self.image.clone());
        self.reader.publish(view.clone());
        self.unpublished = false;
        let events = std::mem::take(&mut self.events);
        (!events.is_empty()).then(|| Arc::new(EventBatch { events, view }))
    }

    /// Hands out views of what was published last.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// What waits for a commit.
    pub fn pending(&self) -> Pending {
        let bytes = self.image.layers.overlay_bytes();
        Pending {
            changes: self.image.layers.live.changes(),
            entries: self.image.applied.index.saturating_sub(self.sealed.index),
            bytes,
            jobs: self.image.layers.frozen.len(),
            full: bytes > self.options.overlay_bytes_max,
        }
    }

    /// Freezes what has gathered and gives the job that commits it. `None` where nothing has, where
    /// [`Options::frozen_max`] jobs are under way, or where the last applied entry is above `durable_commit`, the
    /// commit index of the last durable hard state.
    pub fn seal(&mut self, durable_commit: u64) -> Option<CommitJob> {
        let applied = self.image.applied;
        let layers = &mut self.image.layers;
        let is_clean = applied == self.sealed && layers.live.changes() == 0;
        if is_clean
            || self.options.read_only
            || layers.frozen.len() >= self.options.frozen_max
            || applied.index > durable_commit
        {
            return None;
        }
        let mut overlay = std::mem::take(&mut layers.live);
        let mut number = |key: MetaKey, number: u64| {
            let value = Bytes::copy_from_slice(&number.to_be_bytes());
            overlay.set(Bucket::Meta, Bytes::from_static(key.bytes()), Some(value));
        };
        // Zero is what an absent key means, and is never written.
        if applied.index != 0 {
            number(MetaKey::ConsistentIndex, applied.index);
        }
        if applied.term != 0 && self.options.write_term {
            number(MetaKey::Term, applied.term);
        }
        let overlay = Arc::new(overlay);
        layers.frozen = layers.frozen.iter().chain([&overlay]).cloned().collect();
        self.sealed = applied;
        Some(CommitJob::new(self.db.clone(), overlay, applied))
    }

    /// Takes the result of the oldest job under way.
    pub fn committed(&mut self, committed: Committed) {
        let frozen = &self.image.layers.frozen;
        let is_oldest = frozen.first().is_some_and(|oldest| Arc::ptr_eq(oldest, &committed.overlay));
        assert!(is_oldest, "commits are taken in the order in which they were sealed");
        self.image.layers.frozen = frozen.iter().skip(1).cloned().collect();
        self.rebase(committed.root);
    }

    /// Goes on from a newer root with the same content.
    fn rebase(&mut self, root: Root) {
        self.image.layers.root = root;
        // Readers move on at once, so that the old root's pages come free; but they are shown no entry before its time.
        if !self.unpublished {
            self.reader.publish(View::new(self.image.clone()));
        }
    }

    /// The file as it stands, where it holds everything up to [`Store::applied`]; else seal, run, and ask the result.
    pub fn snapshot(&self) -> Option<SnapshotSource> {
        let layers = &self.image.layers;
        let is_whole = layers.frozen.is_empty() && layers.live.changes() == 0 && self.sealed == self.image.applied;
        is_whole.then(|| SnapshotSource::new(layers.root.clone(), self.sealed))
    }

    /// Whether compactions wait to be swept.
    pub fn is_sweeping(&self) -> bool {
        !self.sweeper.is_idle()
    }

    /// Records swept away since the store was opened.
    pub fn swept_records(&self) -> u64 {
        self.sweeper.records
    }

    /// Sets the key `storageVersion`, or removes it.
    pub fn migrate_storage(&mut self, version: Option<&str>) {
        let key = Bytes::from_static(MetaKey::StorageVersion.bytes());
        let value = version.map(|version| Bytes::copy_from_slice(version.as_bytes()));
        self.image.layers.live.set(Bucket::Meta, key, value);
    }

    /// A step of giving space back, to be run where commit jobs run and in order with them, its result handed to
    /// [`Store::shrunk`] in order with theirs. `None` while one is under way.
    pub fn shrink_step(&mut self, pages_max: u64) -> Option<ShrinkJob> {
        if self.shrinking || self.options.read_only {
            return None;
        }
        self.shrinking = true;
        let series = *self.shrink_series.get_or_insert_with(|| Series::new(self.db.stats().size));
        Some(ShrinkJob::new(self.db.clone(), pages_max, series))
    }

    /// Takes the result of a step.
    pub fn shrunk(&mut self, shrunk: Shrunk) {
        self.shrinking = false;
        self.shrink_series = (!shrunk.is_done()).then_some(shrunk.series);
        self.rebase(shrunk.root);
    }

    /// Changes by the offline tools. Not for a store that serves.
    pub fn offline(&mut self) -> OfflineEdit<'_> {
        OfflineEdit::new(self)
    }

    /// Figures of the file.
    pub fn stats(&self) -> bolt::Stats {
        self.db.stats()
    }

    /// Walks the whole file and compares it with what it should be.
    pub fn check(&self) -> Result<bolt::Report> {
        Ok(self.db.check()?)
    }
}
