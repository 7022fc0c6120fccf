//! Requests as fuzzing begins with them: mostly such as doors let pass, with numbers at which something may run over.

use proto::etcdserverpb::{self as pb, compare::TargetUnion, request_op::Request};
use proto::raftpb::ConfChange;
use proto::{authpb, membershippb};
use rand::Rng;
use rand::rngs::SmallRng;
use state::members::{ChangeContext, Member};

pub fn number(rng: &mut SmallRng) -> i64 {
    match rng.random_range(0..12) {
        0 => -1,
        1 => i64::MAX,
        2 => i64::MIN,
        _ => rng.random_range(0..12),
    }
}

fn key(rng: &mut SmallRng) -> bytes::Bytes {
    ["", "\0", "k0", "k1", "k2", "k3", "l"][rng.random_range(0..7)].into()
}

fn text(rng: &mut SmallRng) -> String {
    ["", "root", "u0", "u1", "r0", "é\"<"][rng.random_range(0..6)].to_owned()
}

fn put(rng: &mut SmallRng) -> pb::PutRequest {
    pb::PutRequest {
        key: key(rng),
        value: vec![b'v'; rng.random_range(0..20)].into(),
        lease: if rng.random() { 0 } else { rng.random_range(-1..4) },
        prev_kv: rng.random(),
        ignore_value: rng.random_ratio(1, 8),
        ignore_lease: rng.random_ratio(1, 8),
    }
}

fn range(rng: &mut SmallRng) -> pb::RangeRequest {
    pb::RangeRequest {
        key: key(rng),
        range_end: key(rng),
        limit: number(rng),
        revision: if rng.random() { 0 } else { number(rng) },
        sort_order: rng.random_range(0..4),
        sort_target: rng.random_range(0..6),
        serializable: rng.random(),
        keys_only: rng.random(),
        count_only: rng.random_ratio(1, 4),
        min_mod_revision: number(rng) * i64::from(rng.random_ratio(1, 4)),
        max_mod_revision: 0,
        min_create_revision: 0,
        max_create_revision: 0,
    }
}

fn delete(rng: &mut SmallRng) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key(rng), range_end: key(rng), prev_kv: rng.random() }
}

/// Also such as no door lets pass: keys put twice, empty ops, operators that nobody knows.
fn txn(rng: &mut SmallRng, depth: usize) -> pb::TxnRequest {
    let compare = (0..rng.random_range(0..3))
        .map(|_| pb::Compare {
            result: rng.random_range(0..5),
            target: rng.random_range(0..6),
            key: key(rng),
            range_end: if rng.random() { Default::default() } else { key(rng) },
            target_union: match rng.random_range(0..4) {
                0 => None,
                1 => Some(TargetUnion::Value("v".into())),
                2 => Some(TargetUnion::Lease(number(rng))),
                _ => Some(TargetUnion::Version(number(rng))),
            },
        })
        .collect();
    let ops = |rng: &mut SmallRng| -> Vec<pb::RequestOp> {
        (0..rng.random_range(0..4))
            .map(|_| {
                let request = match rng.random_range(0..9) {
                    0 => None,
                    1 => Some(Request::RequestRange(range(rng))),
                    2 => Some(Request::RequestDeleteRange(delete(rng))),
                    3..6 if depth < 4 => Some(Request::RequestTxn(txn(rng, depth + 1))),
                    _ => Some(Request::RequestPut(put(rng))),
                };
                pb::RequestOp { request }
            })
            .collect()
    };
    pb::TxnRequest { compare, success: ops(rng), failure: ops(rng) }
}

/// A chain of transactions inside each other.
pub fn chain(depth: usize) -> pb::InternalRaftRequest {
    let put = pb::PutRequest { key: "k".into(), ..Default::default() };
    let mut op = pb::RequestOp { request: Some(Request::RequestPut(put)) };
    for _ in 0..depth {
        let txn = pb::TxnRequest { success: vec![op], ..Default::default() };
        op = pb::RequestOp { request: Some(Request::RequestTxn(txn)) };
    }
    pb::InternalRaftRequest {
        txn: Some(pb::TxnRequest { success: vec![op], ..Default::default() }),
        ..Default::default()
    }
}

/// No password in the clear: hashing is slow by design.
fn auth(rng: &mut SmallRng, r: &mut pb::InternalRaftRequest) {
    let (name, role) = (text(rng), text(rng));
    let hashed_password = ["YQ==", "", "%"][rng.random_range(0..3)].to_owned();
    match rng.random_range(0..14) {
        0 | 1 => {
            let options = rng.random::<bool>().then(|| authpb::UserAddOptions { no_password: rng.random() });
            r.auth_user_add = Some(pb::AuthUserAddRequest { name, hashed_password, options, ..Default::default() });
        }
        2 => r.auth_user_delete = Some(pb::AuthUserDeleteRequest { name }),
        3 | 4 => r.auth_role_add = Some(pb::AuthRoleAddRequest { name: role }),
        5 | 6 => r.auth_user_grant_role = Some(pb::AuthUserGrantRoleRequest { user: name, role }),
        7 => r.auth_user_revoke_role = Some(pb::AuthUserRevokeRoleRequest { name, role }),
        8 => r.auth_role_delete = Some(pb::AuthRoleDeleteRequest { role }),
        9 => {
            r.auth_user_change_password =
                Some(pb::AuthUserChangePasswordRequest { name, hashed_password, ..Default::default() });
        }
        10 => r.auth_enable = Some(pb::AuthEnableRequest {}),
        11 => r.auth_disable = Some(pb::AuthDisableRequest {}),
        12 => {
            let simple_token = "t".repeat(16);
            r.authenticate = Some(pb::InternalAuthenticateRequest { name, simple_token, ..Default::default() });
        }
        _ => {
            let perm = authpb::Permission { perm_type: rng.random_range(0..4), key: key(rng), range_end: key(rng) };
            let perm = rng.random_ratio(4, 5).then_some(perm);
            r.auth_role_grant_permission = Some(pb::AuthRoleGrantPermissionRequest { name: role, perm });
        }
    }
}

