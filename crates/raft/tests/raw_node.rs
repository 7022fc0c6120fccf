//! The calls of `RawNode` that scripts don't reach.

use bytes::Bytes;
use proto::raftpb::{
    ConfChange, ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, HardState, Message, MessageType,
    Snapshot, SnapshotMetadata,
};
use raft::{
    ConfChangeError, Config, Error, MemoryStorage, Peer, RawNode, Ready, RoleName, Storage, StorageError, describe,
};

fn config(id: u64) -> Config {
    Config { id, pre_vote: false, check_quorum: false, ..Config::default() }
}

fn voters(ids: &[u64]) -> ConfState {
    ConfState { voters: ids.to_vec(), ..Default::default() }
}

fn snapshot(index: u64, conf_state: ConfState) -> Snapshot {
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index, term: 1 };
    Snapshot { metadata: Some(metadata), ..Default::default() }
}

/// A log that begins behind a snapshot at 5.
fn storage(ids: &[u64]) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    storage.apply_snapshot(snapshot(5, voters(ids))).expect("an empty log");
    storage
}

fn add(id: u64) -> ConfChange {
    ConfChange { change_type: ConfChangeType::ConfChangeAddNode as i32, node_id: id, ..Default::default() }
}

fn remove(id: u64) -> ConfChange {
    ConfChange { change_type: ConfChangeType::ConfChangeRemoveNode as i32, node_id: id, ..Default::default() }
}

/// Does what a `Ready` says, but for applying conf changes.
fn carry_out(raw: &mut RawNode<MemoryStorage>) -> Ready {
    let ready = raw.ready();
    let storage = raw.storage_mut();
    if let Some(hard_state) = ready.hard_state {
        storage.set_hard_state(hard_state);
    }
    if let Some(snapshot) = &ready.snapshot {
        storage.apply_snapshot(snapshot.clone()).expect("a newer snapshot");
    }
    storage.append(&ready.entries).expect("no gap");
    raw.advance();
    ready
}

fn lead(raw: &mut RawNode<MemoryStorage>) {
    raw.campaign();
    while raw.has_ready() {
        carry_out(raw);
    }
    assert_eq!(raw.basic_status().soft_state.role, RoleName::Leader);
}

#[test]
fn founds_a_cluster() {
    let peers: Vec<_> = [3, 1, 2].map(|id| Peer { id, context: Bytes::from(format!("member {id}")) }).into();
    let mut raw = RawNode::new(config(1), MemoryStorage::new()).unwrap();
    raw.bootstrap(&peers).unwrap();
    assert_eq!(raw.conf_state(), voters(&[1, 2, 3]));
    let ready = raw.ready();
    assert_eq!(ready.hard_state, Some(HardState { term: 1, vote: 0, commit: 3 }));
    let entries = "1/1 EntryConfChange v3\n1/2 EntryConfChange v1\n1/3 EntryConfChange v2\n";
    assert_eq!(describe::entries(&ready.entries), entries);
    assert_eq!(ready.committed_entries, ready.entries);
    assert!(ready.must_sync);
}

#[test]
fn founding_needs_peers_and_an_empty_log() {
    let mut raw = RawNode::new(config(1), MemoryStorage::new()).unwrap();
    assert!(matches!(raw.bootstrap(&[]), Err(Error::Config(_))));
    let mut raw = RawNode::new(config(1), storage(&[1])).unwrap();
    let peer = Peer { id: 1, context: Bytes::new() };
    assert!(matches!(raw.bootstrap(&[peer]), Err(Error::Config(_))));
}

