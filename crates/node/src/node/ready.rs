//! From raft's wishes to actions, and from the answers of log writer and applier back to raft.

use std::sync::Arc;
use std::time::Duration;

use proto::errors::ClientError;
use proto::raftpb::{Entry, HardState, Message, MessageType, Snapshot};

use super::Node;
use super::core::{Persist, SoftChange, Work};
use crate::action::{Action, ApplyBatch, Batch, Outcome, Role, SnapshotRecord};
use crate::event::{Applied, Persisted};

/// Entries kept in memory beyond the catch-up entries, at most, before the older ones are let go.
const COMPACTION_SLACK_MAX: u64 = 100;
/// While a snapshot is being sent, and a while longer, this many times the catch-up entries are kept.
const CATCH_UP_FACTOR_SENDING: u64 = 20;
/// A read index that took longer is counted as slow.
pub(super) const SLOW_READ: Duration = Duration::from_secs(1);

/// A batch on its way to the disk.
#[derive(Debug)]
pub(super) struct InFlight {
    seq: u64,
    /// When it went to the log writer.
    since: Duration,
    entries: Arc<Vec<Entry>>,
    snapshot: Option<Arc<Snapshot>>,
    hard_state: Option<HardState>,
    /// Messages that promise what the batch holds.
    responses: Vec<Message>,
    bytes: usize,
}

impl InFlight {
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    /// The index of its last entry; 0 where it has none.
    pub(super) fn last_index(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.index)
    }
}

impl Node {
    /// Fetches what raft wants done until it wants nothing more.
    pub(super) fn drain_ready(&mut self, now: Duration) {
        while let Some(work) = self.core.ready() {
            self.carry_out(work, now);
        }
    }

    /// Contract 1: a leader's own appends leave before they are durable here; everything that promises durability is in
    /// the responses of the batch and leaves after it.
    fn carry_out(&mut self, mut work: Work, now: Duration) {
        if let Some(soft) = work.soft.take() {
            self.soft_changed(soft, now);
        }
        self.hold_votes(&mut work);
        self.send(work.messages);
        for (id, index) in work.reads {
            let answered = self.reads.answered(id, index, now);
            if answered.took > SLOW_READ {
                self.counters.reads_slow += 1;
            }
            if answered.confirms && self.leads_indeed() {
                self.leadership_confirmed(now);
            }
        }
        if let Some(persist) = work.persist {
            self.persist(persist);
        }
        if !work.apply.is_empty() {
            let term = self.core.term();
            let first_in_term = !self.committed_in_term && work.apply.iter().any(|entry| entry.term == term);
            self.actions.push_back(Action::Apply(ApplyBatch { snapshot: None, entries: work.apply }));
            if first_in_term {
                self.first_commit_in_term(now);
            }
        }
        self.release_reads();
    }

    /// Asks for votes only once term and own vote are durable. The others' votes alone can make a leader: one that then
    /// forgot its term would ask for votes in the same term again, and lead it twice, with different entries.
    fn hold_votes(&mut self, work: &mut Work) {
        let is_vote = |message: &Message| message.msg_type == MessageType::MsgVote as i32;
        let held = match &mut work.persist {
            Some(persist) => &mut persist.responses,
            None => match self.in_flight.back_mut() {
                Some(batch) => &mut batch.responses,
                None => return,
            },
        };
        held.extend(work.messages.extract_if(.., |message| is_vote(message)));
    }

    /// A leader answers read indexes from its first commit in its term on.
    fn first_commit_in_term(&mut self, now: Duration) {
        self.committed_in_term = true;
        if let Some(id) = self.reads.ask_again(now) {
            self.core.read_index(id);
        }
        if self.is_leader() {
            self.timers.check_versions_now();
        }
    }