pub fn request(rng: &mut SmallRng) -> pb::InternalRaftRequest {
    let mut r = pb::InternalRaftRequest::default();
    if rng.random() {
        r.header =
            Some(pb::RequestHeader { id: rng.random(), username: text(rng), auth_revision: rng.random_range(0..9) });
    }
    match rng.random_range(0..24) {
        0..4 => r.put = Some(put(rng)),
        4 => r.range = Some(range(rng)),
        5 | 6 => r.delete_range = Some(delete(rng)),
        7..11 => r.txn = Some(txn(rng, 0)),
        11 => r.compaction = Some(pb::CompactionRequest { revision: number(rng), physical: rng.random() }),
        12..15 => r.lease_grant = Some(pb::LeaseGrantRequest { id: rng.random_range(-1..4), ttl: number(rng) }),
        15 => r.lease_revoke = Some(pb::LeaseRevokeRequest { id: rng.random_range(-1..4) }),
        16 => {
            let checkpoint =
                |rng: &mut SmallRng| pb::LeaseCheckpoint { id: rng.random_range(-1..4), remaining_ttl: number(rng) };
            let checkpoints = (0..rng.random_range(0..3)).map(|_| checkpoint(rng)).collect();
            r.lease_checkpoint = Some(pb::LeaseCheckpointRequest { checkpoints });
        }
        17 => {
            let (action, alarm) = (rng.random_range(0..4), rng.random_range(-1..4));
            r.alarm = Some(pb::AlarmRequest { action, member_id: rng.random_range(0..3), alarm });
        }
        18..21 => auth(rng, &mut r),
        21 => {
            let ver = ["3.7.0", "3.6", "3.5.0", "", "x", "3.6.0-rc.1"][rng.random_range(0..6)];
            // What this release does not speak stops the member.
            let ver = if rng.random_ratio(1, 30) { "3.99.0" } else { ver }.to_owned();
            r.cluster_version_set = Some(membershippb::ClusterVersionSetRequest { ver });
        }
        22 => {
            let ver = ["3.6.0", "", "18446744073709551616.0.0"][rng.random_range(0..3)].to_owned();
            r.downgrade_info_set = Some(membershippb::DowngradeInfoSetRequest { enabled: rng.random(), ver });
        }
        _ => {
            let member_attributes = rng
                .random::<bool>()
                .then(|| membershippb::Attributes { name: text(rng), client_urls: vec![text(rng)] });
            let member_id = rng.random_range(0..4);
            r.cluster_member_attr_set =
                Some(membershippb::ClusterMemberAttrSetRequest { member_id, member_attributes });
        }
    }
    r
}

/// Also with a context that is broken or names another node.
pub fn conf_change(rng: &mut SmallRng) -> ConfChange {
    let id = rng.random_range(0..5);
    let member = Member {
        id: if rng.random_ratio(1, 8) { rng.random() } else { id },
        name: text(rng),
        peer_urls: (0..rng.random_range(0..3)).map(|_| text(rng)).collect(),
        client_urls: Vec::new(),
        is_learner: rng.random(),
    };
    let mut context = ChangeContext { member, is_promote: rng.random_ratio(1, 4) }.to_json();
    if rng.random_ratio(1, 4) {
        let at = rng.random_range(0..context.len());
        context[at] = rng.random();
    }
    ConfChange { id: rng.random(), change_type: rng.random_range(0..5), node_id: id, context: context.into() }
}

pub fn v2(rng: &mut SmallRng) -> pb::V2Request {
    let method = ["PUT", "POST", "DELETE", "QGET", "SYNC", "", "get"][rng.random_range(0..7)];
    let paths = [
        "/0/members/1/attributes",
        "/0/members/zz/attributes",
        "/0/version",
        "/1/a",
        "/1/a/b",
        "/1/_h",
        "",
        "/",
        "/1/../0",
    ];
    let values = ["", "v", r#"{"name":"n","clientURLs":["c"]}"#, "{", "3.5.0"];
    pb::V2Request {
        id: rng.random(),
        method: method.into(),
        path: paths[rng.random_range(0..paths.len())].into(),
        val: values[rng.random_range(0..values.len())].into(),
        dir: rng.random_ratio(1, 4),
        prev_value: if rng.random_ratio(1, 4) { "v".into() } else { String::new() },
        prev_index: rng.random_range(0..6) * u64::from(rng.random_ratio(1, 4)),
        prev_exist: rng.random_ratio(1, 4).then(|| rng.random()),
        expiration: if rng.random() { 0 } else { number(rng) },
        recursive: rng.random(),
        time: number(rng),
        refresh: rng.random_ratio(1, 6).then_some(true),
        ..Default::default()
    }
}
