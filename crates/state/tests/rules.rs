//! Rules that the table in docs/decisions/apply-differences.md points at.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod common;

use common::Machine;
use prost::Message;
use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, AlarmType, request_op::Request};
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType};
use state::members::{ChangeContext, Member};
use state::{Answer, ApplyError, Effect, Outcome, Version};

fn as_user(name: &str, request: pb::InternalRaftRequest) -> pb::InternalRaftRequest {
    let header = pb::RequestHeader { id: 1, username: name.into(), auth_revision: u64::from(!name.is_empty()) << 20 };
    pb::InternalRaftRequest { header: Some(header), ..request }
}

fn refusal(machine: &mut Machine, request: pb::InternalRaftRequest) -> Option<ClientError> {
    match machine.request(request).outcome {
        Some(Err(ApplyError::Client(e))) => Some(e),
        _ => None,
    }
}

fn put(key: &'static str) -> pb::InternalRaftRequest {
    let put = pb::PutRequest { key: key.into(), ..Default::default() };
    pb::InternalRaftRequest { put: Some(put), ..Default::default() }
}

fn alarm(action: i32, alarm: AlarmType) -> pb::InternalRaftRequest {
    let alarm = pb::AlarmRequest { action, member_id: 1, alarm: alarm as i32 };
    pb::InternalRaftRequest { alarm: Some(alarm), ..Default::default() }
}

/// Users root (all rights) and u (none), authentication on.
fn with_users(release: Version) -> Machine {
    let mut m = Machine::new(release, Answer::Wanted);
    for name in ["root", "u"] {
        let add = pb::AuthUserAddRequest { name: name.into(), hashed_password: "YQ==".into(), ..Default::default() };
        m.request(pb::InternalRaftRequest { auth_user_add: Some(add), ..Default::default() });
    }
    let grant = pb::AuthUserGrantRoleRequest { user: "root".into(), role: "root".into() };
    m.request(pb::InternalRaftRequest { auth_user_grant_role: Some(grant), ..Default::default() });
    m.request(pb::InternalRaftRequest { auth_enable: Some(Default::default()), ..Default::default() });
    assert!(m.state.reader().view().auth().is_enabled());
    m
}

fn disable() -> pb::InternalRaftRequest {
    pb::InternalRaftRequest { auth_disable: Some(Default::default()), ..Default::default() }
}

#[test]
fn apply_order() {
    for release in [Version::V3_4, Version::V3_7] {
        let mut m = with_users(release);
        assert_eq!(refusal(&mut m, as_user("u", put("k"))), Some(ClientError::PermissionDenied));
        m.request(as_user("root", alarm(1, AlarmType::Nospace)));
        assert_eq!(refusal(&mut m, as_user("u", put("k"))), Some(ClientError::NoSpace));
        m.request(as_user("root", alarm(1, AlarmType::Corrupt)));
        assert_eq!(refusal(&mut m, as_user("u", put("k"))), Some(ClientError::Corrupt));
        // Alarms lift no check.
        assert_eq!(refusal(&mut m, as_user("u", disable())), Some(ClientError::PermissionDenied));
        m.request(as_user("root", alarm(2, AlarmType::Corrupt)));
        let delete = pb::DeleteRangeRequest { key: "k".into(), ..Default::default() };
        let delete = pb::InternalRaftRequest { delete_range: Some(delete), ..Default::default() };
        assert_eq!(refusal(&mut m, as_user("u", delete.clone())), Some(ClientError::PermissionDenied));
        assert_eq!(refusal(&mut m, as_user("root", delete)), None);
        // An action that nobody knows.
        let unknown = m.request(as_user("root", alarm(9, AlarmType::Nospace)));
        assert!(matches!(unknown.outcome, Some(Ok(Outcome::Alarm(a))) if a.alarms.is_empty()));
        assert_eq!(unknown.effects, []);
    }
}

#[test]
fn quota_comes_last_and_decides_nothing() {
    let mut m = with_users(Version::V3_7);
    m.quota_bytes = 1;
    m.commit();
    m.reopen();
    assert_eq!(refusal(&mut m, as_user("u", put("k"))), Some(ClientError::PermissionDenied));
    let applied = m.request(as_user("root", put("k")));
    assert_eq!(applied.outcome, Some(Err(ClientError::NoSpace.into())));
    assert_eq!(applied.effects, [Effect::RaiseNoSpace]);
    assert_eq!(applied.revision, 2);
}

