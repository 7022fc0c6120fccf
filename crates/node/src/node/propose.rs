//! From requests to entries: what is refused before the log (contract 9), what is held back, and what only a leader says.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proto::errors::ClientError;
use proto::raftpb::{ConfChange, Entry};
use state::Version;

use super::Node;
use super::membership::{Rules, is_promotion};
use super::proposals::{Held, Wish};
use crate::event::{Proposal, ProposalKind, Ticket};

/// Entries that the applier may lag behind before clients are refused.
const APPLY_LAG_MAX: u64 = 5000;
/// The same for the revocation of expired leases.
const APPLY_LAG_MAX_LEASE_EXPIRY: u64 = 10_000;
/// Bytes of entries in one raft message of proposals.
const PROPOSAL_BATCH_BYTES: usize = 1 << 20;
/// Entries that may wait for the disk or for a leader, however small they are.
const UNSYNCED_ENTRIES_MAX: usize = 1 << 16;
/// Batches that may wait for the disk.
const IN_FLIGHT_MAX: usize = 1 << 13;
/// Entries that wait for the applier may take this many times the bytes of those that wait for the disk.
const UNAPPLIED_FACTOR: usize = 4;

/// How long a promotion waits for the applier.
const PROMOTION_WAIT: Duration = Duration::from_secs(1);

/// A promotion that waits for the applier.
#[derive(Clone, Debug)]
pub(super) struct Promotion {
    change: ConfChange,
    index: u64,
    started: Duration,
}

impl Promotion {
    pub fn ticket(&self) -> Ticket {
        self.change.id
    }
}

/// Bytes of entries given to the log and not known to be applied.
#[derive(Debug, Default)]
pub(super) struct Unapplied {
    /// Last index and bytes of each batch.
    batches: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Unapplied {
    pub fn add(&mut self, last_index: u64, bytes: usize) {
        self.batches.push_back((last_index, bytes));
        self.bytes += bytes;
    }

    pub fn applied(&mut self, index: u64) {
        while let Some((_, bytes)) = self.batches.pop_front_if(|(last, _)| *last <= index) {
            self.bytes -= bytes;
        }
    }
}

impl Node {
    /// Contract 9: back-pressure stands before the proposal.
    pub(super) fn is_overloaded(&self, kind: ProposalKind) -> bool {
        let lag_max = match kind {
            ProposalKind::Client => APPLY_LAG_MAX,
            ProposalKind::LeaseExpiry => APPLY_LAG_MAX_LEASE_EXPIRY,
        };
        self.core.committed().saturating_sub(self.applied.index) > lag_max || self.is_backed_up()
    }

    /// Whether this member leads, also by what happened since it last fetched what is to be done.
    pub(super) fn leads_indeed(&self) -> bool {
        self.is_leader() && self.core.is_leader()
    }

    /// Whether as much waits for the disk, the applier or a leader as may.
    pub(super) fn is_backed_up(&self) -> bool {
        let entries = self.in_flight_entries + self.proposals.held() + self.batch.len();
        self.in_flight_bytes + self.proposals.held_bytes() > self.config.unsynced_bytes_max
            || entries > UNSYNCED_ENTRIES_MAX
            || self.in_flight.len() > IN_FLIGHT_MAX
            || self.unapplied.bytes > self.config.unsynced_bytes_max.saturating_mul(UNAPPLIED_FACTOR)
    }

    pub(super) fn propose(&mut self, proposal: Proposal, now: Duration) {
        if self.stopping.is_some() {
            self.fail(proposal.ticket, ClientError::Stopped);
        } else if self.is_too_large(&proposal.data) {
            self.fail(proposal.ticket, ClientError::RequestTooLarge);
        } else if self.is_overloaded(proposal.kind) {
            self.counters.proposals_failed += 1;
            self.fail(proposal.ticket, ClientError::RequestTooManyRequests);
        } else if self.leader == 0 {
            self.proposals.hold(Wish::Request(proposal), now);
        } else {
            self.in_flight_bytes += proposal.data.len();
            self.batch.push((proposal, now));
        }
    }

    /// Below cluster version 3.6 a member may be, or come back as, one that can't read a log with such a record.
    fn is_too_large(&self, data: &Bytes) -> bool {
        // Nearly all are far below.
        data.len() > wal::RECORD_BYTES_OLD_READERS / 2
            && self.applied.cluster_version.is_none_or(|version| version < Version::V3_6)
            && wal::record_len(&Entry { data: data.clone(), ..Entry::default() }) >= wal::RECORD_BYTES_OLD_READERS
    }

    /// A proposal of the member's own, which any leader may take; nobody waits for its answer.
    pub(super) fn propose_own(&mut self, data: Bytes, ticket: Ticket, kind: ProposalKind, now: Duration) {
        self.propose(Proposal { ticket, data, kind }, now);
    }

