//! One member: a raw node, its disk, its state machine, and the work between them.

use std::collections::VecDeque;

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, HardState, Message, Snapshot};
use raft::{
    AnyConfChange, Config, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, MemoryStorage, RawNode, ReadState, Ready, Storage,
    StorageError,
};

use super::oracle::Oracle;

/// The replicated state: a hash over all entries.
#[derive(Clone, Default)]
struct StateMachine {
    index: u64,
    hash: u64,
    conf_state: ConfState,
    /// A newer configuration than that after `index` is in force: a snapshot is on its way to the disk.
    outdated: bool,
}

/// A member, up or down.
pub struct Member {
    config: Config,
    /// Up.
    pub raw: Option<RawNode<MemoryStorage>>,
    /// What the disk holds while it is down.
    disk: MemoryStorage,
    /// The commit index of the last write that was synced: what is certain to survive.
    synced_commit: u64,
    state: StateMachine,
    append_work: VecDeque<Message>,
    apply_work: VecDeque<Message>,
    /// Answers of the storage threads, and of the member to itself.
    local: VecDeque<Message>,
    pub outbox: Vec<Message>,
    pub reads: Vec<ReadState>,
}

impl Member {
    pub fn new(config: Config, founding: Option<Snapshot>) -> Self {
        let mut disk = MemoryStorage::new();
        if let Some(snapshot) = founding {
            disk.apply_snapshot(snapshot).expect("an empty disk");
        }
        let mut member = Self {
            config,
            raw: None,
            disk,
            synced_commit: 0,
            state: StateMachine::default(),
            append_work: VecDeque::new(),
            apply_work: VecDeque::new(),
            local: VecDeque::new(),
            outbox: Vec::new(),
            reads: Vec::new(),
        };
        member.start();
        member
    }

    /// What is durable.
    pub fn log(&self) -> &MemoryStorage {
        self.raw.as_ref().map_or(&self.disk, RawNode::storage)
    }

    pub fn applied(&self) -> u64 {
        self.state.index
    }

    /// Starts from the disk, at the state of its snapshot.
    pub fn start(&mut self) {
        let snapshot = self.disk.snapshot().expect("a snapshot");
        let metadata = snapshot.metadata.unwrap_or_default();
        let hash = snapshot.data.as_ref().try_into().map_or(0, u64::from_be_bytes);
        let conf_state = metadata.conf_state.unwrap_or_default();
        self.state = StateMachine { index: metadata.index, hash, conf_state, outdated: false };
        let config = Config { applied: metadata.index, ..self.config.clone() };
        self.raw = Some(RawNode::new(config, self.disk.clone()).expect("a disk to start from"));
    }

    /// Loses everything that isn't on the disk, and perhaps what was not synced.
    pub fn crash(&mut self, lose_unsynced: bool) {
        let Some(raw) = self.raw.take() else { return };
        self.disk = raw.storage().clone();
        let mut hard_state = self.disk.hard_state();
        if lose_unsynced {
            let snapshot = self.disk.snapshot().ok().and_then(|snapshot| snapshot.metadata).unwrap_or_default();
            hard_state.commit = self.synced_commit.max(snapshot.index).min(hard_state.commit);
            self.disk.set_hard_state(hard_state);
        }
        self.append_work.clear();
        self.apply_work.clear();
        self.local.clear();
        self.outbox.clear();
        self.reads.clear();
    }

    /// Takes what there is to do; without asynchronous writes, does it.
    pub fn ready(&mut self, oracle: &mut Oracle) {
        let Some(raw) = &mut self.raw else { return };
        if !raw.has_ready() {
            return;
        }
        let ready = raw.ready();
        self.reads.extend(ready.read_states.iter().cloned());
        let asynchronous = self.config.async_storage_writes;
        if !asynchronous {
            self.write(ready.hard_state, ready.snapshot.as_ref(), &ready.entries, oracle);
            self.apply(&ready.committed_entries, oracle);
        }
        self.route(ready);
        if let (Some(raw), false) = (&mut self.raw, asynchronous) {
            raw.advance();
        }
    }

    fn route(&mut self, ready: Ready) {
        for message in ready.messages {
            match message.to {
                LOCAL_APPEND_THREAD => self.append_work.push_back(message),
                LOCAL_APPLY_THREAD => self.apply_work.push_back(message),
                _ => self.outbox.push(message),
            }
        }
    }

