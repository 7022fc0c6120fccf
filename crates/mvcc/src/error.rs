//! What may go wrong: the caller's fault, which the client will see, and the world's, which stops the member.

use proto::errors::ClientError;

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed. The first two depend on the replicated state alone and are the same on every member.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The asked revision is older than the compacted one (for a compaction: not newer).
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The asked revision is newer than the current one.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The bolt file could not be read or written.
    #[error("backend: {0}")]
    Bolt(#[from] bolt::Error),
    /// The bolt file holds something that is not etcd's.
    #[error("database, bucket {bucket}: {what}")]
    Corrupt { bucket: &'static str, what: String },
}

impl Error {
    /// The error that a client is told; `None` where the failure is this member's own.
    pub fn client(&self) -> Option<ClientError> {
        match self {
            Error::Compacted => Some(ClientError::Compacted),
            Error::FutureRevision => Some(ClientError::FutureRev),
            Error::Bolt(_) | Error::Corrupt { .. } => None,
        }
    }
}
