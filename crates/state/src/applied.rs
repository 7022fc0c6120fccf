//! What applying an entry gives back: an answer for the waiting client, and what else must happen because of it.

use proto::etcdserverpb as pb;
use proto::raftpb;

use crate::error::ApplyError;
use crate::versions::Version;

/// Whether anybody on this member waits for the answer. Where nobody does, requests that only read are skipped and the
/// ranges inside a transaction are checked but not read; the effect is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Wanted,
    Unwanted,
}

/// The result of one entry.
#[derive(Clone, Debug)]
pub struct Applied {
    pub index: u64,
    pub term: u64,
    /// The ticket under which the proposer waits: the header's id, or the legacy id, or a conf change's id; 0 = none.
    pub id: u64,
    /// `None` where there is nothing to answer: empty entries, and entries at or below the consistent index.
    /// Headers inside carry revision and term; cluster and member id are the answering door's to fill in. Member
    /// changes have no revision, by etcd's rule.
    pub outcome: Option<Result<Outcome, ApplyError>>,
    /// The store's revision after this entry.
    pub revision: i64,
    /// In the order in which they came about.
    pub effects: Vec<Effect>,
}

/// The answer to an entry that took effect, or that only read.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Range(pb::RangeResponse),
    Put(pb::PutResponse),
    DeleteRange(pb::DeleteRangeResponse),
    Txn(pb::TxnResponse),
    /// Where `physical` was asked for, the answer is to be held back until the sweep has reached the revision and a
    /// commit followed ([`Effect::CompactionScheduled`]).
    Compaction {
        response: pb::CompactionResponse,
        revision: i64,
        physical: bool,
    },
    LeaseGrant(pb::LeaseGrantResponse),
    LeaseRevoke(pb::LeaseRevokeResponse),
    LeaseCheckpoint(pb::LeaseCheckpointResponse),
    Alarm(pb::AlarmResponse),
    AuthEnable(pb::AuthEnableResponse),
    AuthDisable(pb::AuthDisableResponse),
    AuthStatus(pb::AuthStatusResponse),
    /// The token is the simple one; a door that signs its tokens replaces it.
    Authenticate(pb::AuthenticateResponse),
    AuthUserAdd(pb::AuthUserAddResponse),
    AuthUserDelete(pb::AuthUserDeleteResponse),
    AuthUserGet(pb::AuthUserGetResponse),
    AuthUserList(pb::AuthUserListResponse),
    AuthUserChangePassword(pb::AuthUserChangePasswordResponse),
    AuthUserGrantRole(pb::AuthUserGrantRoleResponse),
    AuthUserRevokeRole(pb::AuthUserRevokeRoleResponse),
    AuthRoleAdd(pb::AuthRoleAddResponse),
    AuthRoleDelete(pb::AuthRoleDeleteResponse),
    AuthRoleGet(pb::AuthRoleGetResponse),
    AuthRoleList(pb::AuthRoleListResponse),
    AuthRoleGrantPermission(pb::AuthRoleGrantPermissionResponse),
    AuthRoleRevokePermission(pb::AuthRoleRevokePermissionResponse),
    /// All members after an accepted conf change, sorted by id, and the one it named (for a removal: as it was).
    Members {
        member: Option<pb::Member>,
        members: Vec<pb::Member>,
    },
    /// Cluster version, member attributes, downgrade info: nothing to say.
    Done,
    /// The answer of the v2 tree.
    V2(crate::v2::Reply),
}

/// Something that must happen outside because of an entry. An entry at or below the consistent index yields only
/// `ConfChange`, `MembersChanged` and `RemovedSelf`, and only where the v2 tree is the source of membership.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    LeaseGranted {
        id: i64,
        ttl_secs: i64,
    },
    LeaseRevoked {
        id: i64,
    },
    /// `remaining_secs` 0 = the full TTL again.
    LeaseCheckpointed {
        id: i64,
        remaining_secs: i64,
    },
    /// To be handed to raft, exactly once per conf-change entry past the source of membership. A refused one has node 0.
    ConfChange(raftpb::ConfChange),
    /// Members, their URLs, names or roles changed.
    MembersChanged,
    /// This member was removed: it stops, after its last messages had time to leave.
    RemovedSelf,
    AlarmsChanged,
    /// The quota is exceeded here: propose this alarm for this member, and answer the ticket when that is done.
    RaiseNoSpace,
    ClusterVersionChanged {
        from: Option<Version>,
        to: Version,
    },
    DowngradeChanged,
    /// A simple token to be kept, with its user.
    TokenIssued {
        token: String,
        username: String,
    },
    /// Simple tokens of this user are void.
    UserTokensDropped {
        username: String,
    },
    /// All simple tokens are void: authentication was switched on anew or off.
    AllTokensDropped,
    /// The auth revision moved.
    AuthChanged,
    /// The compact revision moved; sweep.
    CompactionScheduled {
        revision: i64,
    },
}
