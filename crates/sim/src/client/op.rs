//! What clients ask for.

use bytes::Bytes;
use proto::authpb::UserAddOptions;
use proto::etcdserverpb::{
    AuthUserAddRequest, AuthUserDeleteRequest, CompactionRequest, Compare, DeleteRangeRequest, InternalRaftRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, request_op,
};

/// A request.
#[derive(Clone, Debug)]
pub enum Op {
    /// Linearizable or serializable, of now or of an older revision.
    Range(RangeRequest),
    Put {
        key: Bytes,
        value: Bytes,
        lease: i64,
    },
    Delete {
        key: Bytes,
    },
    /// Puts if the key is as it was seen.
    Swap {
        key: Bytes,
        value: Bytes,
        seen: i64,
    },
    Compact {
        revision: i64,
    },
    Grant {
        id: i64,
        ttl_secs: i64,
    },
    Revoke {
        id: i64,
    },
    KeepAlive {
        id: i64,
    },
    AddUser {
        name: &'static str,
    },
    DeleteUser {
        name: &'static str,
    },
}

fn put(key: &Bytes, value: &Bytes, lease: i64) -> PutRequest {
    PutRequest { key: key.clone(), value: value.clone(), lease, ..PutRequest::default() }
}

fn swap(key: &Bytes, value: &Bytes, seen: i64) -> TxnRequest {
    let compare = Compare {
        target: compare::CompareTarget::Mod as i32,
        result: compare::CompareResult::Equal as i32,
        key: key.clone(),
        target_union: Some(compare::TargetUnion::ModRevision(seen)),
        ..Compare::default()
    };
    let op = |request| RequestOp { request: Some(request) };
    let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    TxnRequest {
        compare: vec![compare],
        success: vec![op(request_op::Request::RequestPut(put(key, value, 0)))],
        failure: vec![op(request_op::Request::RequestRange(range))],
    }
}

impl Op {
    /// As it goes into the log; reads and keep-alives don't.
    pub fn request(&self) -> InternalRaftRequest {
        let none = InternalRaftRequest::default();
        match self {
            Op::Range(_) | Op::KeepAlive { .. } => none,
            Op::Put { key, value, lease } => InternalRaftRequest { put: Some(put(key, value, *lease)), ..none },
            Op::Delete { key } => {
                let delete = DeleteRangeRequest { key: key.clone(), ..DeleteRangeRequest::default() };
                InternalRaftRequest { delete_range: Some(delete), ..none }
            }
            Op::Swap { key, value, seen } => InternalRaftRequest { txn: Some(swap(key, value, *seen)), ..none },
            Op::Compact { revision } => {
                let compaction = CompactionRequest { revision: *revision, physical: false };
                InternalRaftRequest { compaction: Some(compaction), ..none }
            }
            Op::Grant { id, ttl_secs } => {
                let grant = LeaseGrantRequest { id: *id, ttl: *ttl_secs };
                InternalRaftRequest { lease_grant: Some(grant), ..none }
            }
            Op::AddUser { name } => {
                let options = Some(UserAddOptions { no_password: true });
                let user = AuthUserAddRequest { name: (*name).into(), options, ..AuthUserAddRequest::default() };
                InternalRaftRequest { auth_user_add: Some(user), ..none }
            }
            Op::DeleteUser { name } => {
                let auth_user_delete = Some(AuthUserDeleteRequest { name: (*name).into() });
                InternalRaftRequest { auth_user_delete, ..none }
            }
            Op::Revoke { id } => InternalRaftRequest { lease_revoke: Some(LeaseRevokeRequest { id: *id }), ..none },
        }
    }
}
