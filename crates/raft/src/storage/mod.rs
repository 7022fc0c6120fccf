//! The durable log as the node sees it.

mod memory;

use std::ops::Range;

use proto::raftpb::{ConfState, Entry, HardState, Snapshot};

use crate::error::StorageError;

pub use memory::MemoryStorage;

/// The part of the log that is durable, or is treated as if it were: what was handed out in [`crate::Ready`] and
/// acknowledged must be visible here. The log is the range `first_index()..=last_index()`; what lies before was
/// compacted into the snapshot, of which at least index and term are known.
pub trait Storage {
    /// The hard state and the configuration as of the last applied entry; asked for once, at the start.
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError>;

    /// The entries of the range, as many from its front as fit into `max_size` encoded bytes, but at least one.
    /// Errs with `Compacted` or `Unavailable` where the range leaves the log.
    fn entries(&self, range: Range<u64>, max_size: u64) -> Result<Vec<Entry>, StorageError>;

    /// The term of an entry in `first_index() - 1..=last_index()`; 0 for index 0 of an empty log.
    fn term(&self, index: u64) -> Result<u64, StorageError>;

    /// The index of the last entry; that of the snapshot where there are none.
    fn last_index(&self) -> u64;

    /// The index of the first entry that is or would be there: that of the snapshot plus one.
    fn first_index(&self) -> u64;

    /// The newest snapshot, at `first_index() - 1` or later, for a peer whose entries were compacted away.
    fn snapshot(&self) -> Result<Snapshot, StorageError>;
}
