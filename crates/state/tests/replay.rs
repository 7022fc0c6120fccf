//! Replay is deterministic: two states that are fed the same entries end alike, however often one of them crashes,
//! commits, sweeps, takes snapshots or is opened anew, and whether or not a client waits for its answers.
//!
//! `QUORATE_SEEDS` sets the number of runs.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod common;

use common::Machine;
use prost::Message;
use proto::etcdserverpb::{self as pb, compare, request_op::Request};
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType};
use proto::{authpb, membershippb};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use state::members::{ChangeContext, Member, Membership};
use state::{Answer, Version};

const STEPS: usize = 300;

#[test]
fn the_same_entries_give_the_same_state() {
    let seeds = std::env::var("QUORATE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    for seed in 0..seeds {
        run(seed);
    }
}

/// What raft knows of the members: conf changes that effects have told, from where the state said it starts.
#[derive(Default)]
struct Raft {
    changes: Vec<(u64, u64)>,
}

impl Raft {
    fn take(&mut self, applied: &state::Applied) {
        for effect in &applied.effects {
            if let state::Effect::ConfChange(change) = effect {
                self.changes.push((applied.index, change.node_id));
            }
        }
    }
}

fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut steady = Machine::new(Version::V3_7, Answer::Wanted);
    let mut shaken = Machine::new(Version::V3_7, Answer::Unwanted);
    let mut raft = Raft::default();
    let mut told = Raft::default();
    for _ in 0..STEPS {
        match rng.random_range(0..24) {
            0 => shaken.commit(),
            1 => {
                shaken.state.sweep(rng.random_range(1..5)).unwrap();
            }
            2 => {
                shaken.take_snapshot();
                let up_to = shaken.state.applied().index;
                told.changes.retain(|(index, _)| *index <= up_to);
            }
            3 | 4 => reopen(&mut shaken, &mut told, rng.random()),
            5 => {
                let cluster = steady.state.versions().cluster.unwrap_or(Version::V3_5);
                let target = cluster.max(Version::V3_5);
                steady.state.migrate_storage(target, Version::V3_0);
                shaken.state.migrate_storage(target, Version::V3_0);
            }
            _ => {
                let (entry_type, data) = entry(&mut rng, steady.state.members());
                let entry =
                    Entry { term: 2, index: steady.next_index(), entry_type: entry_type as i32, data: data.into() };
                raft.take(&steady.apply(entry.clone()));
                told.take(&shaken.apply(entry));
            }
        }
        assert_eq!(steady.state.members(), shaken.state.members(), "seed {seed}");
        assert_eq!(steady.state.conf_state(), shaken.state.conf_state(), "seed {seed}");
        assert_eq!(steady.state.conf_state(), steady.state.members().conf_state(), "seed {seed}");
        for machine in [&mut steady, &mut shaken] {
            let tree = machine.state.v2_tree().view().membership().unwrap();
            assert_eq!(tree, **machine.state.members(), "seed {seed}: the tree tells the same");
        }
        assert_eq!(raft.changes, told.changes, "seed {seed}: raft must hear of each conf change exactly once");
    }
    shaken.commit();
    reopen(&mut shaken, &mut told, false);
    assert_eq!(steady.digest(), shaken.digest(), "seed {seed}");
    assert_eq!(raft.changes, told.changes, "seed {seed}");
}

/// Opens anew. Raft starts with the configuration of the source, and hears of what comes after.
fn reopen(machine: &mut Machine, told: &mut Raft, power_loss: bool) {
    let before = machine.state.applied().index;
    let applied = if power_loss { machine.lose_power() } else { machine.reopen() };
    let source = machine.state.conf_source_index();
    told.changes.retain(|(index, _)| *index <= source);
    applied.iter().for_each(|applied| told.take(applied));
    assert_eq!(machine.state.applied().index, before);
}

fn key(rng: &mut StdRng) -> bytes::Bytes {
    format!("k{}", rng.random_range(0..12)).into()
}

fn put(rng: &mut StdRng) -> pb::PutRequest {
    let value = vec![b'v'; rng.random_range(0..40)].into();
    let lease = if rng.random_bool(0.4) { rng.random_range(1..6) } else { 0 };
    let ignore_value = rng.random_bool(0.1);
    let ignore_lease = rng.random_bool(0.1);
    pb::PutRequest {
        key: key(rng),
        value: if ignore_value { Default::default() } else { value },
        lease: if ignore_lease { 0 } else { lease },
        prev_kv: rng.random_bool(0.2),
        ignore_value,
        ignore_lease,
    }
}

fn delete(rng: &mut StdRng) -> pb::DeleteRangeRequest {
    let range_end = if rng.random_bool(0.5) { key(rng) } else { Default::default() };
    pb::DeleteRangeRequest { key: key(rng), range_end, prev_kv: rng.random_bool(0.2) }
}

fn txn(rng: &mut StdRng, depth: usize) -> pb::TxnRequest {
    let compare = pb::Compare {
        result: rng.random_range(0..4),
        target: rng.random_range(0..5),
        key: key(rng),
        target_union: Some(compare::TargetUnion::Version(rng.random_range(0..3))),
        ..Default::default()
    };
    let ops = |rng: &mut StdRng| {
        (0..rng.random_range(0..4))
            .map(|_| {
                let request = match rng.random_range(0..5) {
                    0 => Request::RequestDeleteRange(delete(rng)),
                    1 if depth < 3 => Request::RequestTxn(txn(rng, depth + 1)),
                    2 => Request::RequestRange(pb::RangeRequest {
                        key: key(rng),
                        revision: rng.random_range(-1..60),
                        ..Default::default()
                    }),
                    _ => Request::RequestPut(put(rng)),
                };
                pb::RequestOp { request: Some(request) }
            })
            .collect::<Vec<_>>()
    };
    pb::TxnRequest { compare: vec![compare], success: ops(rng), failure: ops(rng) }
}

