//! What this room asks of the process around it.
//!
//! All methods that are not said to block are called on the transport's thread and must return at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use proto::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, Member};
use proto::raftpb::Message;
use state::Version;

/// An answer that takes its time.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The member, as its transport needs it.
pub trait Host: Send + Sync + 'static {
    /// Gives messages of peers to the member, in order, and says how many at the end of the list it had no room for: those
    /// are lost. Their types are known, none is local, `to` is this member; everything else is raft's to judge.
    /// Never holds a `MsgProp`.
    fn receive(&self, messages: Vec<Message>) -> usize;

    /// The same for `MsgProp`, in a queue of their own: proposals of others must not crowd out what keeps the cluster going.
    fn receive_proposals(&self, messages: Vec<Message>) -> usize;

    /// A message to this peer was dropped, or may be lost.
    fn unreachable(&self, peer: u64);

    /// The fate of a snapshot that was sent to this peer: exactly one call for each [`crate::Transport::send_snapshot`].
    fn snapshot_report(&self, peer: u64, failed: bool);

    /// The connection to a member began or ended. Told once for each change; unconnected to begin with.
    fn activity(&self, peer: u64, connected: bool);

    /// A peer says that this member was removed from the cluster: it must stop.
    fn removed_self(&self);

    /// Whether the member with this id was removed from the cluster.
    fn is_removed(&self, id: u64) -> bool;

    /// All members, sorted by id.
    fn members(&self) -> Arc<Vec<Member>>;

    /// What `/version` tells.
    fn versions(&self) -> Versions;

    /// Begins to receive the database that comes with this `MsgSnap`. Runs on a thread that may block.
    fn receive_snapshot(&self, message: &Message) -> io::Result<Box<dyn SnapshotSink>>;

    /// Promotes a learner, as the leader; `token` is the auth token of the caller, if any.
    fn promote(&self, id: u64, token: Option<String>) -> Answer<Result<Arc<Vec<Member>>, PromoteError>>;

    /// Renews a lease, as the leader: the seconds it has again.
    fn lease_renew(&self, id: i64) -> Answer<Result<i64, LeaseError>>;

    /// The time that a lease has left, as the leader.
    fn lease_time_to_live(
        &self,
        request: LeaseTimeToLiveRequest,
    ) -> Answer<Result<LeaseTimeToLiveResponse, LeaseError>>;

    /// The hash of the keys at a revision; 0 stands for the newest.
    fn hash_kv(&self, revision: i64) -> Answer<Result<HashKv, HashKvError>>;

    /// Whether a downgrade is under way, by a linearizable read.
    fn downgrade_enabled(&self) -> Answer<Result<bool, String>>;
}

/// Takes a database as it arrives. All methods run on a thread that may block; dropping it without
/// [`SnapshotSink::finish`] gives up and leaves nothing behind.
pub trait SnapshotSink: Send {
    /// Appends.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// All bytes have arrived: makes them durable under their name. After this the message goes to [`Host::receive`].
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Gives a database out, part after part. Runs on a thread that may block.
pub trait SnapshotSource: Send {
    /// The next part, at most a few hundred KiB; `None` after the last.
    fn next_part(&mut self) -> io::Result<Option<Bytes>>;
}

/// The versions that a member tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub server: Version,
    /// `None` while undecided.
    pub cluster: Option<Version>,
    /// The schema of the database; `None` where it can't be told. Left out below server version 3.6.
    pub storage: Option<Version>,
}

/// The hash of the keys at a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKv {
    pub hash: u32,
    pub compact_revision: i64,
    /// The revision hashed; 0 where the member is older than 3.6 and doesn't say.
    pub hash_revision: i64,
    /// The member's revision at that time.
    pub current_revision: i64,
}

/// A hash that can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashKvError {
    #[error("mvcc: required revision has been compacted")]
    Compacted,
    #[error("mvcc: required revision is a future revision")]
    FutureRevision,
    /// The other member belongs to another cluster.
    #[error("cluster ID mismatch")]
    ClusterMismatch,
    #[error("{0}")]
    Failed(String),
}

/// A promotion refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromoteError {
    #[error("membership: ID not found")]
    NotFound,
    #[error("membership: can only promote a learner member")]
    NotLearner,
    #[error("etcdserver: can only promote a learner member which is in sync with leader")]
    NotReady,
    #[error("etcdserver: request timed out")]
    TimedOut,
    #[error("{0}")]
    Failed(String),
}

/// A lease call refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    #[error("lease not found")]
    NotFound,
    #[error("waiting for node to catch up its applied index has timed out")]
    TimedOut,
    /// The member doesn't lead (any more), so that it keeps no deadlines.
    #[error("not a primary lessor")]
    NotPrimary,
    #[error("{0}")]
    Failed(String),
}
