//! The table of unary calls: name on the wire, types, and whether a repetition can do harm.

use std::marker::PhantomData;

use proto::etcdserverpb as pb;

/// One unary call.
pub struct Method<Q, A> {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// Reads may be repeated while the service is unavailable; writes only when they were never sent.
    pub read: bool,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Method<Q, A> {
    const fn read(path: &'static str) -> Self {
        Method { path, read: true, types: PhantomData }
    }

    const fn write(path: &'static str) -> Self {
        Method { path, read: false, types: PhantomData }
    }
}

macro_rules! methods {
    ($($name:ident: $kind:ident $path:literal ($request:ident) -> $response:ident;)*) => {
        /// The unary calls by name.
        pub mod methods {
            use super::{Method, pb};
            $(
                #[doc = concat!("`", $path, "`")]
                pub const $name: Method<pb::$request, pb::$response> =
                    Method::$kind(concat!("/etcdserverpb.", $path));
            )*
        }
    };
}

methods! {
    RANGE: read "KV/Range" (RangeRequest) -> RangeResponse;
    PUT: write "KV/Put" (PutRequest) -> PutResponse;
    DELETE_RANGE: write "KV/DeleteRange" (DeleteRangeRequest) -> DeleteRangeResponse;
    TXN: write "KV/Txn" (TxnRequest) -> TxnResponse;
    COMPACT: write "KV/Compact" (CompactionRequest) -> CompactionResponse;
    LEASE_GRANT: write "Lease/LeaseGrant" (LeaseGrantRequest) -> LeaseGrantResponse;
    LEASE_REVOKE: write "Lease/LeaseRevoke" (LeaseRevokeRequest) -> LeaseRevokeResponse;
    LEASE_TIME_TO_LIVE: read "Lease/LeaseTimeToLive" (LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse;
    LEASE_LEASES: read "Lease/LeaseLeases" (LeaseLeasesRequest) -> LeaseLeasesResponse;
    MEMBER_LIST: read "Cluster/MemberList" (MemberListRequest) -> MemberListResponse;
    MEMBER_ADD: write "Cluster/MemberAdd" (MemberAddRequest) -> MemberAddResponse;
    MEMBER_REMOVE: write "Cluster/MemberRemove" (MemberRemoveRequest) -> MemberRemoveResponse;
    MEMBER_UPDATE: write "Cluster/MemberUpdate" (MemberUpdateRequest) -> MemberUpdateResponse;
    MEMBER_PROMOTE: write "Cluster/MemberPromote" (MemberPromoteRequest) -> MemberPromoteResponse;
    ALARM: read "Maintenance/Alarm" (AlarmRequest) -> AlarmResponse;
    STATUS: read "Maintenance/Status" (StatusRequest) -> StatusResponse;
    DEFRAGMENT: write "Maintenance/Defragment" (DefragmentRequest) -> DefragmentResponse;
    HASH: read "Maintenance/Hash" (HashRequest) -> HashResponse;
    HASH_KV: read "Maintenance/HashKV" (HashKvRequest) -> HashKvResponse;
    MOVE_LEADER: write "Maintenance/MoveLeader" (MoveLeaderRequest) -> MoveLeaderResponse;
    DOWNGRADE: write "Maintenance/Downgrade" (DowngradeRequest) -> DowngradeResponse;
}

/// Streams: their names on the wire.
pub mod streams {
    pub const WATCH: &str = "/etcdserverpb.Watch/Watch";
    pub const LEASE_KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
    pub const SNAPSHOT: &str = "/etcdserverpb.Maintenance/Snapshot";
    pub const RANGE_STREAM: &str = "/etcdserverpb.KV/RangeStream";
}