fn entry(rng: &mut StdRng, members: &Membership) -> (EntryType, Vec<u8>) {
    if rng.random_bool(0.08) {
        return (EntryType::EntryConfChange, conf_change(rng, members).encode_to_vec());
    }
    if rng.random_bool(0.08) {
        return (EntryType::EntryNormal, v2(rng).encode_to_vec());
    }
    let mut r = pb::InternalRaftRequest { header: Some(Default::default()), ..Default::default() };
    match rng.random_range(0..30) {
        0..10 => r.put = Some(put(rng)),
        10..13 => r.delete_range = Some(delete(rng)),
        13..18 => r.txn = Some(txn(rng, 0)),
        18 => r.compaction = Some(pb::CompactionRequest { revision: rng.random_range(0..80), physical: false }),
        19..22 => r.lease_grant = Some(pb::LeaseGrantRequest { id: rng.random_range(1..6), ttl: 10 }),
        22 => r.lease_revoke = Some(pb::LeaseRevokeRequest { id: rng.random_range(1..6) }),
        23 => {
            let checkpoint = pb::LeaseCheckpoint { id: rng.random_range(1..6), remaining_ttl: rng.random_range(0..9) };
            r.lease_checkpoint = Some(pb::LeaseCheckpointRequest { checkpoints: vec![checkpoint] });
        }
        24 => {
            let action = rng.random_range(0..3);
            r.alarm = Some(pb::AlarmRequest { action, member_id: 1, alarm: rng.random_range(0..2) });
        }
        25 | 26 => auth(rng, &mut r),
        27 => {
            let minor = rng.random_range(4..8);
            let ver = format!("3.{minor}.0");
            r.cluster_version_set = Some(membershippb::ClusterVersionSetRequest { ver });
        }
        28 => {
            let member_attributes = Some(membershippb::Attributes { name: "m".into(), client_urls: vec!["c".into()] });
            let member_id = rng.random_range(1..6);
            r.cluster_member_attr_set =
                Some(membershippb::ClusterMemberAttrSetRequest { member_id, member_attributes });
        }
        _ => return (EntryType::EntryNormal, Vec::new()),
    }
    (EntryType::EntryNormal, r.encode_to_vec())
}

fn auth(rng: &mut StdRng, r: &mut pb::InternalRaftRequest) {
    let name = format!("u{}", rng.random_range(0..3));
    let role = format!("r{}", rng.random_range(0..2));
    match rng.random_range(0..5) {
        0 => {
            let hashed_password = "YQ==".to_owned();
            r.auth_user_add = Some(pb::AuthUserAddRequest { name, hashed_password, ..Default::default() });
        }
        1 => r.auth_user_delete = Some(pb::AuthUserDeleteRequest { name }),
        2 => r.auth_role_add = Some(pb::AuthRoleAddRequest { name: role }),
        3 => r.auth_user_grant_role = Some(pb::AuthUserGrantRoleRequest { user: name, role }),
        _ => {
            let perm = authpb::Permission { perm_type: rng.random_range(0..3), key: key(rng), range_end: key(rng) };
            r.auth_role_grant_permission = Some(pb::AuthRoleGrantPermissionRequest { name: role, perm: Some(perm) });
        }
    }
}

fn conf_change(rng: &mut StdRng, members: &Membership) -> ConfChange {
    use ConfChangeType as T;
    let id = rng.random_range(2..9);
    let kinds = [T::ConfChangeAddNode, T::ConfChangeRemoveNode, T::ConfChangeUpdateNode, T::ConfChangeAddLearnerNode];
    let kind = kinds[rng.random_range(0..4)];
    let member = Member {
        id,
        peer_urls: vec![format!("http://h:{}", rng.random_range(0..12))],
        // An update says of a learner that it is one, as our doors do.
        is_learner: kind == T::ConfChangeAddLearnerNode || (kind == T::ConfChangeUpdateNode && members.is_learner(id)),
        ..Member::default()
    };
    let is_promote = kind == T::ConfChangeAddNode && rng.random_bool(0.3);
    let context = ChangeContext { member, is_promote }.to_json().into();
    ConfChange { id: 1, change_type: kind as i32, node_id: id, context }
}

fn v2(rng: &mut StdRng) -> pb::V2Request {
    let mut method = ["PUT", "PUT", "POST", "DELETE", "SYNC"][rng.random_range(0..5)];
    let member = rng.random_range(1..6);
    let (path, val) = match rng.random_range(0..5) {
        0 => (format!("/0/members/{member}/attributes"), r#"{"name":"n"}"#.to_owned()),
        1 => ("/0/version".to_owned(), format!("3.{}.0", rng.random_range(4..6))),
        n => (format!("/1/{n}"), "v".to_owned()),
    };
    if path.starts_with("/0") {
        // No door lets anything else at what is there.
        method = "PUT";
    }
    pb::V2Request { id: 1, method: method.into(), path, val, time: rng.random_range(1..9), ..Default::default() }
}
