//! What a fuzzer feeds with bytes: the same functions serve `cargo fuzz` (`fuzz/`) and the seeded loops in
//! `fuzz_decoders.rs`. Whatever the bytes are, there is an error or a state that goes on; never a panic.
#![allow(dead_code, reason = "each target is a program of its own")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::MemDisk;
use mvcc::{Bucket, HashRule, MetaKey, SweepProgress};
use prost::Message;
use proto::etcdserverpb as pb;
use proto::membershippb;
use proto::raftpb::{ConfChange, Entry};
use state::members::{Attributes, ChangeContext, Member, Membership, RaftAttributes};
use state::v2::Tree;
use state::{Answer, Error, Result, State, StateOptions, V2Snapshot, Version};

const DB: &str = "/db";
const SELF: u64 = 1;

fn options(disk: &MemDisk, v2_snapshot: Option<V2Snapshot>) -> StateOptions {
    StateOptions { v2_snapshot, ..StateOptions::new(Arc::new(disk.clone()), DB, SELF) }
}

/// Entries of the log: a byte whether somebody waits, then each with its type, the length of its data (two bytes, little
/// endian) and its data. Only what no release writes may stop the member.
pub fn entries(bytes: &[u8]) -> Result<()> {
    let Some((&answer, mut bytes)) = bytes.split_first() else { return Ok(()) };
    let answer = if answer % 2 == 0 { Answer::Wanted } else { Answer::Unwanted };
    let disk = MemDisk::new(0);
    let mut state = State::open(options(&disk, None))?;
    let mut log = Vec::new();
    while let Some((entry_type, data)) = next_entry(&mut bytes) {
        let entry = entry(log.len() as u64 + 1, i32::from(entry_type), data.to_vec());
        let before = (state.image().revision(), state.applied());
        match state.apply_for(&entry, answer) {
            Ok(applied) => {
                assert!(applied.revision == before.0 || applied.revision == before.0 + 1, "one entry, one revision");
                assert_eq!(state.applied().index, entry.index);
            }
            Err(error @ Error::BadEntry { .. }) => {
                assert_eq!((state.image().revision(), state.applied()), before, "a bad entry leaves nothing behind");
                return Err(error);
            }
            Err(error @ Error::ClusterTooNew { .. }) => return Err(error),
            Err(error) => panic!("{error}"),
        }
        log.push(entry);
        if log.len() % 3 == 0 {
            state.publish();
        }
    }
    state.publish();
    let told = digest(&mut state)?;
    if let Some(job) = state.seal(u64::MAX) {
        state.committed(job.run()?);
    }
    // What the buckets hold is what the tables held.
    drop(state);
    let mut state = State::open(options(&disk, None))?;
    for entry in &log {
        state.apply_for(entry, answer)?;
    }
    state.publish();
    assert_eq!(digest(&mut state)?, told, "opened again");
    let tree = state.snapshot_json();
    Tree::from_json(&tree).expect("our own snapshot is read back");
    Ok(())
}

fn next_entry<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [entry_type, low, high, rest @ ..] = *bytes else { return None };
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
    *bytes = rest;
    Some((*entry_type, data))
}

/// As [`entries`] reads it.
pub fn encode_entry(entry_type: u8, data: &[u8], out: &mut Vec<u8>) {
    let data = &data[..data.len().min(usize::from(u16::MAX))];
    out.push(entry_type);
    out.extend((data.len() as u16).to_le_bytes());
    out.extend_from_slice(data);
}

fn entry(index: u64, entry_type: i32, data: Vec<u8>) -> Entry {
    Entry { entry_type, term: 2, index, data: data.into() }
}

/// What buckets and tables tell of keys, leases, users and alarms. The remainders of leases are not always on disk.
fn digest(state: &mut State) -> Result<String> {
    for _ in 0..10_000 {
        if state.sweep(7)? == SweepProgress::Idle {
            break;
        }
    }
    state.publish();
    let view = state.reader().view();
    let leases: Vec<_> = view.leases().iter().map(|lease| (lease.id, lease.ttl_secs, &lease.keys)).collect();
    Ok(format!(
        "{} {} {:?} {leases:?} {:?} {:?}",
        view.revision(),
        view.compact_revision(),
        view.hash_kv(0, HashRule::V3_7).map(|hash| hash.hash),
        view.auth(),
        view.alarms()
    ))
}