#[test]
fn refuses_stored_state_that_contradicts_itself() {
    let start = |hard_state, applied| {
        let mut storage = storage(&[1]);
        storage.append(&[Entry { term: 1, index: 6, ..Default::default() }]).unwrap();
        storage.set_hard_state(hard_state);
        RawNode::new(Config { applied, ..config(1) }, storage).err()
    };
    let hard_state = |commit| HardState { term: 1, vote: 0, commit };
    assert_eq!(start(hard_state(6), 0), None);
    assert_eq!(start(hard_state(6), 6), None);
    assert_eq!(start(HardState::default(), 5), None);
    assert_eq!(start(hard_state(7), 0), Some(Error::CommitOutOfRange { commit: 7, last_index: 6 }));
    assert_eq!(start(hard_state(4), 0), Some(Error::CommitOutOfRange { commit: 4, last_index: 6 }));
    assert!(matches!(start(hard_state(6), 4), Some(Error::Config(_))));
    assert!(matches!(start(hard_state(5), 6), Some(Error::Config(_))));

    let mut contradiction = MemoryStorage::new();
    let conf_state = ConfState { voters: vec![1], learners: vec![1], ..Default::default() };
    contradiction.apply_snapshot(snapshot(5, conf_state)).unwrap();
    assert!(matches!(RawNode::new(config(1), contradiction).err(), Some(Error::ConfChange(_))));
}

#[test]
fn conf_changes_that_do_not_fit_are_refused_and_change_nothing() {
    let mut raw = RawNode::new(config(1), storage(&[1, 2])).unwrap();
    assert_eq!(raw.apply_conf_change(remove(2)), Ok(voters(&[1])));
    assert_eq!(raw.apply_conf_change(remove(1)), Err(ConfChangeError::NoVotersLeft));
    assert_eq!(raw.apply_conf_change(ConfChangeV2::default()), Err(ConfChangeError::NotJoint));
    let unknown = ConfChange { change_type: 4, node_id: 2, ..Default::default() };
    assert_eq!(raw.apply_conf_change(unknown), Err(ConfChangeError::UnknownType(4)));
    let unknown = ConfChangeV2 { transition: 3, ..Default::default() };
    assert_eq!(raw.apply_conf_change(unknown), Err(ConfChangeError::UnknownTransition(3)));
    assert_eq!(raw.conf_state(), voters(&[1]));
}

#[test]
fn all_four_types_mean_what_they_mean_to_etcd() {
    let mut raw = RawNode::new(config(1), storage(&[1, 2])).unwrap();
    let change = |change_type, node_id| ConfChange { change_type, node_id, ..Default::default() };
    raw.apply_conf_change(change(0, 3)).unwrap();
    assert_eq!(raw.conf_state(), voters(&[1, 2, 3]));
    raw.apply_conf_change(change(1, 3)).unwrap();
    raw.apply_conf_change(change(2, 2)).unwrap();
    assert_eq!(raw.conf_state(), voters(&[1, 2]));
    raw.apply_conf_change(change(3, 4)).unwrap();
    assert_eq!(raw.conf_state(), ConfState { learners: vec![4], ..voters(&[1, 2]) });
}

#[test]
fn malformed_conf_changes_do_not_enter_the_log() {
    let mut raw = RawNode::new(config(1), storage(&[1])).unwrap();
    lead(&mut raw);
    let last = raw.basic_status().last_index;
    let entry = Entry { entry_type: 1, data: Bytes::from_static(b"\xff\xff\xff"), ..Default::default() };
    let proposal =
        |entry| Message { msg_type: MessageType::MsgProp as i32, entries: vec![entry], ..Default::default() };
    assert_eq!(raw.step_peer(proposal(entry.clone())), Err(Error::ConfChange(ConfChangeError::Malformed)));
    let v2 = Entry { entry_type: 2, ..entry };
    assert_eq!(raw.step_peer(proposal(v2)), Err(Error::ConfChange(ConfChangeError::Malformed)));
    assert_eq!(raw.basic_status().last_index, last);
}

#[test]
fn a_conf_change_from_before_a_snapshot_changes_nothing() {
    let mut raw = RawNode::new(config(2), storage(&[1, 2])).unwrap();
    let message = Message {
        msg_type: MessageType::MsgSnap as i32,
        from: 1,
        to: 2,
        term: 1,
        snapshot: Some(snapshot(10, voters(&[1, 2, 3]))),
        ..Default::default()
    };
    raw.step_peer(message).unwrap();
    // The entry at 8 was handed out before, and is applied only now.
    assert_eq!(raw.apply_conf_change_at(8, add(4)), Ok(None));
    assert_eq!(raw.conf_state(), voters(&[1, 2, 3]));
    assert_eq!(raw.apply_conf_change_at(11, add(4)), Ok(Some(voters(&[1, 2, 3, 4]))));
}

