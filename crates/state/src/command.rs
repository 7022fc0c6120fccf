//! The command that an entry carries: the one enum that apply matches on.
//!
//! Entry data is an `InternalRaftRequest`, or, as 3.4 and 3.5 propose it, the bare bytes of a v2 request: it is one if
//! the first reading fails (facts: peer-protocol, 7). Field 2 of the former, now reserved, can hold the latter as well.

use prost::Message;
use proto::etcdserverpb as pb;
use proto::membershippb;
use proto::raftpb::{self, EntryType};

use crate::deep;
use crate::error::{Error, Result};

/// Who asks, as the proposer's door found out; checked at apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Empty = no credentials.
    pub username: String,
    /// The auth revision that the credentials were checked against; 0 = no credentials.
    pub auth_revision: u64,
}

/// What an entry asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The leader's first entry, or one that replaced a conf change that came too early.
    Empty,
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compaction(pb::CompactionRequest),
    LeaseGrant(pb::LeaseGrantRequest),
    LeaseRevoke(pb::LeaseRevokeRequest),
    LeaseCheckpoint(pb::LeaseCheckpointRequest),
    Alarm(pb::AlarmRequest),
    Auth(AuthCommand),
    ClusterVersionSet(membershippb::ClusterVersionSetRequest),
    ClusterMemberAttrSet(membershippb::ClusterMemberAttrSetRequest),
    DowngradeInfoSet(membershippb::DowngradeInfoSetRequest),
    /// Carried by etcd's own tests; no effect.
    DowngradeVersionTest,
    V2(pb::V2Request),
    ConfChange(raftpb::ConfChange),
    /// An `InternalRaftRequest` in which no known request is set; no effect.
    Unknown,
}

/// The requests about users, roles and tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthCommand {
    Enable,
    Disable,
    Status,
    Authenticate(pb::InternalAuthenticateRequest),
    UserAdd(pb::AuthUserAddRequest),
    UserDelete(pb::AuthUserDeleteRequest),
    UserGet(pb::AuthUserGetRequest),
    UserChangePassword(pb::AuthUserChangePasswordRequest),
    UserGrantRole(pb::AuthUserGrantRoleRequest),
    UserRevokeRole(pb::AuthUserRevokeRoleRequest),
    UserList,
    RoleList,
    RoleAdd(pb::AuthRoleAddRequest),
    RoleDelete(pb::AuthRoleDeleteRequest),
    RoleGet(pb::AuthRoleGetRequest),
    RoleGrantPermission(pb::AuthRoleGrantPermissionRequest),
    RoleRevokePermission(pb::AuthRoleRevokePermissionRequest),
}

/// An entry, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The ticket of the proposer; 0 = none.
    pub id: u64,
    /// `None` where the request has no header: then nobody's rights are looked at.
    pub caller: Option<Caller>,
    pub command: Command,
}

impl Decoded {
    fn bare(id: u64, command: Command) -> Decoded {
        Decoded { id, caller: None, command }
    }
}

/// Reads an entry. Errs where no release could have written it.
pub fn decode(entry: &raftpb::Entry) -> Result<Decoded> {
    let bad = |what: String| Error::BadEntry { index: entry.index, what };
    match EntryType::try_from(entry.entry_type) {
        Ok(EntryType::EntryNormal) => decode_normal(entry),
        Ok(EntryType::EntryConfChange) => {
            let change = raftpb::ConfChange::decode(entry.data.clone()).map_err(|e| bad(e.to_string()))?;
            Ok(Decoded::bare(change.id, Command::ConfChange(change)))
        }
        // An empty one leaves a joint configuration, which etcd never enters; raft itself may write it.
        Ok(EntryType::EntryConfChangeV2) if entry.data.is_empty() => Ok(Decoded::bare(0, Command::Empty)),
        Ok(EntryType::EntryConfChangeV2) => Err(bad("conf change of version 2".to_owned())),
        Err(_) => Err(bad(format!("unknown entry type {}", entry.entry_type))),
    }
}

