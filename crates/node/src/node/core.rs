//! Raft under the node: its log's tail in memory, its wishes sorted by receiver.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proto::raftpb::{ConfChange, ConfState, Entry, HardState, Message, MessageType, Snapshot, SnapshotMetadata};
use raft::{LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, MemoryStorage, RawNode, RoleName, SnapshotStatus, Storage};

use crate::action::Role;
use crate::config::Config;

/// The log as found at the start: a snapshot's index and term, the configuration to start with, what follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub index: u64,
    pub term: u64,
    pub conf_state: ConfState,
    pub entries: Vec<Entry>,
}

/// What raft wants done.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub soft: Option<SoftChange>,
    /// May leave at once.
    pub messages: Vec<Message>,
    pub persist: Option<Persist>,
    pub apply: Vec<Entry>,
    /// Question and index.
    pub reads: Vec<(u64, u64)>,
}

/// Role, leader or term changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoftChange {
    pub role: Role,
    pub leader: u64,
    pub term_changed: bool,
}

/// What the log shall hold, and what may be said once it does.
#[derive(Debug, Default)]
pub(super) struct Persist {
    pub snapshot: Option<Snapshot>,
    pub entries: Vec<Entry>,
    pub hard_state: Option<HardState>,
    pub term_or_vote_changed: bool,
    pub responses: Vec<Message>,
}

/// A proposal that raft does not take.
#[derive(Debug)]
pub(super) struct Dropped;

pub(super) struct Core {
    id: u64,
    raft: RawNode<MemoryStorage>,
    /// The configuration in force.
    conf_state: ConfState,
    /// The last hard state handed out, and the term last told.
    hard_state: HardState,
    told: (Role, u64, u64),
    /// Raft's own acknowledgements of entries handed out for application, by last index.
    applying: VecDeque<(u64, Vec<Message>)>,
    applied: u64,
    /// Why the member must not go on.
    damage: Option<String>,
}

impl Core {
    pub fn new(
        id: u64,
        config: &Config,
        log: Log,
        hard_state: HardState,
        applied: u64,
        seed: u64,
    ) -> Result<Self, String> {
        let conf_state = log.conf_state.clone();
        let mut storage = MemoryStorage::with_conf_state(conf_state.clone());
        if log.index > 0 {
            let metadata = SnapshotMetadata { conf_state: Some(log.conf_state), index: log.index, term: log.term };
            let snapshot = Snapshot { metadata: Some(metadata), ..Snapshot::default() };
            storage.apply_snapshot(snapshot).map_err(|error| error.to_string())?;
        }
        storage.append(&log.entries).map_err(|error| error.to_string())?;
        storage.set_hard_state(hard_state);
        let raft_config = raft::Config {
            id,
            election_ticks: config.election_ticks().max(2),
            heartbeat_ticks: 1,
            applied,
            async_storage_writes: true,
            pre_vote: config.pre_vote,
            seed,
            ..raft::Config::default()
        };
        let raft = RawNode::new(raft_config, storage).map_err(|error| error.to_string())?;
        let told = (Role::Follower, hard_state.term, 0);
        Ok(Self { id, raft, conf_state, hard_state, told, applying: VecDeque::new(), applied, damage: None })
    }

    pub fn tick(&mut self) {
        self.raft.tick();
    }

    /// Raft refuses to campaign where it must not, which is no failure of ours.
    pub fn campaign(&mut self) {
        self.raft.campaign();
    }

    /// All entries or none.
    pub fn propose(&mut self, data: Vec<Bytes>) -> Result<(), Dropped> {
        self.raft.propose_batch(data).map_err(|_| Dropped)
    }