    fn send(&mut self, messages: Vec<Message>) {
        let (snapshots, others): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.msg_type == MessageType::MsgSnap as i32);
        if !others.is_empty() {
            self.actions.push_back(Action::Send(others));
        }
        snapshots.into_iter().for_each(|snapshot| self.send_snapshot(snapshot));
    }

    /// Lets go of old entries in memory. What follows a snapshot that is being sent is kept for longer, so that its
    /// receiver does not need another one at once.
    fn compact(&mut self, now: Duration) {
        let factor = if self.snapshots.keep_log(now) { CATCH_UP_FACTOR_SENDING } else { 1 };
        let keep = self.config.catch_up_entries.max(1).saturating_mul(factor);
        self.core.compact(keep, keep.min(COMPACTION_SLACK_MAX));
    }

    fn persist(&mut self, persist: Persist) {
        let Persist { snapshot, entries, hard_state, term_or_vote_changed, responses } = persist;
        let only_commit = snapshot.is_none() && entries.is_empty() && !term_or_vote_changed;
        let promises = responses.iter().any(|message| message.msg_type != MessageType::MsgStorageAppendResp as i32);
        if only_commit && !promises {
            // It rides with the next batch, or goes when somebody needs it (contract 2).
            self.lazy_hard_state = hard_state.or(self.lazy_hard_state.take());
            self.lazy_responses.extend(responses);
            return;
        }
        if only_commit && hard_state.is_none() && self.in_flight.is_empty() {
            // Nothing to write, so it is written.
            return self.deliver(responses);
        }
        let hard_state = hard_state.or(self.lazy_hard_state.take());
        self.lazy_hard_state = None;
        let batch =
            Batch { snapshot: snapshot.map(Arc::new), entries: Arc::new(entries), hard_state, ..Batch::default() };
        self.submit(batch, responses);
    }

    /// Gives a batch to the log writer.
    pub(super) fn submit(&mut self, mut batch: Batch, responses: Vec<Message>) {
        self.seq += 1;
        batch.seq = self.seq;
        let bytes = batch.entries.iter().map(|entry| entry.data.len()).sum();
        let mut all_responses = std::mem::take(&mut self.lazy_responses);
        all_responses.extend(responses);
        self.in_flight_bytes += bytes;
        self.in_flight_entries += batch.entries.len();
        if let Some(last) = batch.entries.last() {
            self.unapplied.add(last.index, bytes);
        }
        self.in_flight.push_back(InFlight {
            seq: batch.seq,
            since: self.now,
            entries: batch.entries.clone(),
            snapshot: batch.snapshot.clone(),
            hard_state: batch.hard_state,
            responses: all_responses,
            bytes,
        });
        self.actions.push_back(Action::Persist(batch));
    }

    pub(super) fn persisted(&mut self, persisted: Persisted) {
        while self.in_flight.front().is_some_and(|batch| batch.seq <= persisted.seq) {
            let Some(batch) = self.in_flight.pop_front() else { break };
            self.in_flight_bytes -= batch.bytes;
            self.in_flight_entries -= batch.entries.len();
            if let Some(snapshot) = batch.snapshot {
                self.core.install_snapshot(&snapshot);
                self.snapshot_index = self.core.snapshot_index();
                self.actions.push_back(Action::Apply(ApplyBatch { snapshot: Some(snapshot), entries: Vec::new() }));
            }
            self.core.append(&batch.entries);
            if let Some(hard_state) = batch.hard_state {
                self.core.set_hard_state(hard_state);
            }
            self.deliver(batch.responses);
        }
        if persisted.commit > self.durable_commit {
            self.durable_commit = persisted.commit;
            self.actions.push_back(Action::Durable { commit: persisted.commit });
        }
    }

    /// Sends what is durable now: to peers, and to raft itself.
    fn deliver(&mut self, responses: Vec<Message>) {
        let (own, others): (Vec<_>, Vec<_>) = responses.into_iter().partition(|message| message.to == self.id);
        self.send(others);
        own.into_iter().for_each(|message| self.core.step_own(message));
    }

    /// The applier wants to commit up to `index`: contract 2.
    pub(super) fn want_durable(&mut self, index: u64) {
        if index <= self.durable_commit {
            self.actions.push_back(Action::Durable { commit: self.durable_commit });
            return;
        }
        let on_its_way =
            self.in_flight.iter().any(|b| b.hard_state.is_some_and(|hard_state| hard_state.commit >= index));
        if !on_its_way {
            let hard_state = self.lazy_hard_state.take().unwrap_or_else(|| self.core.hard_state());
            self.submit(Batch { hard_state: Some(hard_state), sync: true, ..Batch::default() }, Vec::new());
        } else {
            // That batch may hold nothing that asks for a sync.
            self.submit(Batch { sync: true, ..Batch::default() }, Vec::new());
        }
    }

    pub(super) fn snapshot_saved(&mut self, record: SnapshotRecord) {
        self.snapshot_index = self.snapshot_index.max(record.index);
        self.submit(Batch { snapshot_record: Some(record), sync: true, ..Batch::default() }, Vec::new());
    }

    /// Answers leave after apply, and for conf changes after raft has taken them.
    pub(super) fn applied(&mut self, mut applied: Applied, now: Duration) {
        for change in std::mem::take(&mut applied.conf_changes) {
            if let Some(conf_change) = &change.change {
                self.core.apply_conf_change(change.index, conf_change);
            }
            // The founding entries have no proposer.
            if change.ticket != 0 {
                self.reply(change.ticket, Outcome::ConfChanged(change.outcome));
            }
            if change.removed_self {
                self.timers.stop_removed(now);
            }
        }
        if applied.snapshot_installed {
            self.lessor.reset(&applied.leases, now);
            if self.is_leader() {
                self.lessor.promote(self.config.election, now);
            }
        } else {
            applied.leases.iter().for_each(|change| self.lessor.apply(*change, now));
            self.answer_revoked(&applied.leases);
        }
        if let Some(members) = &applied.members {
            self.members = members.clone();
        }
        if applied.over_quota {
            self.raise_no_space(now);
        }
        let version_changed = applied.cluster_version != self.applied.cluster_version;
        let went_down = applied.cluster_version < self.applied.cluster_version && applied.cluster_version.is_some();
        self.core.applied(applied.index);
        let tickets = std::mem::take(&mut applied.tickets);
        self.applied = applied;
        self.applied.leases.clear();
        self.unapplied.applied(self.applied.index);
        self.proposals.applied(self.applied.index, &tickets);
        self.compactor.compacted(self.applied.compact_revision, now);
        if version_changed {
            self.timers.check_versions_now();
        }
        self.compact(now);
        if went_down {
            // A member of the target version that joins now would stop at what raised the cluster version before.
            self.core.compact(1, 0);
        }
        self.answer_lease_calls(now);
        self.check_promotions(now);
        self.published(&tickets);
        self.publish(now);
        self.campaign_if_alone();
        self.release_reads();
    }

    /// Begins a round for the reads that wait; a question without a leader is lost and asked again later.
    pub(super) fn ask_read_index(&mut self, now: Duration) {
        if self.reads.wants_round() {
            let id = self.ids.next();
            self.reads.begin(id, now);
            self.core.read_index(id);
        }
    }

    pub(super) fn release_reads(&mut self) {
        let mut ready = Vec::new();
        self.reads.release(self.applied.index, &mut ready);
        if !ready.is_empty() {
            self.actions.push_back(Action::ReadReady(ready));
        }
    }

    fn soft_changed(&mut self, soft: SoftChange, now: Duration) {
        let was_leader = self.is_leader();
        let leader_before = std::mem::replace(&mut self.leader, soft.leader);
        self.role = soft.role;
        self.committed_in_term &= !soft.term_changed;
        let is_leader = self.is_leader();
        if is_leader && (!was_leader || soft.term_changed) {
            self.starting = false;
            self.unsure = false;
            self.lessor.promote(self.config.election, now);
        }
        if was_leader && (!is_leader || soft.term_changed) {
            self.proposals.leadership_lost();
        }
        if was_leader && !is_leader {
            self.lessor.demote();
            self.snapshots.clear();
            self.leadership_lost(now);
        }
        if self.leader != 0 && self.leader != leader_before {
            self.new_leader(now);
        }
        self.actions.push_back(Action::RoleChanged { role: self.role, term: self.core.term(), leader: self.leader });
    }

    fn new_leader(&mut self, now: Duration) {
        self.leader_since = now;
        if self.had_leader {
            self.counters.leader_changes += 1;
            for ticket in self.reads.fail_round() {
                self.counters.reads_failed += 1;
                self.fail(ticket, ClientError::LeaderChanged);
            }
        } else if let Some(id) = self.reads.ask_again(now) {
            self.core.read_index(id);
        }
        self.had_leader = true;
        self.finish_transfers();
        self.propose_held();
        self.publish_again(now);
    }

    /// Alone and with nothing left to learn, nobody can object.
    pub(super) fn campaign_if_alone(&mut self) {
        let idle = self.starting && self.role == Role::Follower && self.leader == 0;
        if idle && self.applied.index >= self.core.committed() && self.core.is_only_voter() {
            self.starting = false;
            self.core.campaign();
        }
    }
}
