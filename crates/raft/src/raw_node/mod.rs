//! The node's face: calls in, [`Ready`] out.

mod bootstrap;
mod conf_change;
mod ready;
mod storage_messages;

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, HardState, Message, MessageType};

use crate::config::Config;
use crate::core::{Raft, is_local_thread};
use crate::error::{ConfChangeError, Error};
use crate::log::Appliable;
use crate::status::{BasicStatus, Status};
use crate::storage::Storage;
use crate::{LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD};

pub use bootstrap::Peer;
pub use conf_change::AnyConfChange;
pub use ready::{ReadState, Ready, SoftState};

/// What became of a snapshot sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    Finish,
    Failure,
}

/// A node of a raft cluster. Not thread-safe by itself, never blocks, owned by one driver:
///
/// 1. feed it: [`tick`](Self::tick), [`step_peer`](Self::step_peer), [`propose`](Self::propose) …
/// 2. while [`has_ready`](Self::has_ready): take a [`Ready`] and do what it says, in its order;
/// 3. without asynchronous storage writes: [`advance`](Self::advance).
pub struct RawNode<S: Storage> {
    raft: Raft<S>,
    /// As of the last [`Ready`].
    soft_state: SoftState,
    hard_state: HardState,
    /// Without asynchronous storage writes: what the storage threads would answer to the last [`Ready`].
    on_advance: Vec<Message>,
}

impl<S: Storage> RawNode<S> {
    /// A node on top of what `storage` holds. Errs where the settings or the stored state contradict themselves.
    pub fn new(config: Config, storage: S) -> Result<Self, Error> {
        let raft = Raft::new(config.checked()?, storage)?;
        let (soft_state, hard_state) = (raft.soft_state(), raft.hard_state());
        Ok(Self { raft, soft_state, hard_state, on_advance: Vec::new() })
    }

    pub fn storage(&self) -> &S {
        &self.raft.log.storage
    }