/// Anything in the buckets of a sound file, and a v2 snapshot. A byte: 0 = there is no snapshot; then pairs as
/// [`encode_pair`] writes them, a byte 255, and the JSON.
pub fn buckets(bytes: &[u8]) -> Result<()> {
    let Some((&kind, mut bytes)) = bytes.split_first() else { return Ok(()) };
    let disk = MemDisk::new(0);
    let store = |error: bolt::Error| Error::Store(error.into());
    let db = bolt::Db::open(Arc::new(disk.clone()), Path::new(DB), bolt::Options::default()).map_err(store)?;
    let mut tx = db.write().map_err(store)?;
    let mut consistent = 0;
    for bucket in Bucket::ALL {
        tx.create_bucket_if_missing(bucket.name().as_bytes()).map_err(store)?;
    }
    while let Some((bucket, key, value)) = next_pair(&mut bytes) {
        if bucket == Bucket::Meta && key == MetaKey::ConsistentIndex.bytes() {
            consistent = value.try_into().map_or(0, u64::from_be_bytes);
        }
        // Bolt takes no empty key.
        if !key.is_empty() {
            let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            tx.put(bucket.name().as_bytes(), key, value).map_err(store)?;
        }
    }
    tx.commit().map_err(store)?;
    drop(db);
    let json = Bytes::copy_from_slice(bytes.get(1..).unwrap_or_default());
    let snapshot = (kind != 0).then_some(V2Snapshot { index: consistent, json });
    let mut state = State::open(options(&disk, snapshot))?;
    serve(&mut state)?;
    let index = state.applied().index;
    let json = state.snapshot_json();
    drop(state);
    State::open(options(&disk, Some(V2Snapshot { index, json })))?;
    Ok(())
}

fn next_pair<'a>(bytes: &mut &'a [u8]) -> Option<(Bucket, &'a [u8], &'a [u8])> {
    let [bucket, key_len, low, high, rest @ ..] = *bytes else { return None };
    let bucket = *Bucket::ALL.get(usize::from(*bucket))?;
    let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
    *bytes = rest;
    Some((bucket, key, value))
}

