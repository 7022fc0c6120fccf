//! The write half, with one owner.

mod offline;
mod txn;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::Disk;

use crate::backend::{CommitJob, Committed, SnapshotSource};
use crate::error::Result;
use crate::event::EventBatch;
use crate::view::{Image, Reader};

pub use offline::OfflineEdit;
pub use txn::{PutResult, Txn};

/// The identity of a raft entry. Ordered by term, then index, as entries are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    pub term: u64,
    pub index: u64,
}

/// How to open a [`Store`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of pages that the file may keep in memory.
    pub cache_bytes: usize,
    /// Overlay bytes (live and frozen) above which [`Pending::full`] asks the owner to wait for a commit.
    pub overlay_bytes_max: usize,
    /// Frozen overlays waiting for their commit at a time.
    pub frozen_max: usize,
    /// Whether `term` is written beside `consistent_index`: 3.4 knows no such key.
    pub write_term: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { cache_bytes: 64 << 20, overlay_bytes_max: 64 << 20, frozen_max: 1, write_term: true }
    }
}

/// What waits for a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Changes in the live overlay.
    pub changes: usize,
    /// Bytes in live and frozen overlays.
    pub bytes: usize,
    /// The owner must wait for [`Store::committed`] before it begins another entry.
    pub full: bool,
}

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepProgress {
    /// Nothing is left to sweep.
    Idle,
    /// There is more.
    More,
    /// The sweep of this compaction ended with this slice; there may be more compactions waiting.
    Finished { revision: i64 },
}

/// The write half of the keyspace and the database under it.
pub struct Store {}

impl Store {
    /// Opens the file, creates it and its buckets where absent, loads the index; a compaction that was scheduled and
    /// not finished is resumed by [`Store::sweep`].
    pub fn open(_disk: Arc<dyn Disk>, _path: &Path, _options: Options) -> Result<Store> {
        todo!()
    }

    /// The last entry applied: consistent index and its term.
    pub fn applied(&self) -> EntryId {
        todo!()
    }

    /// The last entry in the file.
    pub fn committed_entry(&self) -> EntryId {
        todo!()
    }

    /// The newest state, also where it is not published yet.
    pub fn image(&self) -> &Image {
        todo!()
    }

    /// The keys whose newest record names a lease, with that lease, as found when the store was opened. Gives them once.
    pub fn take_lease_attachments(&mut self) -> Vec<(Bytes, i64)> {
        todo!()
    }

    /// Begins the transaction of an entry. The entry's index must be above [`Store::applied`]'s.
    pub fn begin(&mut self, _entry: EntryId) -> Txn<'_> {
        todo!()
    }

    /// Makes all committed entries visible to readers, and gives the events since the last call, `None` where there
    /// are none.
    pub fn publish(&mut self) -> Option<Arc<EventBatch>> {
        todo!()
    }

    /// Hands out views of what was published last.
    pub fn reader(&self) -> Reader {
        todo!()
    }

    /// What waits for a commit.
    pub fn pending(&self) -> Pending {
        todo!()
    }

    /// Freezes what has gathered and gives the job that commits it. `None` where nothing has, where
    /// [`Options::frozen_max`] jobs are under way, or where the last applied entry is above `durable_commit`, the
    /// commit index of the last durable hard state.
    pub fn seal(&mut self, _durable_commit: u64) -> Option<CommitJob> {
        todo!()
    }

    /// Takes the result of a job.
    pub fn committed(&mut self, _committed: Committed) {
        todo!()
    }

    /// The file as it stands, where it holds everything up to [`Store::applied`]; else seal, run, and ask the result.
    pub fn snapshot(&self) -> Option<SnapshotSource> {
        todo!()
    }

    /// Sweeps away up to about `budget` records or keys that compactions left behind.
    pub fn sweep(&mut self, _budget: usize) -> Result<SweepProgress> {
        todo!()
    }

    /// Sets the key `storageVersion`, or removes it.
    pub fn migrate_storage(&mut self, _version: Option<&str>) {
        todo!()
    }

    /// A step of giving space back to the disk, to be run where commit jobs run, not beside one: `None` while one is
    /// under way.
    pub fn shrink_step(&mut self, _pages_max: usize) -> Option<ShrinkJob> {
        todo!()
    }

    /// Takes the result of a step; true where another one would free more.
    pub fn shrunk(&mut self, _shrunk: Shrunk) -> bool {
        todo!()
    }

    /// Changes by the offline tools. Not for a store that serves.
    pub fn offline(&mut self) -> OfflineEdit<'_> {
        todo!()
    }
}

/// A step of giving space back.
pub struct ShrinkJob {}

impl ShrinkJob {
    /// Moves pages, commits, truncates where that is allowed. Blocks on the disk.
    pub fn run(self) -> Result<Shrunk> {
        todo!()
    }
}

/// A [`ShrinkJob`] that is done.
pub struct Shrunk {}
