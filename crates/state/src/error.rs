//! The two kinds of failure: what a client is told, alike on every member, and what stops this member.

use proto::errors::ClientError;

use crate::versions::Version;

/// A result whose error stops the member.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an entry had no effect, or is answered as if it had none. Every member comes to the same one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// An error of the table, sent to the client as it stands.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A refusal of the v2 tree.
    #[error(transparent)]
    V2(#[from] crate::v2::V2Error),
}

/// A failure that stops this member; the state must not be used any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend failed to read or write.
    #[error(transparent)]
    Store(#[from] mvcc::Error),
    /// The database holds something that cannot be read.
    #[error("database, bucket {bucket}: {what}")]
    Corrupt { bucket: &'static str, what: String },
    /// The v2 part of the snapshot cannot be read.
    #[error("v2 snapshot: {0}")]
    V2Snapshot(String),
    /// The storage was written by a newer release.
    #[error("storage version {found} is newer than this program's {own}")]
    StorageTooNew { found: Version, own: Version },
    /// The cluster has gone on to a version that this member does not speak.
    #[error(
        "invalid downgrade; server version is lower than determined cluster version: {own} runs here, the cluster is at \
         {cluster}"
    )]
    ClusterTooNew { cluster: Version, own: Version },
    /// Entries must arrive without gaps.
    #[error("entry {got} does not follow entry {applied}")]
    Gap { applied: u64, got: u64 },
    /// An entry that no release writes.
    #[error("entry {index}: {what}")]
    BadEntry { index: u64, what: String },
}
