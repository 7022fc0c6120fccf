//! Offline tools over a disk: restoring a snapshot into a new data directory, hashes and figures of a file,
//! defragmentation. The server they concern must not run; the locks say so.

mod file;
mod snapshot;

pub use file::{FileStatus, defragment, hash_kv, status};
pub use snapshot::{RestoreOptions, restore};

use std::io;
use std::path::PathBuf;

use crate::boot::BootError;

/// Why a tool gave up, in etcd's words where it has some.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("stat {}: no such file or directory", path.display())]
    NoFile { path: PathBuf },
    #[error("data-dir \"{}\" not empty or could not be read", path.display())]
    DataDirNotEmpty { path: PathBuf },
    #[error("wal-dir \"{}\" exists", path.display())]
    WalDirExists { path: PathBuf },
    /// The file has no checksum at its end: it was not made by `snapshot save`.
    #[error("snapshot missing hash but --skip-hash-check=false")]
    NoChecksum,
    #[error("expected sha256 {expected:?}, got {got:?}")]
    WrongChecksum { expected: Vec<u8>, got: Vec<u8> },
    #[error("invalid database")]
    InvalidDatabase,
    #[error("snapshot file integrity check failed. {problems} errors found.\n{first}")]
    Damaged { problems: usize, first: String },
    #[error("another process holds {}", path.display())]
    Locked { path: PathBuf },
    #[error(transparent)]
    Cluster(#[from] BootError),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Store(#[from] mvcc::Error),
    #[error(transparent)]
    Bolt(bolt::Error),
    #[error(transparent)]
    Wal(#[from] wal::WalError),
}

impl From<bolt::Error> for ToolError {
    fn from(error: bolt::Error) -> Self {
        match error {
            bolt::Error::Invalid { .. } => ToolError::InvalidDatabase,
            other => ToolError::Bolt(other),
        }
    }
}

/// Names the file and what was tried.
fn io_error<'a>(what: &'static str, path: &'a std::path::Path) -> impl FnOnce(io::Error) -> ToolError + 'a {
    move |source| ToolError::Io { what, path: path.to_owned(), source }
}
