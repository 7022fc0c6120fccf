//! What can go wrong with a log or a snapshot file, for the operator who must act on it.

use std::io;
use std::path::{Path, PathBuf};

/// The texts that etcd has are etcd's.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    /// The bytes can't have come from a cut in the middle of a write.
    #[error("wal: {} is corrupt at offset {offset}: {what}", file.display())]
    Corrupt { file: PathBuf, offset: u64, what: String },

    /// A record's checksum does not match, and the record isn't torn.
    #[error("wal: crc mismatch in {} at offset {offset}: record says {expected:08x}, computed {computed:08x}", file.display())]
    CrcMismatch { file: PathBuf, offset: u64, expected: u32, computed: u32 },

    /// The last segment ends in a half-written record; [`crate::repair`] cuts it off.
    #[error("unexpected EOF in {} at offset {offset}", file.display())]
    UnexpectedEof { file: PathBuf, offset: u64 },

    #[error("wal: conflicting metadata found in {} at offset {offset}", file.display())]
    MetadataConflict { file: PathBuf, offset: u64 },

    /// No segment reaches back far enough, or one is missing in between.
    #[error("wal: file not found in {} for index {index}", dir.display())]
    FileNotFound { dir: PathBuf, index: u64 },

    #[error("wal: snapshot not found (index {index}, term {term})")]
    SnapshotNotFound { index: u64, term: u64 },

    #[error("wal: snapshot mismatch at index {index}: wanted term {wanted}, found {found}")]
    SnapshotMismatch { index: u64, wanted: u64, found: u64 },

    #[error("wal: slice bounds out of range: entry {entry} in {} at offset {offset} follows a gap after {last}", file.display())]
    SliceOutOfRange { file: PathBuf, offset: u64, entry: u64, last: u64 },

    #[error("fileutil: file already locked: {}", file.display())]
    Locked { file: PathBuf },

    /// The log holds something already.
    #[error("file already exists: {}", dir.display())]
    Exists { dir: PathBuf },

    /// An earlier write or sync failed, so what the file holds is no longer known.
    #[error("the log stopped after an earlier write or sync failed")]
    Stopped,

    /// A snapshot record past index 0 lacks its ConfState.
    #[error("snapshot record at index {index} has no ConfState")]
    NoConfState { index: u64 },

    /// A `.snap` file that does not hold what it should.
    #[error("snap: {what} in {}", file.display())]
    BadSnapshot { file: PathBuf, what: &'static str },
}

impl WalError {
    /// Whether it is the device that failed, and not what it holds.
    pub fn is_io(&self) -> bool {
        matches!(self, WalError::Io { .. } | WalError::Stopped)
    }

    /// The error of the operating system, where there is one.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            WalError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Adds to an I/O error what was tried, and on what.
pub(crate) trait Context<T> {
    fn context(self, doing: &'static str, path: &Path) -> Result<T, WalError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, doing: &'static str, path: &Path) -> Result<T, WalError> {
        self.map_err(|source| WalError::Io { doing, path: path.to_path_buf(), source })
    }
}