fn decode_normal(entry: &raftpb::Entry) -> Result<Decoded> {
    if entry.data.is_empty() {
        return Ok(Decoded::bare(0, Command::Empty));
    }
    let read = pb::InternalRaftRequest::decode(entry.data.clone()).ok().or_else(|| deep::decode(&entry.data));
    let Some(request) = read else {
        return decode_v2(entry);
    };
    if carries_field_2(&entry.data) {
        return match V2Carrier::decode(entry.data.clone()) {
            Ok(V2Carrier { v2: Some(v2) }) => Ok(Decoded::bare(v2.id, Command::V2(v2))),
            Ok(V2Carrier { v2: None }) => Ok(from_request(request)),
            Err(_) => decode_v2(entry),
        };
    }
    Ok(from_request(request))
}

fn decode_v2(entry: &raftpb::Entry) -> Result<Decoded> {
    let v2 = crate::v2::decode_request(&entry.data)
        .map_err(|e| Error::BadEntry { index: entry.index, what: format!("neither a request of v3 nor of v2: {e}") })?;
    Ok(Decoded::bare(v2.id, Command::V2(v2)))
}

/// Field 2 of `InternalRaftRequest`, which 3.7 no longer declares.
#[derive(Clone, PartialEq, prost::Message)]
struct V2Carrier {
    #[prost(message, optional, tag = "2")]
    v2: Option<pb::V2Request>,
}

