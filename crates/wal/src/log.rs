//! The log as its writer sees it.

use std::path::Path;
use std::sync::Arc;

use disk::Disk;
use proto::raftpb::{Entry, HardState};
use proto::walpb;

use crate::{Opened, WalError};

/// Bytes that a segment is given when it is made, and at which the next one begins.
pub const SEGMENT_BYTES: u64 = 64_000_000;

/// How segments are cut. Only tests have a reason to differ from the default.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: SEGMENT_BYTES }
    }
}

/// What a new log holds from its first moment on: either the folder appears with all of it, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Initial {
    pub hard_state: HardState,
    pub entries: Vec<Entry>,
    /// A snapshot record beyond the initial one at (0, 0).
    pub snapshot: Option<walpb::Snapshot>,
}

/// The log of one member, open for appending. It holds the locks of its segments until they are released or it is
/// dropped. After a failed write or sync every further call answers [`WalError::Stopped`].
pub struct Wal {
    _todo: (),
}

impl Wal {
    /// Makes a log in `dir`, which must not exist or be empty of segments, with `metadata` (a marshalled
    /// `etcdserverpb.Metadata`; see [`crate::Contents::identity`]). Everything is written beside it and moved in place
    /// once durable.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        node_id: u64,
        cluster_id: u64,
        options: Options,
    ) -> Result<Wal, WalError> {
        Wal::create_with(disk, dir, node_id, cluster_id, &Initial::default(), options)
    }

    /// As [`Wal::create`], with first entries, hard state and snapshot record.
    pub fn create_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        node_id: u64,
        cluster_id: u64,
        initial: &Initial,
        options: Options,
    ) -> Result<Wal, WalError> {
        let _ = (disk, dir, node_id, cluster_id, initial, options);
        todo!()
    }

    /// Opens the log for appending and reads what follows the snapshot record `at` ((0, 0) for all). A torn tail is
    /// repaired, once. What lies beyond the last record is zeroed.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, at: &walpb::Snapshot, options: Options) -> Result<Opened, WalError> {
        let _ = (disk, dir, at, options);
        todo!()
    }

    /// Appends entries, then the hard state (skipped when all-zero). Nothing is durable before [`Wal::sync`]. The answer
    /// says whether the save is one that must be synced before anything that rests on it leaves: there are entries, or
    /// term or vote changed. May cut the segment, which syncs.
    pub fn save(&mut self, hard_state: &HardState, entries: &[Entry]) -> Result<bool, WalError> {
        let _ = (hard_state, entries);
        todo!()
    }

    /// Makes all that was saved durable, with one write and one `fdatasync`; nothing where nothing was saved.
    pub fn sync(&mut self) -> Result<(), WalError> {
        todo!()
    }

    /// Hands what was saved to the operating system without waiting for the device.
    pub fn flush(&mut self) -> Result<(), WalError> {
        todo!()
    }

    /// Appends and syncs a snapshot record. The `.snap` file must be durable before.
    pub fn save_snapshot(&mut self, snapshot: &walpb::Snapshot) -> Result<(), WalError> {
        let _ = snapshot;
        todo!()
    }

    /// Unlocks the segments that a start from a snapshot at `index` does not need, so that purging may take them.
    pub fn release_to(&mut self, index: u64) {
        let _ = index;
        todo!()
    }

    /// Sets the space of the next segment aside, where that is not done yet. For a quiet moment.
    pub fn prepare_next(&mut self) -> Result<(), WalError> {
        todo!()
    }

    /// Bytes saved but not yet synced.
    pub fn unsynced_bytes(&self) -> u64 {
        todo!()
    }

    /// The index of the last saved entry or snapshot.
    pub fn last_index(&self) -> u64 {
        todo!()
    }

    /// The last saved hard state.
    pub fn hard_state(&self) -> HardState {
        todo!()
    }

    /// Syncs, and gives back the space that [`Wal::prepare_next`] set aside.
    pub fn close(self) -> Result<(), WalError> {
        todo!()
    }
}