/// As [`buckets`] reads it.
pub fn encode_pair(bucket: Bucket, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let position = Bucket::ALL.iter().position(|b| *b == bucket).expect("one of all");
    let (key, value) = (&key[..key.len().min(255)], &value[..value.len().min(usize::from(u16::MAX))]);
    out.extend([position as u8, key.len() as u8]);
    out.extend((value.len() as u16).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// A life after opening: every table is read and written, and the file is committed.
fn serve(state: &mut State) -> Result<()> {
    let requests = requests();
    let first = state.applied().index;
    if first > u64::MAX - 100 {
        return Ok(());
    }
    // Entries at or below the consistent index reach the v2 tree alone: the round goes on until some are new.
    for (at, request) in (1..60).zip(requests.iter().cycle()) {
        let request = entry(first + at, 0, request.encode_to_vec());
        state.apply(&request)?;
    }
    let member = Member { id: 77, peer_urls: vec!["http://h:77".into()], ..Member::default() };
    let context = ChangeContext { member, is_promote: false }.to_json().into();
    let change = ConfChange { id: 5, change_type: 0, node_id: 77, context };
    state.apply(&entry(first + 60, 1, change.encode_to_vec()))?;
    state.publish();
    let view = state.reader().view();
    for user in ["", "root", "u", "u0"] {
        let caller = state::command::Caller { username: user.into(), auth_revision: u64::MAX };
        // Refusals are what is expected here.
        view.auth().check_range(&caller, state::auth::Access::Read, b"a", b"z").ok();
        view.auth().check_admin(&caller).ok();
    }
    // None where all entries were old to the backend.
    if let Some(job) = state.seal(u64::MAX) {
        state.committed(job.run()?);
    }
    digest(state).map(drop)
}

fn requests() -> Vec<pb::InternalRaftRequest> {
    let empty = pb::InternalRaftRequest::default;
    let put = |lease| pb::PutRequest { key: "k".into(), lease, prev_kv: true, ..Default::default() };
    let role = || "r".to_owned();
    let perm = Some(proto::authpb::Permission { perm_type: 2, key: "a".into(), range_end: "z".into() });
    let grant_permission = pb::AuthRoleGrantPermissionRequest { name: role(), perm };
    let checkpoint = pb::LeaseCheckpoint { id: 7, remaining_ttl: 3 };
    let alarm = |action| pb::AlarmRequest { action, member_id: 1, alarm: 1 };
    let name = || "u".to_owned();
    let hashed_password = "YQ==".to_owned();
    let attributes = membershippb::Attributes { name: "m".into(), client_urls: vec!["c".into()] };
    let set =
        membershippb::ClusterMemberAttrSetRequest { member_id: SELF, member_attributes: Some(attributes.clone()) };
    vec![
        pb::InternalRaftRequest { put: Some(put(0)), ..empty() },
        pb::InternalRaftRequest { lease_grant: Some(pb::LeaseGrantRequest { id: 7, ttl: 10 }), ..empty() },
        pb::InternalRaftRequest { put: Some(put(7)), ..empty() },
        pb::InternalRaftRequest {
            lease_checkpoint: Some(pb::LeaseCheckpointRequest { checkpoints: vec![checkpoint] }),
            ..empty()
        },
        pb::InternalRaftRequest {
            delete_range: Some(pb::DeleteRangeRequest { key: "a".into(), range_end: "c".into(), prev_kv: true }),
            ..empty()
        },
        pb::InternalRaftRequest { lease_revoke: Some(pb::LeaseRevokeRequest { id: 7 }), ..empty() },
        pb::InternalRaftRequest { alarm: Some(alarm(1)), ..empty() },
        pb::InternalRaftRequest { alarm: Some(alarm(2)), ..empty() },
        pb::InternalRaftRequest { auth_role_add: Some(pb::AuthRoleAddRequest { name: role() }), ..empty() },
        pb::InternalRaftRequest { auth_role_grant_permission: Some(grant_permission), ..empty() },
        pb::InternalRaftRequest {
            auth_user_add: Some(pb::AuthUserAddRequest { name: name(), hashed_password, ..Default::default() }),
            ..empty()
        },
        pb::InternalRaftRequest {
            auth_user_grant_role: Some(pb::AuthUserGrantRoleRequest { user: name(), role: role() }),
            ..empty()
        },
        pb::InternalRaftRequest { auth_role_delete: Some(pb::AuthRoleDeleteRequest { role: role() }), ..empty() },
        pb::InternalRaftRequest {
            cluster_version_set: Some(membershippb::ClusterVersionSetRequest { ver: "3.6.0".into() }),
            ..empty()
        },
        pb::InternalRaftRequest {
            downgrade_info_set: Some(membershippb::DowngradeInfoSetRequest { enabled: true, ver: "3.5.0".into() }),
            ..empty()
        },
        pb::InternalRaftRequest { cluster_member_attr_set: Some(set), ..empty() },
        pb::InternalRaftRequest { compaction: Some(pb::CompactionRequest { revision: 2, physical: true }), ..empty() },
    ]
}

/// A text of JSON: what is read can be written, and is then read alike.
pub fn json(bytes: &[u8]) -> Result<()> {
    if let Ok(member) = Member::from_json(bytes) {
        assert_eq!(Member::from_json(&member.to_json()).expect("our own writing is read back"), member);
    }
    if let Ok(context) = ChangeContext::from_json(bytes) {
        assert_eq!(ChangeContext::from_json(&context.to_json()).expect("our own writing is read back"), context);
    }
    if let Ok(told) = Attributes::from_json(bytes) {
        assert_eq!(Attributes::from_json(&told.to_json()).expect("our own writing is read back"), told);
    }
    if let Ok(decided) = RaftAttributes::from_json(bytes) {
        assert_eq!(RaftAttributes::from_json(&decided.to_json()).expect("our own writing is read back"), decided);
    }
    let mut tree = Tree::from_json(bytes).map_err(|error| Error::V2Snapshot(error.to_string()))?;
    // Whether it tells members and version is another question, which it answers without a panic.
    drop((tree.view().membership(), tree.view().cluster_version()));
    let json = tree.to_json();
    assert_eq!(Tree::from_json(&json).expect("our own writing is read back").to_json(), json);
    for (method, path, dir) in
        [("PUT", "/1/a", false), ("POST", "/1/q", false), ("SYNC", "", false), ("DELETE", "/1", true)]
    {
        let request = pb::V2Request {
            id: 1,
            method: method.into(),
            path: path.into(),
            val: "v".into(),
            dir,
            recursive: dir,
            time: i64::MAX,
            ..Default::default()
        };
        drop(tree.apply(&request));
    }
    Tree::from_json(&tree.to_json()).expect("our own writing is read back");
    // As a state does whose buckets tell the members.
    let members = Membership::new([Member { id: 2, ..Member::default() }], [3]);
    tree.set_membership(&members, Some(Version::V3_5));
    assert_eq!(tree.view().membership().expect("it was set"), members);
    Ok(())
}
