//! A frozen overlay on its way into the file.

use crate::backend::source::SnapshotSource;
use crate::error::Result;
use crate::store::EntryId;

/// A frozen overlay to be written into the bolt file in one transaction, with the consistent index and term of exactly
/// its last entry. Jobs must be run one at a time, in the order in which they were made; each result goes to
/// [`crate::Store::committed`].
///
/// Contract: a job leaves [`crate::Store::seal`] only if a hard state with commit >= [`CommitJob::last`] is durable.
pub struct CommitJob {}

impl CommitJob {
    /// The last entry that the job writes.
    pub fn last(&self) -> EntryId {
        todo!()
    }

    /// Writes and syncs. Blocks on the disk. After a failure the store must not be used any more.
    pub fn run(self) -> Result<Committed> {
        todo!()
    }
}

/// A [`CommitJob`] that is done; holds its root pinned.
pub struct Committed {}

impl Committed {
    /// The last entry in the file now.
    pub fn last(&self) -> EntryId {
        todo!()
    }

    /// The file exactly as of this commit, for a snapshot that covers entries up to [`Committed::last`] and no more.
    pub fn snapshot(&self) -> SnapshotSource {
        todo!()
    }
}