    pub fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), Dropped> {
        self.raft.propose_conf_change(change.clone()).map_err(|_| Dropped)
    }

    /// A message that a peer sent.
    pub fn step_peer(&mut self, message: Message) {
        let taken = self.raft.step_peer(message);
        self.judge(taken);
    }

    /// A response of this member's own storage, or of itself to itself.
    pub fn step_own(&mut self, response: Message) {
        let taken = self.raft.step(response);
        self.judge(taken);
    }

    /// A refused message is one that came late, from a stranger, or malformed: it has changed nothing, and its sender
    /// will notice. Except where a leader relies on entries that this member has acknowledged and no longer has.
    fn judge(&mut self, taken: Result<(), raft::Error>) {
        match taken {
            Ok(()) => {}
            Err(error @ raft::Error::CommitOutOfRange { .. }) => self.damage = Some(error.to_string()),
            Err(error) => tracing::debug!("{:x} ignored a message: {error}", self.id),
        }
    }

    /// Why the member must not go on, once there is a reason: its log was damaged under it.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    pub fn read_index(&mut self, id: u64) {
        self.raft.read_index(Bytes::copy_from_slice(&id.to_be_bytes()));
    }

    pub fn transfer_leader(&mut self, target: u64) {
        self.raft.transfer_leader(target);
    }

    pub fn report_unreachable(&mut self, peer: u64) {
        self.raft.report_unreachable(peer);
    }

    pub fn report_snapshot(&mut self, peer: u64, failed: bool) {
        let status = if failed { SnapshotStatus::Failure } else { SnapshotStatus::Finish };
        self.raft.report_snapshot(peer, status);
    }

    /// Takes the change of the entry at `index` into force, unless a snapshot received meanwhile has brought a newer
    /// configuration. The state machine refuses what raft would; a change that still does not fit changes nothing.
    pub fn apply_conf_change(&mut self, index: u64, change: &ConfChange) {
        if change.node_id == 0 {
            return;
        }
        match self.raft.apply_conf_change_at(index, change.clone()) {
            Ok(Some(conf_state)) => self.conf_state = conf_state,
            Ok(None) => {}
            Err(error) => tracing::warn!("{:x} can't take the conf change of entry {index}: {error}", self.id),
        }
    }

    pub fn is_only_voter(&self) -> bool {
        self.conf_state.voters == [self.id] && self.conf_state.voters_outgoing.is_empty()
    }

    /// Whether raft leads now; [`super::Node`] hears of a change only when it fetches what is to be done.
    pub fn is_leader(&self) -> bool {
        self.raft.basic_status().soft_state.role == RoleName::Leader
    }

    pub fn term(&self) -> u64 {
        self.raft.basic_status().hard_state.term
    }

    pub fn leader(&self) -> u64 {
        self.raft.basic_status().soft_state.leader
    }

    pub fn committed(&self) -> u64 {
        self.raft.basic_status().hard_state.commit
    }

    pub fn last_index(&self) -> u64 {
        self.raft.basic_status().last_index
    }

    /// The term of an entry that is durable here and was not compacted.
    pub fn log_term(&self, index: u64) -> Option<u64> {
        self.raft.storage().term(index).ok()
    }

    /// The last hard state handed out.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub fn snapshot_index(&self) -> u64 {
        self.raft.storage().snapshot().ok().and_then(|s| s.metadata).map_or(0, |metadata| metadata.index)
    }

    /// How far each member's log reaches; only known on a leader.
    pub fn matched(&self) -> BTreeMap<u64, u64> {
        self.raft.status().progress.iter().map(|(id, progress)| (*id, progress.matched)).collect()
    }

    /// How far each member is; only known on a leader.
    pub fn progress(&self) -> BTreeMap<u64, raft::tracker::Progress> {
        self.raft.status().progress
    }

    /// Whether the peer is sent nothing until the fate of a snapshot is reported.
    pub fn awaits_snapshot(&self, peer: u64) -> bool {
        let progress = self.raft.status().progress;
        progress
            .get(&peer)
            .is_some_and(|progress| matches!(progress.state, raft::tracker::ProgressState::Snapshot { .. }))
    }

    /// What is to be done now; `None` where nothing is.
    pub fn ready(&mut self) -> Option<Work> {
        if !self.raft.has_ready() {
            return None;
        }
        let ready = self.raft.ready();
        let mut work = Work { soft: self.soft_change(), ..Work::default() };
        for read in ready.read_states {
            if let Ok(id) = <[u8; 8]>::try_from(read.context.as_ref()) {
                work.reads.push((u64::from_be_bytes(id), read.index));
            }
        }
        for message in ready.messages {
            match message.to {
                LOCAL_APPEND_THREAD => work.persist = Some(self.persist(message)),
                LOCAL_APPLY_THREAD => {
                    let last = message.entries.last().map_or(0, |entry| entry.index);
                    self.applying.push_back((last, message.responses));
                    work.apply.extend(message.entries);
                }
                _ => work.messages.push(message),
            }
        }
        Some(work)
    }

    fn soft_change(&mut self) -> Option<SoftChange> {
        let status = self.raft.basic_status();
        let role = match status.soft_state.role {
            RoleName::Follower if status.is_learner => Role::Learner,
            RoleName::Follower => Role::Follower,
            RoleName::PreCandidate => Role::PreCandidate,
            RoleName::Candidate => Role::Candidate,
            RoleName::Leader => Role::Leader,
        };
        let told = (role, status.hard_state.term, status.soft_state.leader);
        let before = std::mem::replace(&mut self.told, told);
        (before != told).then_some(SoftChange { role, leader: told.2, term_changed: before.1 != told.1 })
    }

    fn persist(&mut self, message: Message) -> Persist {
        debug_assert_eq!(message.msg_type, MessageType::MsgStorageAppend as i32, "to the append thread");
        let new = HardState { term: message.term, vote: message.vote, commit: message.commit };
        let hard_state = Some(new).filter(|new| *new != HardState::default());
        let term_or_vote_changed =
            hard_state.is_some_and(|new| (new.term, new.vote) != (self.hard_state.term, self.hard_state.vote));
        self.hard_state = hard_state.unwrap_or(self.hard_state);
        Persist {
            snapshot: message.snapshot.filter(|snapshot| snapshot.metadata.as_ref().is_some_and(|m| m.index > 0)),
            entries: message.entries,
            hard_state,
            term_or_vote_changed,
            responses: message.responses,
        }
    }

    /// Entries are durable now.
    pub fn append(&mut self, entries: &[Entry]) {
        let appended = self.raft.storage_mut().append(entries);
        debug_assert!(appended.is_ok(), "raft hands out entries without gaps");
    }

    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.raft.storage_mut().set_hard_state(hard_state);
    }

    /// A received snapshot is durable now.
    pub fn install_snapshot(&mut self, snapshot: &Snapshot) {
        let Some(metadata) = snapshot.metadata.clone() else { return };
        self.conf_state = metadata.conf_state.clone().unwrap_or_default();
        let kept = Snapshot { metadata: Some(metadata), ..Snapshot::default() };
        let applied = self.raft.storage_mut().apply_snapshot(kept);
        debug_assert!(applied.is_ok(), "raft hands out only snapshots ahead of its log");
    }

    /// Entries up to `index` are applied.
    pub fn applied(&mut self, index: u64) {
        self.applied = self.applied.max(index);
        while self.applying.front().is_some_and(|(last, _)| *last <= index) {
            let Some((_, responses)) = self.applying.pop_front() else { break };
            responses.into_iter().for_each(|response| self.step_own(response));
        }
    }

    /// Lets go of entries that even slow followers should not need, once there are enough of them.
    pub fn compact(&mut self, keep: u64, slack: u64) {
        let storage = self.raft.storage_mut();
        let target = self.applied.saturating_sub(keep).min(storage.last_index());
        if target < storage.first_index() + slack {
            return;
        }
        // The snapshot says where a peer starts that needs what is dropped here; its content is made when it is sent.
        let conf_state = Some(self.conf_state.clone());
        let done =
            storage.create_snapshot(self.applied, conf_state, Bytes::new()).and_then(|_| storage.compact(target));
        debug_assert!(done.is_ok(), "applied entries are in the log: {done:?}");
    }
}
