//! The content of a snapshot: the file as of one commit.

use bytes::Bytes;

use crate::backend::base::Root;
use crate::error::Result;
use crate::store::EntryId;

/// The bolt file as of one commit, to be streamed to a peer or a client. Pins the root while it lives: limit number and
/// age of these.
#[derive(Clone)]
pub struct SnapshotSource {
    root: Root,
    last: EntryId,
}

impl SnapshotSource {
    pub(crate) fn new(root: Root, last: EntryId) -> SnapshotSource {
        SnapshotSource { root, last }
    }

    /// The last entry that the content covers.
    pub fn last(&self) -> EntryId {
        self.last
    }

    /// Length of the whole content in bytes.
    pub fn len(&self) -> u64 {
        self.root.tx().size()
    }

    /// Whether there is nothing; never, in a whole file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content from its start.
    pub fn stream(&self) -> SnapshotChunks {
        SnapshotChunks { stream: self.root.tx().stream() }
    }
}

/// The content of a snapshot in chunks.
pub struct SnapshotChunks {
    stream: bolt::SnapshotStream,
}

impl SnapshotChunks {
    /// Bytes that were not given yet.
    pub fn remaining(&self) -> u64 {
        self.stream.remaining()
    }

    /// The next chunk, of a size that suits the file; `None` at the end. Blocks on the disk.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        Ok(self.stream.next_chunk()?)
    }
}
