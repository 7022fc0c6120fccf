//! The member itself: events and the time in, actions out.
//!
//! `mod.rs` takes events; `ready` turns what raft wants into actions; `time` does what the clock asks for; `duties` are a
//! leader's (versions, compaction) and the publication of the member's own name, `leases` what it does about those.

mod core;
mod duties;
mod leases;
mod membership;
mod proposals;
mod propose;
mod reads;
mod ready;
#[cfg(test)]
mod script;
mod slow_disk;
mod snapshots;
mod time;
mod versions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::errors::ClientError;
use proto::etcdserverpb::Member;
use proto::raftpb::{HardState, Message, MessageType};

use self::core::Core;
use self::membership::Peers;
use self::proposals::Proposals;
use self::propose::Unapplied;
use self::reads::Reads;
use self::ready::InFlight;
use self::snapshots::Snapshots;
use self::time::Timers;
use crate::action::{Action, Outcome, Role};
use crate::compactor::Compactor;
use crate::config::Config;
use crate::event::{Applied, Event, Now, Proposal, ProposalKind, Ticket};
use crate::ids::RequestIds;
use crate::lessor::Lessor;

pub(crate) use self::core::Log;

/// One member of a cluster. Owned by one driver, which does
///
/// ```ignore
/// node.handle(event, now);           // any number of them: one batch
/// node.wake(now);                    // when `next_wakeup` has come; harmless before
/// node.flush(now);                   // once per batch: makes the actions of the batch
/// while let Some(action) = node.next_action() { … }
/// ```
pub struct Node {
    id: u64,
    config: Config,
    ids: Arc<RequestIds>,
    /// The time as last told.
    now: Duration,
    core: Core,
    actions: VecDeque<Action>,

    /// Sequence number of the last batch given to the log writer.
    seq: u64,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    in_flight_entries: usize,
    unapplied: Unapplied,
    /// A hard state that only moves the commit index; it waits for the next batch, or for someone who needs it.
    lazy_hard_state: Option<HardState>,
    lazy_responses: Vec<Message>,
    durable_commit: u64,

    /// What the applier has answered.
    applied: Applied,
    members: Arc<Vec<Member>>,
    snapshot_index: u64,
    snapshots: Snapshots,

    batch: Vec<(Proposal, Duration)>,
    proposals: Proposals,
    reads: Reads,
    lessor: Lessor,
    /// Lease calls that wait until what was committed when they came is applied.
    lease_calls: Vec<leases::LeaseCall>,
    /// After a pause: whether this member still leads is to be confirmed by a quorum, and these calls wait for it.
    unsure: bool,
    unsure_calls: Vec<leases::LeaseCall>,
    compactor: Compactor,
    peers: Peers,
    transfers: Vec<duties::Transfer>,
    /// When leadership was last handed on because the disk hung.
    disk_handover: Option<Duration>,
    /// Promotions that wait until what was committed when they came is applied.
    promotions: Vec<propose::Promotion>,
    publication: duties::Publication,
    raising_no_space: Option<Duration>,
    timers: Timers,

    role: Role,
    leader: u64,
    had_leader: bool,
    /// When the present leader was first seen.
    leader_since: Duration,
    /// An entry of the present term is committed here.
    committed_in_term: bool,
    /// Only voter and not yet elected since the start: campaigns without waiting.
    starting: bool,
    stopping: Option<duties::Stopping>,
    counters: Counters,
}

/// What only counts up.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    proposals_failed: u64,
    leader_changes: u64,
    reads_slow: u64,
    reads_failed: u64,
    leases_expired: u64,
}

/// What the member shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: u64,
    pub role: Role,
    pub term: u64,
    /// 0 while unknown.
    pub leader: u64,
    pub committed: u64,
    pub applied: u64,
    /// The last index in the log.
    pub last_index: u64,
    /// Proposals of this member that were neither answered nor given up.
    pub proposals_pending: usize,
    pub proposals_failed: u64,
    pub leader_changes: u64,
    pub read_indexes_slow: u64,
    pub read_indexes_failed: u64,
    /// Leases that this member as leader found expired; each once, unless its revocation was lost.
    pub leases_expired: u64,
    /// Index of the last snapshot recorded.
    pub snapshot_index: u64,
    /// Bytes of entries that are not known to be durable.
    pub unsynced_bytes: usize,
}

/// What a node starts from; made by [`crate::boot`].
pub(crate) struct Start {
    pub id: u64,
    pub config: Config,
    pub ids: Arc<RequestIds>,
    pub log: Log,
    pub hard_state: HardState,
    /// As the applier would say it: what is in the state already. `index` is that of the snapshot the log follows.
    pub applied: Applied,
    pub seed: u64,
}

