//! What can go wrong, for the reader who must act on it.

use std::io;
use std::sync::Arc;

pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed. If it failed while a commit was made durable, the database is poisoned from here on.
    #[error("{action}: {source}")]
    Io { action: &'static str, source: Arc<io::Error> },
    /// The file holds bytes that no writer of the format leaves behind.
    #[error("page {page}: {reason}")]
    Corrupt { page: u64, reason: String },
    /// Neither meta page is valid: not a database, or damaged at its head.
    #[error("invalid database: {reason}")]
    Invalid { reason: &'static str },
    /// Another process holds the file.
    #[error("the database file is locked by another process")]
    Locked,
    /// An earlier commit failed while it was made durable; only opening the file anew tells what is on the disk.
    #[error("an earlier commit failed, the database takes no more writes")]
    Poisoned,
    /// There is one writer at a time, and it is at work.
    #[error("another write transaction is open")]
    WriterBusy,
    #[error("the database is open for reading only")]
    ReadOnly,
    #[error("bucket not found")]
    BucketNotFound,
    #[error("bucket name required")]
    BucketNameRequired,
    #[error("key required")]
    KeyRequired,
    #[error("key too large")]
    KeyTooLarge,
    #[error("value too large")]
    ValueTooLarge,
    /// The key names a nested bucket.
    #[error("incompatible value")]
    IncompatibleValue,
}

impl Error {
    pub(crate) fn corrupt(page: u64, reason: impl Into<String>) -> Error {
        Error::Corrupt { page, reason: reason.into() }
    }

    /// Whether the file's content is at fault, rather than the disk or the caller.
    pub fn is_corruption(&self) -> bool {
        matches!(self, Error::Corrupt { .. } | Error::Invalid { .. })
    }
}

/// Names what was being done when the disk failed.
pub(crate) trait During<T> {
    fn during(self, action: &'static str) -> Result<T>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, action: &'static str) -> Result<T> {
        self.map_err(|source| Error::Io { action, source: Arc::new(source) })
    }
}
