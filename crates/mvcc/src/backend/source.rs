//! The content of a snapshot: the file as of one commit.

use bytes::Bytes;

use crate::error::Result;
use crate::store::EntryId;

/// The bolt file as of one commit, to be streamed to a peer or a client. Pins the root while it lives: limit number and
/// age of these.
#[derive(Clone)]
pub struct SnapshotSource {}

impl SnapshotSource {
    /// The last entry that the content covers.
    pub fn last(&self) -> EntryId {
        todo!()
    }

    /// Length of the whole content in bytes.
    pub fn len(&self) -> u64 {
        todo!()
    }

    /// Whether there is nothing; never, in a whole file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `max` bytes from `offset` on; empty at the end. Blocks on the disk.
    pub fn read(&self, _offset: u64, _max: usize) -> Result<Bytes> {
        todo!()
    }
}