impl Node {
    pub(crate) fn new(start: Start, now: Now) -> Result<Self, String> {
        let Start { id, config, ids, log, hard_state, applied, seed } = start;
        let timeout = config.request_timeout();
        let core = Core::new(id, &config, log, hard_state, applied.index, seed)?;
        let checkpoints = config.lease_checkpoint.then_some(config.lease_checkpoint_interval);
        let mut lessor = Lessor::new(checkpoints);
        lessor.reset(&applied.leases, now.monotonic);
        let mut node = Self {
            id,
            now: now.monotonic,
            core,
            actions: VecDeque::new(),
            seq: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            in_flight_entries: 0,
            unapplied: Unapplied::default(),
            lazy_hard_state: None,
            lazy_responses: Vec::new(),
            durable_commit: hard_state.commit,
            members: applied.members.clone().unwrap_or_default(),
            snapshot_index: applied.index,
            snapshots: Snapshots::default(),
            batch: Vec::new(),
            proposals: Proposals::new(timeout),
            reads: Reads::new(timeout),
            lessor,
            lease_calls: Vec::new(),
            unsure: false,
            unsure_calls: Vec::new(),
            compactor: Compactor::new(config.auto_compaction, now.monotonic, applied.revision),
            peers: Peers::default(),
            transfers: Vec::new(),
            disk_handover: None,
            promotions: Vec::new(),
            publication: duties::Publication::default(),
            raising_no_space: None,
            timers: Timers::new(&config, now.monotonic),
            role: Role::Follower,
            leader: 0,
            had_leader: false,
            leader_since: Duration::ZERO,
            committed_in_term: false,
            starting: true,
            stopping: None,
            counters: Counters::default(),
            applied,
            ids,
            config,
        };
        if hard_state.commit > 0 {
            node.actions.push_back(Action::Durable { commit: hard_state.commit });
        }
        node.campaign_if_alone();
        Ok(node)
    }

    /// Takes one event. Cheap; raft's answer is fetched in [`Self::flush`].
    pub fn handle(&mut self, event: Event, now: Now) {
        if self.has_ended() {
            return;
        }
        let at = now.monotonic;
        self.note_time(at);
        match event {
            Event::Propose(proposal) => self.propose(proposal, at),
            Event::ProposeConfChange(change) => self.propose_conf_change(change, at),
            Event::ReadIndex { ticket } if self.stopping.is_some() => self.fail(ticket, ClientError::Stopped),
            Event::ReadIndex { ticket } => self.reads.add(ticket),
            Event::Step(message) => self.step(message),
            Event::Persisted(persisted) => self.persisted(persisted),
            Event::Applied(applied) => self.applied(applied, at),
            Event::WantDurable { index } => self.want_durable(index),
            Event::SnapshotSaved(record) => self.snapshot_saved(record),
            Event::LeaseKeepAlive { ticket, lease } => self.lease_call(ticket, lease, leases::LeaseAsk::Renew, at),
            Event::LeaseTimeToLive { ticket, lease } => self.lease_call(ticket, lease, leases::LeaseAsk::TimeLeft, at),
            Event::Leases { ticket } => self.reply(ticket, Outcome::Leases(self.lessor.by_time_left())),
            Event::MoveLeader { ticket, target } => self.move_leader(ticket, target, at),
            Event::RaiseNoSpace => self.raise_no_space(at),
            Event::RaiseCorrupt { member } => self.raise_corrupt(member, at),
            Event::ToldRemoved => self.end(Action::Stopped { removed: true }),
            Event::Unreachable { peer } => self.core.report_unreachable(peer),
            Event::SnapshotReport { peer, failed } => self.snapshot_reported(peer, failed, at),
            Event::PeerActivity { peer, connected } => self.peer_activity(peer, connected, at),
            Event::Versions(reports) => self.versions_reported(&reports, at),
            Event::Stop => self.stop(at),
        }
    }

    /// Turns what the batch of events brought about into actions.
    pub fn flush(&mut self, now: Now) {
        if self.has_ended() {
            return;
        }
        self.note_time(now.monotonic);
        loop {
            self.propose_batch();
            self.ask_read_index(now.monotonic);
            self.drain_ready(now.monotonic);
            // A new leader may have let proposals go, or have some of its own.
            if self.batch.is_empty() {
                break;
            }
        }
        self.advance_stop();
        if let Some(damage) = self.core.damage() {
            let failed = Action::Failed(damage.to_owned());
            self.end(failed);
        }
    }

    /// The next thing to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The source of request ids, shared with everyone who proposes on this member.
    pub fn request_ids(&self) -> Arc<RequestIds> {
        self.ids.clone()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The term of the entry at `index`; `None` where that is not in the log in memory. For checkers.
    pub fn log_term(&self, index: u64) -> Option<u64> {
        self.core.log_term(index)
    }

    pub fn status(&self) -> Status {
        Status {
            id: self.id,
            role: self.role,
            term: self.core.term(),
            leader: self.leader,
            committed: self.core.committed(),
            applied: self.applied.index,
            last_index: self.core.last_index(),
            proposals_pending: self.proposals.pending() + self.batch.len(),
            proposals_failed: self.counters.proposals_failed,
            leader_changes: self.counters.leader_changes,
            read_indexes_slow: self.counters.reads_slow,
            read_indexes_failed: self.counters.reads_failed,
            leases_expired: self.counters.leases_expired,
            snapshot_index: self.snapshot_index,
            unsynced_bytes: self.in_flight_bytes,
        }
    }

    fn reply(&mut self, ticket: Ticket, outcome: Outcome) {
        self.actions.push_back(Action::Reply(ticket, outcome));
    }

    fn fail(&mut self, ticket: Ticket, error: ClientError) {
        self.reply(ticket, Outcome::Failed(error));
    }

    fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// Messages that are not for this member are dropped here, and what no peer sends by raft; so are appends that find
    /// too much waiting already, which their sender will repeat, and forwarded proposals that find the leader overloaded or
    /// no leader at all, which are lost.
    fn step(&mut self, message: Message) {
        let Ok(kind) = MessageType::try_from(message.msg_type) else { return };
        if message.from == 0 || message.from == self.id || message.to != self.id {
            return;
        }
        let dropped = match kind {
            MessageType::MsgApp => self.is_backed_up(),
            // A proposal is passed on once, to whom its member takes for the leader.
            MessageType::MsgProp => !self.core.is_leader() || self.is_overloaded(ProposalKind::Client),
            _ => false,
        };
        if !dropped {
            self.core.step_peer(message);
        }
    }
}