#[test]
fn a_large_change_goes_through_a_joint_configuration() {
    let mut raw = RawNode::new(config(1), storage(&[1])).unwrap();
    let single = |node_id| ConfChangeSingle { change_type: 0, node_id };
    let change = ConfChangeV2 { changes: vec![single(2), single(3)], ..Default::default() };
    let joint = raw.apply_conf_change(change).unwrap();
    let expected = ConfState { voters_outgoing: vec![1], auto_leave: true, ..voters(&[1, 2, 3]) };
    assert_eq!(joint, expected);
    assert_eq!(raw.apply_conf_change(ConfChangeV2::default()), Ok(voters(&[1, 2, 3])));
}

#[test]
#[should_panic(expected = "before the last one was done")]
fn a_ready_must_be_done_before_the_next() {
    let mut raw = RawNode::new(config(1), storage(&[1])).unwrap();
    raw.campaign();
    drop(raw.ready());
    drop(raw.ready());
}

#[test]
#[should_panic(expected = "storage threads answer for themselves")]
fn there_is_no_advance_with_asynchronous_writes() {
    let config = Config { async_storage_writes: true, ..config(1) };
    RawNode::new(config, storage(&[1])).unwrap().advance();
}

/// A log whose snapshot is still being made.
struct NoSnapshotYet(MemoryStorage);

impl Storage for NoSnapshotYet {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        self.0.initial_state()
    }
    fn entries(&self, range: std::ops::Range<u64>, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        self.0.entries(range, max_size)
    }
    fn term(&self, index: u64) -> Result<u64, StorageError> {
        self.0.term(index)
    }
    fn last_index(&self) -> u64 {
        self.0.last_index()
    }
    fn first_index(&self) -> u64 {
        self.0.first_index()
    }
    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Err(StorageError::SnapshotTemporarilyUnavailable)
    }
}

#[test]
fn without_a_snapshot_a_lagging_member_waits() {
    let mut raw = RawNode::new(config(1), NoSnapshotYet(storage(&[1, 2]))).unwrap();
    let from_2 = |msg_type: MessageType| Message { msg_type: msg_type as i32, from: 2, term: 1, ..Default::default() };
    raw.campaign();
    raw.ready();
    raw.advance();
    raw.step_peer(from_2(MessageType::MsgVoteResp)).unwrap();
    raw.ready();
    // Member 2 has nothing at all.
    raw.step_peer(Message { index: 5, reject: true, ..from_2(MessageType::MsgAppResp) }).unwrap();
    raw.step_peer(from_2(MessageType::MsgHeartbeatResp)).unwrap();
    let status = raw.status();
    assert_eq!(status.progress[&2].to_string(), "StateProbe match=0 next=1");
}

#[test]
fn the_same_seed_gives_the_same_timeouts_within_their_range() {
    let timeouts = |seed, id| {
        let mut raw = RawNode::new(Config { seed, ..config(id) }, storage(&[1, 2, 3])).unwrap();
        let mut timeouts = Vec::new();
        for _ in 0..200 {
            let term = raw.basic_status().hard_state.term;
            let mut ticks = 0;
            while raw.basic_status().hard_state.term == term {
                raw.tick();
                ticks += 1;
            }
            timeouts.push(ticks);
        }
        timeouts
    };
    let first = timeouts(7, 1);
    assert_eq!(first, timeouts(7, 1));
    assert_ne!(first, timeouts(8, 1));
    assert_ne!(first, timeouts(7, 2));
    for ticks in 10..20 {
        assert!(first.contains(&ticks), "never {ticks}");
    }
    assert!(first.iter().all(|ticks| (10..20).contains(ticks)));
}