    /// Carries out the oldest append.
    pub fn run_append(&mut self, oracle: &mut Oracle) {
        let Some(work) = self.append_work.pop_front() else { return };
        let hard_state = HardState { term: work.term, vote: work.vote, commit: work.commit };
        let hard_state = (hard_state != HardState::default()).then_some(hard_state);
        self.write(hard_state, work.snapshot.as_ref(), &work.entries, oracle);
        let id = self.config.id;
        let (own, others): (Vec<_>, Vec<_>) = work.responses.into_iter().partition(|message| message.to == id);
        self.local.extend(own);
        self.outbox.extend(others);
    }

    /// Carries out the oldest application.
    pub fn run_apply(&mut self, oracle: &mut Oracle) {
        let Some(work) = self.apply_work.pop_front() else { return };
        self.apply(&work.entries, oracle);
        self.local.extend(work.responses);
    }

    /// Delivers the oldest answer of the storage threads.
    pub fn run_local(&mut self) {
        let (Some(raw), Some(message)) = (&mut self.raw, self.local.pop_front()) else { return };
        // Refused after this member was removed.
        drop(raw.step(message));
    }

    pub fn is_idle(&self) -> bool {
        let quiet = self.append_work.is_empty() && self.apply_work.is_empty() && self.local.is_empty();
        quiet && self.raw.as_ref().is_none_or(|raw| !raw.has_ready())
    }

    fn write(
        &mut self,
        hard_state: Option<HardState>,
        snapshot: Option<&Snapshot>,
        entries: &[Entry],
        oracle: &mut Oracle,
    ) {
        let Some(raw) = &mut self.raw else { return };
        let disk = raw.storage_mut();
        let before = disk.hard_state();
        if let Some(hard_state) = hard_state {
            assert!(
                hard_state.term >= before.term && hard_state.commit >= before.commit,
                "{hard_state:?} after {before:?}"
            );
            disk.set_hard_state(hard_state);
        }
        if let Some(snapshot) = snapshot {
            let metadata = snapshot.metadata.clone().unwrap_or_default();
            oracle.snapshot(self.config.id, metadata.index, &snapshot.data);
            disk.apply_snapshot(snapshot.clone()).expect("a newer snapshot");
            let hash = snapshot.data.as_ref().try_into().map_or(0, u64::from_be_bytes);
            let conf_state = metadata.conf_state.unwrap_or_default();
            self.state = StateMachine { index: metadata.index, hash, conf_state, outdated: false };
        }
        disk.append(entries).expect("no gap");
        let after = disk.hard_state();
        if !entries.is_empty() || snapshot.is_some() || (after.term, after.vote) != (before.term, before.vote) {
            self.synced_commit = after.commit;
        }
    }

    fn apply(&mut self, entries: &[Entry], oracle: &mut Oracle) {
        for entry in entries {
            if entry.index <= self.state.index {
                // A snapshot came in between.
                continue;
            }
            self.state.hash = oracle.applied(self.config.id, entry, self.state.hash);
            self.state.index = entry.index;
            let change = AnyConfChange::from_entry(entry).expect("a conf change");
            let (Some(change), Some(raw)) = (change, &mut self.raw) else { continue };
            // The change may not fit, like any that was let into the log unchecked: refused alike everywhere.
            match raw.apply_conf_change_at(entry.index, change) {
                Ok(Some(conf_state)) => self.state.conf_state = conf_state,
                Ok(None) => self.state.outdated = true,
                Err(_) => {}
            }
        }
    }

    /// Makes the applied state the snapshot, with the commit index synced before, and drops entries before it.
    pub fn snapshot(&mut self, keep: u64) {
        let state = &self.state;
        let Some(raw) = self.raw.as_mut().filter(|_| !state.outdated) else { return };
        let disk = raw.storage_mut();
        if disk.hard_state().commit < state.index || disk.last_index() < state.index {
            return;
        }
        let data = Bytes::copy_from_slice(&state.hash.to_be_bytes());
        if disk.create_snapshot(state.index, Some(state.conf_state.clone()), data).is_err() {
            return;
        }
        self.synced_commit = disk.hard_state().commit;
        match disk.compact(state.index.saturating_sub(keep)) {
            Ok(()) | Err(StorageError::Compacted) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
