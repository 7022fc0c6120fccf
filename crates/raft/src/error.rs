//! What can go wrong, for whom to act on it.

/// Why a [`crate::Storage`] can't answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The entry was compacted away: it is in the snapshot only.
    #[error("requested index is unavailable due to compaction")]
    Compacted,
    /// There is a newer snapshot already.
    #[error("requested index is older than the existing snapshot")]
    SnapOutOfDate,
    /// The entry lies beyond the end of the log.
    #[error("requested entry at index is unavailable")]
    Unavailable,
    /// There will be a snapshot, but not now; the node asks again later.
    #[error("snapshot is temporarily unavailable")]
    SnapshotTemporarilyUnavailable,
}

/// Why a conf change or a conf state doesn't fit the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfChangeError {
    #[error("config is already joint")]
    AlreadyJoint,
    #[error("can't leave a non-joint config")]
    NotJoint,
    #[error("can't apply simple config change in joint config")]
    SimpleInJoint,
    #[error("can't make a zero-voter config joint")]
    JointWithoutVoters,
    #[error("removed all voters")]
    NoVotersLeft,
    #[error("more than one voter changed without entering joint config")]
    MoreThanOneVoter,
    /// Not one of the four types.
    #[error("unexpected conf type {0}")]
    UnknownType(i32),
    /// Not one of the three transitions.
    #[error("unknown transition {0}")]
    UnknownTransition(i32),
    /// The bytes of the entry are no conf change.
    #[error("malformed conf change")]
    Malformed,
    /// A conf state names a member in roles that exclude each other.
    #[error("inconsistent conf state: {0}")]
    Inconsistent(&'static str),
}

/// Why a node refuses a call or a message. What it refuses changes nothing, except that a message of a later term may have
/// made it a follower in that term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The settings contradict each other or the storage.
    #[error("{0}")]
    Config(&'static str),
    /// No leader is known, leadership is being transferred, this member was removed, or too much is uncommitted.
    #[error("raft proposal dropped")]
    ProposalDropped,
    /// A message type that only a node itself may produce.
    #[error("raft: cannot step raft local message")]
    StepLocalMessage,
    /// A response of someone who is not in the configuration; harmless.
    #[error("raft: cannot step as peer not found")]
    StepPeerNotFound,
    /// The message contradicts itself or the protocol.
    #[error("raft: malformed message: {0}")]
    MalformedMessage(&'static str),
    /// Entries are said to be committed which this log lacks, although it had acknowledged them: it was damaged.
    #[error(
        "raft: commit {commit} is out of range [last index {last_index}]: was the raft log corrupted, truncated, or lost?"
    )]
    CommitOutOfRange { commit: u64, last_index: u64 },
    #[error(transparent)]
    ConfChange(#[from] ConfChangeError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}