    /// Proposals that only a leader may make, and only into its own log: forwarded by one that was deposed a moment ago,
    /// a revocation would end a lease to which the new leader has given time. Nobody waits for their answers. True where
    /// they were taken.
    pub(super) fn propose_as_leader(
        &mut self,
        requests: Vec<(Ticket, Bytes)>,
        kind: ProposalKind,
        now: Duration,
    ) -> bool {
        if requests.is_empty() || self.stopping.is_some() || !self.leads_indeed() || self.is_overloaded(kind) {
            return false;
        }
        // Whatever was proposed before stands before them in the log.
        self.propose_batch();
        let first = self.core.last_index() + 1;
        let (tickets, data): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        if self.core.propose(data).is_err() {
            self.counters.proposals_failed += tickets.len() as u64;
            return false;
        }
        for (index, ticket) in (first..).zip(tickets) {
            self.proposals.appended(ticket, index, now);
        }
        true
    }

    /// Hands the gathered proposals to raft, many entries to a message.
    pub(super) fn propose_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let mut rest = batch.into_iter().peekable();
        while rest.peek().is_some() {
            let mut bytes = 0;
            let mut part = Vec::new();
            while let Some((proposal, started)) =
                rest.next_if(|(next, _)| bytes == 0 || bytes + next.data.len() <= PROPOSAL_BATCH_BYTES)
            {
                bytes += proposal.data.len().max(1);
                self.in_flight_bytes -= proposal.data.len();
                part.push((proposal, started));
            }
            self.propose_part(part);
        }
    }

    fn propose_part(&mut self, part: Vec<(Proposal, Duration)>) {
        let first = self.core.last_index() + 1;
        // Known by its index only where this member and its raft agree that it leads; else by its ticket.
        let leads = self.leads_indeed();
        let entries = part.iter().map(|(proposal, _)| proposal.data.clone()).collect();
        match self.core.propose(entries) {
            Ok(()) if leads => {
                for (index, (proposal, started)) in (first..).zip(part) {
                    self.proposals.appended(proposal.ticket, index, started);
                }
            }
            Ok(()) => part.iter().for_each(|(proposal, started)| self.proposals.forwarded(proposal.ticket, *started)),
            Err(_) if self.core.leader() == 0 => {
                part.into_iter().for_each(|(proposal, started)| self.proposals.hold(Wish::Request(proposal), started));
            }
            Err(_) => {
                self.counters.proposals_failed += part.len() as u64;
                part.iter().for_each(|(proposal, _)| self.fail(proposal.ticket, ClientError::ProposalDropped));
            }
        }
    }

    /// A promotion is judged once all is applied that was committed when it came: the learner may be among it.
    pub(super) fn propose_conf_change(&mut self, change: ConfChange, now: Duration) {
        let index = self.core.committed();
        if is_promotion(&change) && self.leads_indeed() && self.stopping.is_none() && index > self.applied.index {
            self.promotions.push(Promotion { change, index, started: now });
        } else {
            self.judge_conf_change(change, now);
        }
    }

    /// Goes on with the promotions whose index is applied, and gives up those that wait too long for it.
    pub(super) fn check_promotions(&mut self, now: Duration) {
        for promotion in std::mem::take(&mut self.promotions) {
            if promotion.index <= self.applied.index || !self.leads_indeed() {
                self.judge_conf_change(promotion.change, promotion.started);
            } else if now >= promotion.started + PROMOTION_WAIT {
                self.fail(promotion.change.id, ClientError::TimeoutWaitAppliedIndex);
            } else {
                self.promotions.push(promotion);
            }
        }
    }

    fn judge_conf_change(&mut self, change: ConfChange, now: Duration) {
        let matched = self.core.is_leader().then(|| self.core.matched());
        let rules = Rules {
            own: self.id,
            members: &self.members,
            peers: &self.peers,
            now,
            strict: self.config.strict_reconfig,
            matched: matched.as_ref(),
        };
        let checked = match self.stopping {
            Some(_) => Err(ClientError::Stopped),
            None if self.is_backed_up() => Err(ClientError::RequestTooManyRequests),
            None => rules.check(&change),
        };
        match checked {
            Ok(()) => self.pass_conf_change(change, now),
            Err(error) => self.fail(change.id, error),
        }
    }

    /// A leader that has another change under way puts an empty entry in its place and says nothing: whoever waits learns
    /// it from the time.
    fn pass_conf_change(&mut self, change: ConfChange, started: Duration) {
        // Whatever was proposed before stands before it in the log.
        self.propose_batch();
        match self.core.propose_conf_change(&change) {
            Ok(()) => self.proposals.forwarded(change.id, started),
            Err(_) if self.core.leader() == 0 => self.proposals.hold(Wish::Change(change), started),
            Err(_) => {
                self.counters.proposals_failed += 1;
                self.fail(change.id, ClientError::ProposalDropped);
            }
        }
    }

    /// There is a leader: what was held back goes to it.
    pub(super) fn propose_held(&mut self) {
        for Held { wish, started } in self.proposals.release_held() {
            match wish {
                Wish::Request(proposal) => {
                    self.in_flight_bytes += proposal.data.len();
                    self.batch.push((proposal, started));
                }
                Wish::Change(change) => self.pass_conf_change(change, started),
            }
        }
        self.propose_batch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unapplied_bytes_go_with_their_batch() {
        let mut unapplied = Unapplied::default();
        unapplied.add(10, 100);
        unapplied.add(20, 50);
        unapplied.applied(19);
        assert_eq!(unapplied.bytes, 50);
        unapplied.applied(20);
        assert_eq!(unapplied.bytes, 0);
    }
}
