//! The state machine itself, one role to a file.
//!
//! What must hold at any time:
//! - The term never goes back, nor does the commit index; a vote is given once a term.
//! - Whatever promises something durable (a granted vote, an acknowledged append) waits in `messages_after_append` until
//!   the log writer is done; everything else may leave at once, on a leader ahead of its own disk.
//! - A leader never changes or removes an entry of its own log, and counts only entries of its own term as committed.

mod campaign;
mod candidate;
mod follower;
mod leader;
mod membership;
mod propose;
mod read_index;
mod read_only;
mod replicate;
mod role;
mod snapshot;
mod step;
mod storage_responses;
mod validate;

use proto::raftpb::{ConfState, Entry, HardState, Message, MessageType};

use crate::confchange;
use crate::config::Config;
use crate::error::Error;
use crate::log::RaftLog;
use crate::raw_node::{AnyConfChange, ReadState, SoftState};
use crate::rng::Rng;
use crate::storage::Storage;
use crate::tracker::{Configuration, Inflights, Progress, ProgressMap};
use crate::{LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE};

pub(crate) use role::Role;

/// Marks the vote requests of a campaign that the old leader asked for: they are granted although it is alive.
const CAMPAIGN_TRANSFER: &[u8] = b"CampaignTransfer";

pub(crate) struct Raft<S> {
    pub(crate) config: Config,
    pub(crate) id: u64,
    term: u64,
    vote: u64,
    /// The leader of this term; 0 while unknown.
    leader: u64,
    role: Role,
    pub(crate) log: RaftLog<S>,

    members: Configuration,
    /// The members' progress. Kept up to date by the leader only; on others it names the members.
    progress: ProgressMap,
    is_learner: bool,
    /// The snapshot that brought the configuration; later entries may have changed it since. 0 if none was received.
    restored_index: u64,

    /// Ticks since the last election timeout, or since this member last heard from its leader or granted a vote.
    election_elapsed: usize,
    heartbeat_elapsed: usize,
    randomized_election_timeout: usize,
    rng: Rng,

    /// To be sent at once.
    pub(crate) messages: Vec<Message>,
    /// To be sent, or stepped where they are for this member, once all that is unstable now is durable.
    pub(crate) messages_after_append: Vec<Message>,
    pub(crate) read_states: Vec<ReadState>,
}

/// Whether an id stands for one of the storage threads.
pub(crate) fn is_local_thread(id: u64) -> bool {
    id == LOCAL_APPEND_THREAD || id == LOCAL_APPLY_THREAD
}

/// A message to be filled in.
fn message(msg_type: MessageType, to: u64) -> Message {
    Message { msg_type: msg_type as i32, to, ..Default::default() }
}

impl<S: Storage> Raft<S> {
    pub(crate) fn new(config: Config, storage: S) -> Result<Self, Error> {
        let (hard_state, conf_state) = storage.initial_state()?;
        let log = RaftLog::new(storage, config.max_committed_size_per_ready);
        let mut raft = Self {
            id: config.id,
            term: 0,
            vote: NONE,
            leader: NONE,
            role: Role::Follower,
            log,
            members: Configuration::default(),
            progress: ProgressMap::new(),
            is_learner: false,
            restored_index: 0,
            election_elapsed: 0,
            heartbeat_elapsed: 0,
            randomized_election_timeout: 0,
            rng: Rng::new(config.seed ^ config.id.rotate_left(32)),
            messages: Vec::new(),
            messages_after_append: Vec::new(),
            read_states: Vec::new(),
            config,
        };
        raft.load(hard_state, &conf_state)?;
        raft.become_follower(raft.term, NONE);
        tracing::info!(
            "newRaft {:x} [voters: {}, term: {}, commit: {}, applied: {}, lastindex: {}, lastterm: {}]",
            raft.id,
            raft.members.voters,
            raft.term,
            raft.log.committed(),
            raft.log.applied(),
            raft.log.last_index(),
            raft.log.last_id().term
        );
        Ok(raft)
    }

    fn load(&mut self, hard_state: HardState, conf_state: &ConfState) -> Result<(), Error> {
        let (members, progress) = confchange::restore(conf_state, self.log.last_index(), &self.empty_inflights())?;
        self.switch_to(members, progress);
        if hard_state != HardState::default() {
            if hard_state.commit < self.log.committed() || hard_state.commit > self.log.last_index() {
                return Err(Error::CommitOutOfRange { commit: hard_state.commit, last_index: self.log.last_index() });
            }
            self.log.commit_to(hard_state.commit)?;
            self.term = hard_state.term;
            self.vote = hard_state.vote;
        }
        if self.config.applied > 0 {
            if self.config.applied < self.log.applied() || self.config.applied > self.log.committed() {
                return Err(Error::Config("applied index lies outside of the committed log"));
            }
            self.log.applied_to(self.config.applied, 0);
        }
        Ok(())
    }