#[test]
fn a_key_that_a_sibling_deleted_is_put_with_nothing_kept() {
    let mut m = Machine::new(Version::V3_7, Answer::Wanted);
    m.request(put("a"));
    let op = |request| pb::RequestOp { request: Some(request) };
    let delete = op(Request::RequestDeleteRange(pb::DeleteRangeRequest { key: "a".into(), ..Default::default() }));
    let keep = pb::PutRequest { key: "a".into(), ignore_value: true, ignore_lease: true, ..Default::default() };
    let txn = pb::TxnRequest { success: vec![delete, op(Request::RequestPut(keep))], ..Default::default() };
    let applied = m.request(pb::InternalRaftRequest { txn: Some(txn), ..Default::default() });
    assert!(matches!(applied.outcome, Some(Ok(Outcome::Txn(_)))));
    let kv = m.state.reader().view().get_kv(b"a", 0).unwrap().unwrap();
    assert_eq!((kv.version, kv.value.len(), kv.lease), (1, 0, 0));
}

#[test]
fn auth_status_is_free_from_3_7() {
    let status =
        || as_user("", pb::InternalRaftRequest { auth_status: Some(Default::default()), ..Default::default() });
    assert_eq!(refusal(&mut with_users(Version::V3_7), status()), None);
    assert_eq!(refusal(&mut with_users(Version::V3_6), status()), Some(ClientError::UserEmpty));
}

#[test]
fn a_member_below_the_cluster_version_stops() {
    let mut m = Machine::new(Version::V3_6, Answer::Wanted);
    let set = proto::membershippb::ClusterVersionSetRequest { ver: "3.7.0".into() };
    let request = pb::InternalRaftRequest { cluster_version_set: Some(set), ..Default::default() };
    let entry = proto::raftpb::Entry {
        index: 1,
        term: 1,
        data: prost::Message::encode_to_vec(&request).into(),
        ..Default::default()
    };
    assert!(matches!(m.state.apply(&entry), Err(state::Error::ClusterTooNew { .. })));
}

#[test]
fn a_capped_member_writes_no_newer_keys() {
    let mut m = Machine::new(Version::V3_4, Answer::Wanted);
    let member = state::members::Member { id: 1, peer_urls: vec!["http://a:1".into()], ..Default::default() };
    m.conf_change(proto::raftpb::ConfChangeType::ConfChangeAddNode, member, false);
    m.commit();
    m.reopen();
    let view = m.state.reader().view();
    let keys: Vec<_> = view.scan(mvcc::Bucket::Meta, b"", None).map(|pair| pair.unwrap().0).collect();
    assert_eq!(keys, ["consistent_index"]);
    assert_eq!(view.versions().storage, None);
    assert_eq!(m.state.migrate_storage(Version::V3_5, Version::V3_0), state::versions::Migration::NoSuchTarget);
}

#[test]
fn gaps_in_the_log_are_refused() {
    let mut m = Machine::new(Version::V3_7, Answer::Wanted);
    let entry = proto::raftpb::Entry { index: 2, term: 1, ..Default::default() };
    assert!(matches!(m.state.apply(&entry), Err(state::Error::Gap { applied: 0, got: 2 })));
}

#[test]
fn long_names_are_refused() {
    let mut m = Machine::new(Version::V3_7, Answer::Wanted);
    let add = |n| pb::AuthUserAddRequest { name: "n".repeat(n), hashed_password: "YQ==".into(), ..Default::default() };
    let request = |n| pb::InternalRaftRequest { auth_user_add: Some(add(n)), ..Default::default() };
    assert_eq!(refusal(&mut m, request(32769)), Some(ClientError::RequestTooLarge));
    assert_eq!(refusal(&mut m, request(32768)), None);
    let role = pb::AuthRoleAddRequest { name: "n".repeat(32769) };
    let role = pb::InternalRaftRequest { auth_role_add: Some(role), ..Default::default() };
    assert_eq!(refusal(&mut m, role), Some(ClientError::RequestTooLarge));
    m.commit();
}

#[test]
fn deep_transactions_are_executed() {
    let mut m = Machine::new(Version::V3_7, Answer::Wanted);
    let put = pb::PutRequest { key: "k".into(), ..Default::default() };
    let mut op = pb::RequestOp { request: Some(Request::RequestPut(put)) };
    for _ in 0..256 {
        let txn = pb::TxnRequest { success: vec![op], ..Default::default() };
        op = pb::RequestOp { request: Some(Request::RequestTxn(txn)) };
    }
    let Some(Request::RequestTxn(txn)) = op.request else { panic!("a transaction") };
    let applied = m.request(pb::InternalRaftRequest { txn: Some(txn), ..Default::default() });
    assert_eq!(applied.revision, 2);
}

