//! What happens to a [`crate::Node`]: requests, messages, answers of the log writer and the applier.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::etcdserverpb::Member;
use proto::raftpb::{ConfChange, Message};
use state::Version;

/// Names one waiting request, chosen by the asker from [`crate::RequestIds`]. For proposals it is the request id in the
/// entry itself (`RequestHeader.ID`), by which the applier's answer finds the waiter.
pub type Ticket = u64;

/// The time, passed in with each event. Both clocks are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since some fixed moment; never goes back.
    pub monotonic: Duration,
    /// Milliseconds since 1970; only for values that enter entries (v2 SYNC), never for deadlines.
    pub unix_millis: u64,
}

/// What a proposal is for, which decides how much back-pressure it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalKind {
    /// A client's request; refused when the log runs ahead of the applier or of the disk.
    Client,
    /// The revocation of an expired lease, which makes room and so may go twice as far.
    LeaseExpiry,
}

/// An entry to be proposed: encoded once at the door, with its id inside.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub ticket: Ticket,
    /// The encoded `InternalRaftRequest` (or, below cluster version 3.6, v2 request).
    pub data: Bytes,
    pub kind: ProposalKind,
}

/// Everything that can happen to a node.
#[derive(Clone, Debug)]
pub enum Event {
    /// A write. Its answer comes from the applier; the node itself answers only when it is refused, lost or late.
    Propose(Proposal),
    /// A change of membership, whose `id` field is the ticket; checked against the quorum rules before it is proposed.
    /// Answered once it is applied, by the node.
    ProposeConfChange(ConfChange),
    /// Asks for the moment from which a linearizable read may be served: [`crate::Action::ReadReady`].
    ReadIndex { ticket: Ticket },
    /// A message of a peer. Local message types and malformed ones are ignored. A `MsgSnap` is given only once its
    /// database is in place ([`crate::ReceivingDb::finish`]): a snapshot that is taken must be installed.
    Step(Message),
    /// The log writer has made batches durable.
    Persisted(Persisted),
    /// The applier has applied and published a batch.
    Applied(Applied),
    /// The applier holds a bolt commit until a hard state with this commit index is durable.
    WantDurable { index: u64 },
    /// The applier has saved a snapshot file; the log shall record it.
    SnapshotSaved(crate::SnapshotRecord),
    /// Renews a lease: [`crate::Outcome::LeaseRenewed`].
    LeaseKeepAlive { ticket: Ticket, lease: i64 },
    /// Asks for the time a lease has left: [`crate::Outcome::LeaseTimeLeft`].
    LeaseTimeToLive { ticket: Ticket, lease: i64 },
    /// Asks for all leases, those that end first first: [`crate::Outcome::Leases`].
    Leases { ticket: Ticket },
    /// Hands leadership to another voter.
    MoveLeader { ticket: Ticket, target: u64 },
    /// The local database is over its quota: proposes the NOSPACE alarm unless that is under way.
    RaiseNoSpace,
    /// The corruption checks have found that this member's data differ (0 where it is unknown whose): proposes the CORRUPT
    /// alarm for it.
    RaiseCorrupt { member: u64 },
    /// A peer has said that this member was removed from the cluster: it stops.
    ToldRemoved,
    /// A message to this peer could not be sent.
    Unreachable { peer: u64 },
    /// The fate of a snapshot sent to this peer.
    SnapshotReport { peer: u64, failed: bool },
    /// What is known of a peer's connection, for the quorum rules and for errors: `since` it is connected, or not at all.
    PeerActivity { peer: u64, connected: bool },
    /// What versions the members report: the answer to [`crate::Action::AskVersions`].
    Versions(Vec<VersionReport>),
    /// Stop in good order: leadership is handed on where there is someone, what is unsynced is synced.
    Stop,
}

/// What a member answers on `/version`; none where it did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionReport {
    pub member: u64,
    pub server: Option<Version>,
}

/// The log writer's answer: all batches up to `seq` are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persisted {
    pub seq: u64,
    /// The commit index of the last hard state that is durable.
    pub commit: u64,
}

/// A change of the leases, in the order of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    Granted {
        id: i64,
        ttl_secs: i64,
    },
    Revoked {
        id: i64,
    },
    /// The remaining time was recorded; 0 means the whole TTL.
    Checkpointed {
        id: i64,
        remaining_secs: i64,
    },
}

/// A conf change entry past the applier.
#[derive(Clone, Debug)]
pub struct AppliedConfChange {
    /// The index of the entry.
    pub index: u64,
    /// The proposer's ticket (`ConfChange.id`).
    pub ticket: Ticket,
    /// The change as raft shall take it; `None` where raft has it already, or the change was refused.
    pub change: Option<ConfChange>,
    /// What the waiter is told once raft has taken it.
    pub outcome: Result<state::Outcome, state::ApplyError>,
    /// The change removed this very member.
    pub removed_self: bool,
}

/// The applier's answer for one [`crate::ApplyBatch`], after publishing it.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Index and term of the last entry applied.
    pub index: u64,
    pub term: u64,
    /// The state itself was replaced by a received snapshot: leases and members are to be read anew.
    pub snapshot_installed: bool,
    /// The tickets of this member's own requests among the entries, refused ones included.
    pub tickets: Vec<Ticket>,
    pub leases: Vec<LeaseChange>,
    pub conf_changes: Vec<AppliedConfChange>,
    /// The cluster version after the batch; `None` while undecided.
    pub cluster_version: Option<Version>,
    /// A downgrade of the cluster is under way.
    pub downgrade_enabled: bool,
    /// To this version.
    pub downgrade_target: Option<Version>,
    /// The store's revision after the batch.
    pub revision: i64,
    /// The database is over its quota: the alarm is to be raised.
    pub over_quota: bool,
    /// v2 keys with a TTL exist.
    pub v2_ttl_keys: bool,
    /// The store's compact revision after the batch.
    pub compact_revision: i64,
    /// The revision of the auth store while authentication is on.
    pub auth_revision: Option<u64>,
    /// All members, sorted by id, where they changed.
    pub members: Option<Arc<Vec<Member>>>,
}
