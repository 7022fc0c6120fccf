//! What a [`crate::Node`] wants done.

use std::sync::Arc;

use proto::errors::ClientError;
use proto::raftpb::{ConfState, Entry, HardState, Message, Snapshot};

use crate::event::Ticket;

/// Something to be done, in the order given. Actions for one receiver must reach it in order; receivers are
/// independent of each other.
#[derive(Clone, Debug)]
pub enum Action {
    /// To the log writer. Never dropped.
    Persist(Batch),
    /// To the peers. May be lost; the node copes.
    Send(Vec<Message>),
    /// To the applier. Never dropped. Holds only entries that are durable in this member's own log.
    Apply(ApplyBatch),
    /// To the applier: bolt commits up to this index may leave.
    Durable { commit: u64 },
    /// To whoever waits for the ticket; unknown tickets are to be ignored, because a late answer may follow another.
    Reply(Ticket, Outcome),
    /// These linearizable reads may be served from the applier's newest published view.
    ReadReady(Vec<Ticket>),
    /// The role, term or leader changed.
    RoleChanged { role: Role, term: u64, leader: u64 },
    /// The members' versions are wanted: ask each other member's `/version`, then [`crate::Event::Versions`].
    /// Only sent where there are other members.
    AskVersions,
    /// The member's name and client URLs are known to the cluster: it is ready to serve.
    Published,
    /// To the applier: hand the state, sealed at its applied index, to this peer. Whatever becomes of it, also where the
    /// peer is unknown or gone, [`crate::Event::SnapshotReport`] must follow: until then raft sends the peer nothing else.
    SendSnapshot(Message),
    /// Old log segments and snapshot files may be removed.
    Purge,
    /// Nothing will follow. `removed` where the member was removed from its cluster.
    Stopped { removed: bool },
    /// The member must stop at once, and nothing will follow: its log lacks entries that it had acknowledged.
    Failed(String),
}

/// What the log shall hold. Answered by [`crate::Persisted`] in order, once it does.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Counts up by one.
    pub seq: u64,
    /// A snapshot received from the leader, to be saved before all else.
    pub snapshot: Option<Arc<Snapshot>>,
    pub entries: Arc<Vec<Entry>>,
    pub hard_state: Option<HardState>,
    /// Record of a local snapshot file, after which older segments are released.
    pub snapshot_record: Option<SnapshotRecord>,
    /// The batch must be synced even where its content does not ask for it.
    pub sync: bool,
}

/// A snapshot file as the log records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    pub index: u64,
    pub term: u64,
    pub conf_state: ConfState,
}

/// Committed entries, durable in the local log, to be applied in order.
#[derive(Clone, Debug, Default)]
pub struct ApplyBatch {
    /// A received and persisted snapshot, which replaces the state before the entries.
    pub snapshot: Option<Arc<Snapshot>>,
    pub entries: Vec<Entry>,
}

/// An answer by the node itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Failed(ClientError),
    /// The conf change is applied, and raft has taken it.
    ConfChanged(Result<state::Outcome, state::ApplyError>),
    /// The lease starts anew with this many seconds; `None` where it is unknown (answered with TTL 0).
    LeaseRenewed {
        ttl_secs: Option<i64>,
    },
    /// Whole seconds left (0 or below while expired) and granted; `None` where the lease is unknown.
    LeaseTimeLeft(Option<LeaseTime>),
    Leases(Vec<i64>),
    LeaderMoved,
    /// Only the leader can answer; it is this member (0 unknown).
    AskLeader {
        leader: u64,
    },
}

/// The time of a lease, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTime {
    pub left_secs: i64,
    pub granted_secs: i64,
}

/// What raft makes of this member now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
    Learner,
}
