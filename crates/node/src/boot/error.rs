//! Why a member can't start, for the operator who must act on it; etcd's text where it has one.

use std::io;
use std::path::PathBuf;

use wal::WalError;

#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    /// Another process holds the database or the log. etcd waits for ever; the caller may try again.
    #[error("another process holds {}", path.display())]
    Locked { path: PathBuf },
    #[error("couldn't find local name \"{name}\" in the initial cluster configuration")]
    NameNotInCluster { name: String },
    #[error("initial cluster {cluster} has duplicate url")]
    DuplicateUrl { cluster: String },
    #[error("error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ")]
    NoUrl,
    #[error(
        "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised} \
         (resolved urls: \"{first_advertised}\" != \"{first_missing}\")"
    )]
    NotAdvertised { missing: String, advertised: String, first_advertised: String, first_missing: String },
    #[error("--initial-advertise-peer-urls has {advertised} but missing from --initial-cluster={cluster}")]
    NotInCluster { advertised: String, cluster: String },
    /// The member was part of the running cluster before, and its data are gone.
    #[error("member {member:x} has already been bootstrapped")]
    AlreadyBootstrapped { member: u64 },
    /// None of the members to be joined has answered; the caller's to say, who asks.
    #[error("cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs")]
    NoClusterInfo,
    /// The initial cluster is not that which runs.
    #[error("error validating peerURLs {cluster}: {reason}")]
    PeerUrlsInvalid { cluster: String, reason: String },
    /// The cluster is of a version that this member can't take part in, or tells none.
    #[error("incompatible with current running cluster")]
    Incompatible,
    #[error("membership: too many learner members in cluster")]
    TooManyLearners,
    /// A database with applied entries lies beside no log: starting would not apply the first entries of the new log.
    #[error(
        "found {} with entries up to {index}, but no write-ahead log in {}; \
         restore it with \"etcdutl snapshot restore --skip-hash-check\" instead",
        db.display(), wal.display()
    )]
    DbWithoutLog { db: PathBuf, wal: PathBuf, index: u64 },
    /// The log is there but not the database that belongs to it.
    #[error("database file ({}) of the backend is missing", path.display())]
    DbMissing { path: PathBuf },
    #[error(
        "failed to recover v3 backend from snapshot: the database stands at entry {consistent_index}, \
         the snapshot at {snapshot_index}, and {} is missing", path.display()
    )]
    ReceivedDbMissing { path: PathBuf, consistent_index: u64, snapshot_index: u64 },
    /// New entries at indexes that the database has seen would be acknowledged and not applied.
    #[error(
        "the database stands at entry {consistent_index}, but the write-ahead log in {} ends at {last_index}: \
         the log has lost its end", wal.display()
    )]
    LogBehindDb { wal: PathBuf, consistent_index: u64, last_index: u64 },
    /// Entries that were committed are gone; others may have been told that they are kept here.
    #[error(
        "tocommit({commit}) is out of range [lastIndex({last_index})] in {}. \
         Was the raft log corrupted, truncated, or lost?", wal.display()
    )]
    CommitBeyondLog { wal: PathBuf, commit: u64, last_index: u64 },
    /// The data directory is of no more use; the caller ends in good order.
    #[error("the member has been permanently removed from the cluster")]
    Removed,
    #[error("{0}")]
    Log(String),
    #[error(transparent)]
    Wal(WalError),
    #[error(transparent)]
    State(state::Error),
}

impl From<WalError> for BootError {
    fn from(error: WalError) -> Self {
        match error {
            WalError::Locked { file } => BootError::Locked { path: file },
            other => BootError::Wal(other),
        }
    }
}
