//! The table of client-visible errors: gRPC code and exact text, because clients match on them (facts: errors, 1.1, 1.2).

/// The status codes of gRPC that this service uses, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    Canceled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

macro_rules! client_errors {
    ($($(#[$doc:meta])* $name:ident, $code:ident, $text:literal;)*) => {
        /// An error as a client sees it. The text is the interface: clients look it up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum ClientError {
            $($(#[$doc])* #[error($text)] $name,)*
        }

        impl ClientError {
            /// Every error of the table.
            pub const ALL: &[ClientError] = &[$(ClientError::$name,)*];

            /// The code on the wire.
            pub const fn code(self) -> Code {
                match self {
                    $(ClientError::$name => Code::$code,)*
                }
            }

            /// The text on the wire.
            pub const fn text(self) -> &'static str {
                match self {
                    $(ClientError::$name => $text,)*
                }
            }
        }
    };
}

client_errors! {
    /// Key missing in Range, Put, DeleteRange, Compare or nested op.
    EmptyKey, InvalidArgument, "etcdserver: key is not provided";
    /// Ignore_value or ignore_lease on an absent key; also an empty RequestOp in a Txn.
    KeyNotFound, InvalidArgument, "etcdserver: key not found";
    /// Ignore_value with a value.
    ValueProvided, InvalidArgument, "etcdserver: value is provided";
    /// Ignore_lease with a lease.
    LeaseProvided, InvalidArgument, "etcdserver: lease is provided";
    /// Txn beyond --max-txn-ops.
    TooManyOps, InvalidArgument, "etcdserver: too many operations in txn request";
    /// Txn puts a key twice, or puts a key that another op deletes.
    DuplicateKey, InvalidArgument, "etcdserver: duplicate key given in txn request";
    /// Metadata client-api-version is not UTF-8.
    InvalidClientAPIVersion, InvalidArgument, "etcdserver: invalid client api version";
    /// Unknown sort_order or sort_target number.
    InvalidSortOption, InvalidArgument, "etcdserver: invalid sort option";
    /// Revision below the compacted one; Compact at or below it.
    Compacted, OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    /// Revision above the current one.
    FutureRev, OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    /// Quota would be exceeded, or NOSPACE alarm is on.
    NoSpace, ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    /// Put with or revoke of an unknown lease.
    LeaseNotFound, NotFound, "etcdserver: requested lease not found";
    /// Grant with an id in use.
    LeaseExist, FailedPrecondition, "etcdserver: lease already exists";
    /// TTL above 9000000000.
    LeaseTTLTooLarge, OutOfRange, "etcdserver: too large lease TTL";
    /// Watch stream context cancelled (client gone, server stopping).
    WatchCanceled, Canceled, "etcdserver: watch canceled";
    /// Computed member id already in the cluster.
    MemberExist, FailedPrecondition, "etcdserver: member ID already exist";
    /// A peer URL belongs to another member.
    PeerURLExist, FailedPrecondition, "etcdserver: Peer URLs already exists";
    /// Member add, remove or promote that leaves too few started voters. The code is Unknown on the wire in all releases.
    MemberNotEnoughStarted, Unknown, "etcdserver: re-configuration failed due to not enough started members";
    /// MemberAdd: no URL or malformed URL.
    MemberBadURLs, InvalidArgument, "etcdserver: given member URLs are invalid";
    /// Id unknown or removed earlier.
    MemberNotFound, NotFound, "etcdserver: member not found";
    /// Promote of a voter.
    MemberNotLearner, FailedPrecondition, "etcdserver: can only promote a learner member";
    /// Learner has less than 90 % of the leader log.
    LearnerNotReady, FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader";
    /// Above --max-learners (1).
    TooManyLearners, FailedPrecondition, "etcdserver: too many learner members in cluster";
    /// Peer hash check between members only; not sent to clients.
    ClusterIDMismatch, FailedPrecondition, "etcdserver: cluster ID mismatch";
    /// Encoded raft request above --max-request-bytes.
    RequestTooLarge, InvalidArgument, "etcdserver: request is too large";
    /// The commit index is too far ahead of the applied index. The code is Unknown on the wire in all releases.
    RequestTooManyRequests, Unknown, "etcdserver: too many requests";
    /// AuthEnable without user root.
    RootUserNotExist, FailedPrecondition, "etcdserver: root user does not exist";
    /// AuthEnable, user root lacks role root.
    RootRoleNotExist, FailedPrecondition, "etcdserver: root user does not have root role";
    /// UserAdd twice.
    UserAlreadyExist, FailedPrecondition, "etcdserver: user name already exists";
    /// UserAdd without name; also calls without credentials while auth is on.
    UserEmpty, InvalidArgument, "etcdserver: user name is empty";
    /// Unknown user in user calls; admin check of a deleted user.
    UserNotFound, FailedPrecondition, "etcdserver: user name not found";
    /// RoleAdd twice.
    RoleAlreadyExist, FailedPrecondition, "etcdserver: role name already exists";
    /// Unknown role.
    RoleNotFound, FailedPrecondition, "etcdserver: role name not found";
    /// RoleAdd without name.
    RoleEmpty, InvalidArgument, "etcdserver: role name is empty";
    /// Authenticate: unknown user or wrong password.
    AuthFailed, InvalidArgument, "etcdserver: authentication failed, invalid user ID or password";
    /// RoleGrantPermission without perm.
    PermissionNotGiven, InvalidArgument, "etcdserver: permission not given";
    /// Key range or admin right missing; user of the token deleted.
    PermissionDenied, PermissionDenied, "etcdserver: permission denied";
    /// Revoke of a role the user lacks.
    RoleNotGranted, FailedPrecondition, "etcdserver: role is not granted to the user";
    /// Revoke of a permission the role lacks.
    PermissionNotGranted, FailedPrecondition, "etcdserver: permission is not granted to the role";
    /// Authenticate while auth is off.
    AuthNotEnabled, FailedPrecondition, "etcdserver: authentication is not enabled";
    /// Token unknown, expired, malformed or wrong signature.
    InvalidAuthToken, Unauthenticated, "etcdserver: invalid auth token";
    /// Delete root user/role or revoke root from root while auth is on; bad permission range.
    InvalidAuthMgmt, InvalidArgument, "etcdserver: invalid auth management";
    /// Auth data changed after the token (JWT) or during the call.
    AuthOldRevision, InvalidArgument, "etcdserver: revision of auth store is old";
    /// Hasleader metadata and no leader; lease or promote forwarding without leader.
    NoLeader, Unavailable, "etcdserver: no leader";
    /// MoveLeader on a follower.
    NotLeader, FailedPrecondition, "etcdserver: not leader";
    /// Leader changed during a linearizable read or lease lookup.
    LeaderChanged, Unavailable, "etcdserver: leader changed";
    /// Cluster version lacks v3rpc.
    NotCapable, FailedPrecondition, "etcdserver: not capable";
    /// Member is stopping.
    Stopped, Unavailable, "etcdserver: server stopped";
    /// No commit or read index within request timeout (7 s by default).
    Timeout, Unavailable, "etcdserver: request timed out";
    /// As above, request began around a leader loss.
    TimeoutDueToLeaderFail, Unavailable, "etcdserver: request timed out, possibly due to previous leader failure";
    /// As above, peer link to leader or quorum is down.
    TimeoutDueToConnectionLost, Unavailable, "etcdserver: request timed out, possibly due to connection lost";
    /// Leader did not apply up to commit index within 1 s (lease calls, promote).
    TimeoutWaitAppliedIndex, Unavailable, "etcdserver: request timed out, waiting for the applied index took too long";
    /// Member change that would endanger the quorum.
    Unhealthy, Unavailable, "etcdserver: unhealthy cluster";
    /// CORRUPT alarm is on and the call goes through raft.
    Corrupt, DataLoss, "etcdserver: corrupt cluster";
    /// Rpc not allowed on a learner.
    NotSupportedForLearner, FailedPrecondition, "etcdserver: rpc not supported for learner";
    /// MoveLeader target unknown or learner.
    BadLeaderTransferee, FailedPrecondition, "etcdserver: bad leader transferee";
    /// Downgrade version not x.y or x.y.z.
    WrongDowngradeVersionFormat, InvalidArgument, "etcdserver: wrong downgrade target version format";
    /// Target is not exactly one minor below.
    InvalidDowngradeTargetVersion, InvalidArgument, "etcdserver: invalid downgrade target version";
    /// Cluster version not decided yet.
    ClusterVersionUnavailable, FailedPrecondition, "etcdserver: cluster version not found during downgrade";
    /// Downgrade already enabled.
    DowngradeInProcess, FailedPrecondition, "etcdserver: cluster has a downgrade job in progress";
    /// Cancel without downgrade; sent by 3.5 only (3.6+ answers success).
    NoInflightDowngrade, FailedPrecondition, "etcdserver: no inflight downgrade job";
    /// Forwarded lease or promote call, or proposal, cancelled by caller (3.7).
    Canceled, Canceled, "etcdserver: request canceled";
    /// Never sent; gRPC sends its own text (1.2).
    DeadlineExceeded, DeadlineExceeded, "etcdserver: context deadline exceeded";
    /// MoveLeader deadline.
    TimeoutLeaderTransfer, Unknown, "etcdserver: request timed out, leader transfer took too long";
    /// Downgrade with unknown action.
    UnknownMethod, Unknown, "etcdserver: unknown method";
    /// Authenticate of a no-password user.
    NoPasswordUser, Unknown, "auth: authentication failed, password was given for no password user";
    /// Authenticate, JWT with public key only.
    VerifyOnlyKey, Unknown, "auth: token signing attempted with verify-only key";
    /// UserAdd, UserChangePassword.
    PasswordTooLong, Unknown, "bcrypt: password length exceeds 72 bytes";
    /// Keep-alive on a leader that cannot confirm leadership.
    NotPrimaryLessor, Unknown, "not a primary lessor";
    /// Write during a leader transfer.
    ProposalDropped, Unknown, "raft proposal dropped";
    /// Write during shutdown.
    RaftStopped, Unknown, "raft: stopped";
    /// The caller went away.
    ContextCanceled, Canceled, "context canceled";
    /// The deadline of the caller; also a write while no leader is known, after the request timeout.
    ContextDeadlineExceeded, DeadlineExceeded, "context deadline exceeded";
    /// Election Proclaim, Resign.
    LeaderFieldMissing, Unknown, "\"leader\" field must be provided";
    /// Election Leader without one.
    ElectionNoLeader, Unknown, "election: no leader";
    /// Election Proclaim of a lost leadership.
    ElectionNotLeader, Unknown, "election: not leader";
    /// Lock whose lease ran out while it waited.
    SessionExpired, Unknown, "mutex: session is expired";
    /// RangeStream with a sort order.
    RangeStreamSort, Unimplemented, "RangeStream does not support custom sort orders";
    /// RangeStream with a revision filter.
    RangeStreamFilter, Unimplemented, "RangeStream does not support revision filters";
}

/// Texts of a watch that could not be created, sent as `cancel_reason` (facts: errors, 7).
pub mod watch_reason {
    pub const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
    pub const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";
}