    /// The storage, to be filled with what [`Ready`] handed out. Nothing the node relies on may go: entries that are not
    /// applied must stay, and the newest snapshot must reach to the first entry.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.raft.log.storage
    }

    /// One unit of logical time has passed.
    pub fn tick(&mut self) {
        self.raft.tick();
    }

    /// Starts an election now. Does nothing on a leader, a learner, a member outside of the configuration, and while
    /// committed conf changes are not applied.
    pub fn campaign(&mut self) {
        self.raft.hup();
    }

    /// Proposes an entry. It may be lost without notice, and it may be committed although an error was feared.
    pub fn propose(&mut self, data: Bytes) -> Result<(), Error> {
        self.propose_batch(vec![data])
    }

    /// Proposes several entries at once, all or none of which enter the leader's log.
    pub fn propose_batch(&mut self, data: Vec<Bytes>) -> Result<(), Error> {
        self.propose_entries(data.into_iter().map(|data| Entry { data, ..Default::default() }).collect())
    }

    /// Proposes a conf change. A leader that sees it can't be taken now (another one is not applied yet, or it doesn't
    /// fit the joint configuration) puts an empty entry into the log instead.
    pub fn propose_conf_change(&mut self, change: impl Into<AnyConfChange>) -> Result<(), Error> {
        self.propose_entries(vec![change.into().to_entry()])
    }

    fn propose_entries(&mut self, entries: Vec<Entry>) -> Result<(), Error> {
        self.local(Message { msg_type: MessageType::MsgProp as i32, entries, ..Default::default() })
    }

    /// A request of this member to itself.
    fn local(&mut self, mut message: Message) -> Result<(), Error> {
        if message.from == 0 {
            message.from = self.raft.id;
        }
        self.raft.step(message)
    }

    /// Takes a committed conf change into force; called when the entry is applied. Not called for a change that the
    /// application refuses. Returns the configuration then in force; errs, and changes nothing, where the change doesn't
    /// fit the present one.
    ///
    /// Only for those who apply entries before anything else is stepped; others use [`Self::apply_conf_change_at`].
    pub fn apply_conf_change(&mut self, change: impl Into<AnyConfChange>) -> Result<ConfState, ConfChangeError> {
        self.raft.apply_conf_change(change.into())
    }

    /// As [`Self::apply_conf_change`], for an entry at `index` (or one handed out together with that) which may be
    /// applied long after it was handed out. Does nothing and returns `None` where a snapshot received meanwhile has
    /// brought a newer configuration.
    pub fn apply_conf_change_at(
        &mut self,
        index: u64,
        change: impl Into<AnyConfChange>,
    ) -> Result<Option<ConfState>, ConfChangeError> {
        if index <= self.raft.restored_index() {
            return Ok(None);
        }
        self.raft.apply_conf_change(change.into()).map(Some)
    }

    /// A message from a peer, or a response of this node to itself or of its storage threads. Where messages arrive from
    /// outside, [`step_peer`](Self::step_peer) is the safer door.
    pub fn step(&mut self, message: Message) -> Result<(), Error> {
        self.raft.step(message)
    }

    /// A message that arrived from a peer. Refuses also what a peer can't have sent: responses of this node's own
    /// storage or of this node to itself.
    pub fn step_peer(&mut self, message: Message) -> Result<(), Error> {
        let own = message.from == self.raft.id;
        match message.msg_type() {
            // Names the member that leadership shall go to; the other two come back where leaders were mistaken.
            MessageType::MsgTransferLeader | MessageType::MsgProp | MessageType::MsgReadIndex => {}
            MessageType::MsgForgetLeader => return Err(Error::StepLocalMessage),
            _ if own || is_local_thread(message.from) => return Err(Error::StepLocalMessage),
            _ => {}
        }
        self.raft.step(message)
    }

    /// Whether [`Self::ready`] has anything to tell.
    pub fn has_ready(&self) -> bool {
        let raft = &self.raft;
        raft.soft_state() != self.soft_state
            || raft.hard_state() != self.hard_state
            || raft.log.next_unstable_snapshot().is_some()
            || !raft.messages.is_empty()
            || !raft.messages_after_append.is_empty()
            || raft.log.has_next_unstable_entries()
            || raft.log.has_next_committed(self.appliable())
            || !raft.read_states.is_empty()
    }

    fn appliable(&self) -> Appliable {
        if self.raft.config.async_storage_writes { Appliable::Durable } else { Appliable::Unstable }
    }

    /// Takes out everything that is to be done now. Without asynchronous storage writes, [`Self::advance`] comes before
    /// the next call.
    pub fn ready(&mut self) -> Ready {
        assert!(self.on_advance.is_empty(), "a Ready was taken before the last one was done");
        let (soft_state, hard_state) = (self.raft.soft_state(), self.raft.hard_state());
        let raft = &mut self.raft;
        let entries = raft.log.next_unstable_entries();
        let mut ready = Ready {
            soft_state: (soft_state != self.soft_state).then_some(soft_state),
            hard_state: (hard_state != self.hard_state).then_some(hard_state),
            read_states: std::mem::take(&mut raft.read_states),
            must_sync: !entries.is_empty()
                || (hard_state.term, hard_state.vote) != (self.hard_state.term, self.hard_state.vote),
            entries,
            snapshot: raft.log.next_unstable_snapshot().cloned(),
            committed_entries: Vec::new(),
            messages: std::mem::take(&mut raft.messages),
        };
        ready.committed_entries = self.raft.log.next_committed(self.appliable());
        self.announce_leader(soft_state.leader);
        self.soft_state = soft_state;
        self.hard_state = hard_state;
        self.hand_out_storage_work(&mut ready);

        let appliable = self.appliable();
        self.raft.log.accept_unstable();
        self.raft.log.accept_applying(&ready.committed_entries, appliable);
        ready
    }

    fn announce_leader(&self, leader: u64) {
        let (before, id, term) = (self.soft_state.leader, self.raft.id, self.raft.term());
        match (before, leader) {
            _ if before == leader => {}
            (0, _) => tracing::info!("raft.node: {id:x} elected leader {leader:x} at term {term}"),
            (_, 0) => tracing::info!("raft.node: {id:x} lost leader {before:x} at term {term}"),
            _ => tracing::info!("raft.node: {id:x} changed leader from {before:x} to {leader:x} at term {term}"),
        }
    }

    /// Without asynchronous storage writes: the last [`Ready`] was carried out, applying included.
    pub fn advance(&mut self) {
        assert!(!self.raft.config.async_storage_writes, "storage threads answer for themselves");
        for message in std::mem::take(&mut self.on_advance) {
            if let Err(error) = self.raft.step(message) {
                // Its own answer, after it was removed: as good as none.
                tracing::debug!("{:x} ignored its own message: {error}", self.raft.id);
            }
        }
    }

    /// Asks for the index from which a linearizable read may be served; answered by a [`ReadState`] with the same
    /// context, or not at all: the caller asks again after a while.
    pub fn read_index(&mut self, context: Bytes) {
        let entries = vec![Entry { data: context, ..Default::default() }];
        let asked = self.local(Message { msg_type: MessageType::MsgReadIndex as i32, entries, ..Default::default() });
        asked.expect("invariant: a read index request that is well-formed is never refused");
    }

    /// Hands leadership to `transferee`, if that one catches up within an election timeout.
    pub fn transfer_leader(&mut self, transferee: u64) {
        let msg_type = MessageType::MsgTransferLeader as i32;
        let asked = self.local(Message { msg_type, from: transferee, ..Default::default() });
        if let Err(error) = asked {
            tracing::debug!("{:x} can't transfer leadership to {transferee:x}: {error}", self.raft.id);
        }
    }

    /// The last message to `id` was not delivered.
    pub fn report_unreachable(&mut self, id: u64) {
        self.raft.report_unreachable(id);
    }

    /// The fate of the snapshot sent to `id`. Must be reported, as nothing else is sent to it before.
    pub fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) {
        self.raft.report_snapshot(id, status);
    }

    /// Makes a follower forget its leader, so that it grants votes at once. No effect on a leader, or with
    /// lease-based reads.
    pub fn forget_leader(&mut self) {
        let forgot = self.local(Message { msg_type: MessageType::MsgForgetLeader as i32, ..Default::default() });
        forgot.expect("invariant: the wish to forget is never refused");
    }

    /// Everything worth showing.
    pub fn status(&self) -> Status {
        let leads = self.raft.role().is_leader();
        Status {
            basic: self.basic_status(),
            config: self.raft.members().clone(),
            progress: if leads { self.raft.progress().clone() } else { Default::default() },
        }
    }

    /// What is cheap to tell.
    pub fn basic_status(&self) -> BasicStatus {
        BasicStatus {
            id: self.raft.id,
            hard_state: self.raft.hard_state(),
            soft_state: self.raft.soft_state(),
            applied: self.raft.log.applied(),
            last_index: self.raft.log.last_index(),
            lead_transferee: self.raft.role().transferee(),
            is_learner: self.raft.is_learner(),
        }
    }

    /// The term of an entry in the log, durable or not; `None` before its begin and beyond its end.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        self.raft.log.term(index).ok()
    }

    /// The configuration in force.
    pub fn conf_state(&self) -> ConfState {
        self.raft.members().conf_state()
    }

    /// Overrides the randomised election timeout of the present term; for tests.
    pub fn set_randomized_election_timeout(&mut self, ticks: usize) {
        self.raft.set_randomized_election_timeout(ticks);
    }
}