/// Whether the top level of a message that was decoded once has a field 2.
fn carries_field_2(mut data: &[u8]) -> bool {
    use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};
    while !data.is_empty() {
        match decode_key(&mut data) {
            Ok((2, _)) => return true,
            Ok((tag, wire_type)) => {
                debug_assert!(wire_type != WireType::EndGroup, "a decoded message has no stray group end, field {tag}");
                if skip_field(wire_type, tag, &mut data, DecodeContext::default()).is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    false
}

fn from_request(request: pb::InternalRaftRequest) -> Decoded {
    let mut request = request;
    let header = request.header.take();
    let id = match (&header, request.id) {
        (Some(header), 0) => header.id,
        (_, id) => id,
    };
    let caller = header.map(|h| Caller { username: h.username, auth_revision: h.auth_revision });
    Decoded { id, caller, command: command_of(request) }
}

/// The first request that is set, in the order in which etcd looks.
fn command_of(r: pb::InternalRaftRequest) -> Command {
    if let Some(x) = r.cluster_version_set {
        return Command::ClusterVersionSet(x);
    }
    if let Some(x) = r.cluster_member_attr_set {
        return Command::ClusterMemberAttrSet(x);
    }
    if let Some(x) = r.downgrade_info_set {
        return Command::DowngradeInfoSet(x);
    }
    if r.downgrade_version_test.is_some() {
        return Command::DowngradeVersionTest;
    }
    if let Some(x) = r.range {
        return Command::Range(x);
    }
    if let Some(x) = r.put {
        return Command::Put(x);
    }
    if let Some(x) = r.delete_range {
        return Command::DeleteRange(x);
    }
    if let Some(x) = r.txn {
        return Command::Txn(x);
    }
    if let Some(x) = r.compaction {
        return Command::Compaction(x);
    }
    if let Some(x) = r.lease_grant {
        return Command::LeaseGrant(x);
    }
    if let Some(x) = r.lease_revoke {
        return Command::LeaseRevoke(x);
    }
    if let Some(x) = r.lease_checkpoint {
        return Command::LeaseCheckpoint(x);
    }
    if let Some(x) = r.alarm {
        return Command::Alarm(x);
    }
    auth_command_of(r).map_or(Command::Unknown, Command::Auth)
}

fn auth_command_of(r: pb::InternalRaftRequest) -> Option<AuthCommand> {
    use AuthCommand as A;
    None.or(r.authenticate.map(A::Authenticate))
        .or(r.auth_enable.map(|_| A::Enable))
        .or(r.auth_disable.map(|_| A::Disable))
        .or(r.auth_status.map(|_| A::Status))
        .or(r.auth_user_add.map(A::UserAdd))
        .or(r.auth_user_delete.map(A::UserDelete))
        .or(r.auth_user_change_password.map(A::UserChangePassword))
        .or(r.auth_user_grant_role.map(A::UserGrantRole))
        .or(r.auth_user_get.map(A::UserGet))
        .or(r.auth_user_revoke_role.map(A::UserRevokeRole))
        .or(r.auth_role_add.map(A::RoleAdd))
        .or(r.auth_role_grant_permission.map(A::RoleGrantPermission))
        .or(r.auth_role_get.map(A::RoleGet))
        .or(r.auth_role_revoke_permission.map(A::RoleRevokePermission))
        .or(r.auth_role_delete.map(A::RoleDelete))
        .or(r.auth_user_list.map(|_| A::UserList))
        .or(r.auth_role_list.map(|_| A::RoleList))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(data: Vec<u8>) -> raftpb::Entry {
        raftpb::Entry { entry_type: 0, term: 1, index: 7, data: data.into() }
    }

    fn v2(method: &str, path: &str) -> pb::V2Request {
        pb::V2Request { id: 9, method: method.into(), path: path.into(), val: "x".into(), ..Default::default() }
    }

    /// The bytes as the releases up to 3.6 write them: zero scalars are on the wire.
    fn gogo(v: &pb::V2Request) -> Vec<u8> {
        use prost::encoding::{bool, int64, string, uint64};
        let mut b = Vec::new();
        uint64::encode(1, &v.id, &mut b);
        string::encode(2, &v.method, &mut b);
        string::encode(3, &v.path, &mut b);
        string::encode(4, &v.val, &mut b);
        bool::encode(5, &v.dir, &mut b);
        string::encode(6, &v.prev_value, &mut b);
        uint64::encode(7, &v.prev_index, &mut b);
        int64::encode(9, &v.expiration, &mut b);
        bool::encode(10, &v.wait, &mut b);
        uint64::encode(11, &v.since, &mut b);
        for tag in [12, 13, 14] {
            bool::encode(tag, &false, &mut b);
        }
        int64::encode(15, &v.time, &mut b);
        bool::encode(16, &v.stream, &mut b);
        b
    }

    #[test]
    fn bare_v2_requests_are_told_apart() {
        for (method, path) in
            [("PUT", "/0/version"), ("SYNC", ""), ("DELETE", "/1/a"), ("QGET", "/1/a"), ("POST", "/1/q")]
        {
            let v = v2(method, path);
            let got = decode(&normal(gogo(&v))).unwrap();
            assert_eq!((got.id, got.command), (9, Command::V2(v)), "{method} {path}");
        }
    }

    #[test]
    fn a_carried_v2_request_is_found() {
        let v = v2("PUT", "/1/a");
        let carrier = V2Carrier { v2: Some(v.clone()) };
        assert_eq!(decode(&normal(carrier.encode_to_vec())).unwrap().command, Command::V2(v));
    }

    #[test]
    fn the_legacy_id_goes_before_the_header() {
        let header = pb::RequestHeader { id: 5, username: "u".into(), auth_revision: 3 };
        let mut r =
            pb::InternalRaftRequest { header: Some(header), put: Some(Default::default()), ..Default::default() };
        let got = decode(&normal(r.encode_to_vec())).unwrap();
        assert_eq!(got.id, 5);
        assert_eq!(got.caller, Some(Caller { username: "u".into(), auth_revision: 3 }));
        r.id = 4;
        assert_eq!(decode(&normal(r.encode_to_vec())).unwrap().id, 4);
    }

    /// Bytes from outside never stop the reader: whatever comes is read or refused.
    #[test]
    fn any_bytes_can_be_offered() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let put = pb::PutRequest { key: "key".into(), value: "value".into(), ..Default::default() };
        let header = pb::RequestHeader { id: 5, username: "u".into(), auth_revision: 3 };
        let r = pb::InternalRaftRequest { header: Some(header), put: Some(put), ..Default::default() };
        let seeds = [r.encode_to_vec(), gogo(&v2("PUT", "/1/a")), vec![0; 20]];
        for round in 0..20_000 {
            let mut data = seeds[round % seeds.len()].clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..data.len());
                data[at] = rng.random();
            }
            data.truncate(rng.random_range(0..=data.len()));
            let mut entry = normal(data);
            entry.entry_type = rng.random_range(0..4);
            decode(&entry).ok();
        }
    }

    #[test]
    fn garbage_is_refused() {
        assert!(decode(&normal(vec![0xff; 40])).is_err());
        let mut v2 = normal(vec![1]);
        v2.entry_type = 2;
        assert!(decode(&v2).is_err());
    }
}