    /// Fills an empty log with the changes that make the first configuration, as if they had been committed in term 1.
    pub(crate) fn found(&mut self, changes: &[AnyConfChange]) -> Result<(), Error> {
        self.become_follower(1, NONE);
        let entries = (1..).zip(changes).map(|(index, change)| Entry { term: 1, index, ..change.to_entry() });
        self.log.append(entries.collect());
        self.log.commit_to(changes.len() as u64)?;
        for change in changes {
            self.apply_conf_change(change.clone())?;
        }
        Ok(())
    }

    pub(crate) fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed() }
    }

    pub(crate) fn soft_state(&self) -> SoftState {
        SoftState { leader: self.leader, role: self.role.name() }
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    pub(crate) fn members(&self) -> &Configuration {
        &self.members
    }

    pub(crate) fn progress(&self) -> &ProgressMap {
        &self.progress
    }

    pub(crate) fn is_learner(&self) -> bool {
        self.is_learner
    }

    pub(crate) fn restored_index(&self) -> u64 {
        self.restored_index
    }

    pub(crate) fn set_randomized_election_timeout(&mut self, ticks: usize) {
        self.randomized_election_timeout = ticks;
    }

    fn empty_inflights(&self) -> Inflights {
        Inflights::new(self.config.max_inflight_messages, self.config.max_inflight_bytes)
    }

    /// Queues a message. Fills in sender and term, except for those that keep the sender for whom they are forwarded,
    /// or have no term because they concern whatever term it is.
    fn send(&mut self, mut message: Message) {
        if message.from == NONE {
            message.from = self.id;
        }
        let msg_type = message.msg_type();
        match msg_type {
            MessageType::MsgVote | MessageType::MsgVoteResp | MessageType::MsgPreVote => {
                assert!(message.term > 0, "a vote without a term");
            }
            // Set as well; but a refusal names the refuser's term, which is 0 before its first election.
            MessageType::MsgPreVoteResp => {}
            MessageType::MsgProp | MessageType::MsgReadIndex => message.term = 0,
            _ => message.term = self.term,
        }
        match msg_type {
            // An acknowledged append and a granted vote are promises; so, in effect, are refusals: they speak for a term
            // that must not be forgotten.
            MessageType::MsgAppResp | MessageType::MsgVoteResp | MessageType::MsgPreVoteResp => {
                self.messages_after_append.push(message);
            }
            _ => {
                assert!(message.to != self.id, "a message to itself: {message:?}");
                self.messages.push(message);
            }
        }
    }

    /// Begins a term, or a role within one.
    fn reset(&mut self, term: u64) {
        if self.term != term {
            assert!(term > self.term, "the term goes back from {} to {term}", self.term);
            self.term = term;
            self.vote = NONE;
        }
        self.leader = NONE;
        self.election_elapsed = 0;
        self.heartbeat_elapsed = 0;
        self.randomized_election_timeout = self.config.election_ticks + self.rng.below(self.config.election_ticks);
        let last = self.log.last_index();
        let inflights = self.empty_inflights();
        for (&id, progress) in &mut self.progress {
            *progress = Progress::new(last + 1, inflights.clone(), progress.is_learner);
            if id == self.id {
                progress.matched = last;
            }
        }
    }

    fn become_follower(&mut self, term: u64, leader: u64) {
        self.reset(term);
        self.leader = leader;
        self.role = Role::Follower;
        tracing::info!("{:x} became follower at term {}", self.id, self.term);
    }

    /// One unit of logical time has passed.
    pub(crate) fn tick(&mut self) {
        self.election_elapsed += 1;
        if !self.role.is_leader() {
            if self.is_promotable() && self.election_elapsed >= self.randomized_election_timeout {
                self.election_elapsed = 0;
                self.hup();
            }
            return;
        }
        self.heartbeat_elapsed += 1;
        if self.election_elapsed >= self.config.election_ticks {
            self.election_elapsed = 0;
            if self.config.check_quorum {
                self.check_quorum();
            }
            // Whoever should take over has not managed to within an election timeout.
            self.abort_leader_transfer();
        }
        if self.role.is_leader() && self.heartbeat_elapsed >= self.config.heartbeat_ticks {
            self.heartbeat_elapsed = 0;
            self.broadcast_heartbeat();
        }
    }
}