/// Authentications are many, and the store may be large.
#[test]
fn reading_auth_requests_share_the_store_with_readers() {
    let mut m = with_users(Version::V3_7);
    let before = m.state.reader().view().auth().clone();
    let authenticate = pb::InternalAuthenticateRequest { name: "u".into(), ..Default::default() };
    m.request(pb::InternalRaftRequest { authenticate: Some(authenticate), ..Default::default() });
    let get = pb::AuthUserGetRequest { name: "u".into() };
    m.request(as_user("root", pb::InternalRaftRequest { auth_user_get: Some(get), ..Default::default() }));
    assert!(std::sync::Arc::ptr_eq(&before, m.state.reader().view().auth()));
}

/// From 3.6 on the buckets tell the members: a snapshot whose tree does not is no reason to stay away.
#[test]
fn a_tree_that_is_no_authority_may_tell_no_membership() {
    let mut m = Machine::new(Version::V3_7, Answer::Wanted);
    let member = state::members::Member { id: 1, peer_urls: vec!["http://a:1".into()], ..Default::default() };
    m.conf_change(proto::raftpb::ConfChangeType::ConfChangeAddNode, member, false);
    let set = proto::membershippb::ClusterVersionSetRequest { ver: "3.6.0".into() };
    m.request(pb::InternalRaftRequest { cluster_version_set: Some(set), ..Default::default() });
    m.state.migrate_storage(Version::V3_6, Version::V3_0);
    m.take_snapshot();
    let snapshot = m.snapshot.as_mut().unwrap();
    let json = String::from_utf8(snapshot.json.to_vec()).unwrap();
    let damaged = json.replace(r#"{\"peerURLs\""#, r#"{peerURLs\""#);
    assert_ne!(damaged, json);
    snapshot.json = damaged.into_bytes().into();
    m.request(put("a"));
    m.commit();
    m.reopen();
    assert!(m.state.v2_tree().view().membership().is_err());
    let members = m.state.members().clone();
    assert_eq!(members.get(1).unwrap().peer_urls, ["http://a:1"]);
    // The first new entry puts the tree right.
    m.request(put("b"));
    assert_eq!(m.state.v2_tree().view().membership().unwrap(), *members);
    assert_eq!(m.state.v2_tree().view().cluster_version().unwrap(), Some(Version::V3_6));
}

/// `--max-learners` counts from cluster version 3.6 on; members of 3.4 and 3.5 know one number.
#[test]
fn one_learner_until_every_member_knows_the_flag() {
    let disk = common::new_disk(1);
    let mut options = common::options(&disk, Version::V3_7, None, 0);
    options.learners_max = 3;
    let mut state = state::State::open(options).unwrap();
    let mut index = 0;
    let mut apply = |entry_type: EntryType, data: Vec<u8>| {
        index += 1;
        state.apply(&Entry { entry_type: entry_type as i32, term: 1, index, data: data.into() }).unwrap().outcome
    };
    let learner = |id: u64| {
        let member = Member { id, peer_urls: vec![format!("http://m{id}:1")], is_learner: true, ..Member::default() };
        let context = ChangeContext { member, is_promote: false }.to_json().into();
        let change_type = ConfChangeType::ConfChangeAddLearnerNode as i32;
        ConfChange { id: 1, change_type, node_id: id, context }.encode_to_vec()
    };
    let version = |ver: &str| {
        let cluster_version_set = Some(proto::membershippb::ClusterVersionSetRequest { ver: ver.into() });
        pb::InternalRaftRequest { cluster_version_set, ..Default::default() }.encode_to_vec()
    };
    apply(EntryType::EntryNormal, version("3.5.0"));
    assert!(matches!(apply(EntryType::EntryConfChange, learner(1)), Some(Ok(_))));
    let refused = Some(Err(ApplyError::Client(ClientError::TooManyLearners)));
    assert_eq!(apply(EntryType::EntryConfChange, learner(2)), refused);
    apply(EntryType::EntryNormal, version("3.6.0"));
    assert!(matches!(apply(EntryType::EntryConfChange, learner(2)), Some(Ok(_))));
    assert!(matches!(apply(EntryType::EntryConfChange, learner(3)), Some(Ok(_))));
    assert_eq!(apply(EntryType::EntryConfChange, learner(4)), refused);
}
