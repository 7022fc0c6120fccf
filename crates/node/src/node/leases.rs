//! Leases as the leader sees them: renewals, questions about their time, revocations, checkpoints (facts: peer-protocol,
//! 7.3; errors, 8). Their deadlines are kept by [`crate::lessor::Lessor`].
//!
//! Only a leader answers, and only it lets leases end; what it proposes goes into its own log alone. A leader that lost its
//! quorum notices within two election timeouts, while a new one, elected no earlier than one election timeout after that,
//! gives every lease its time anew and one election timeout more: what the old one promised holds.

use std::time::Duration;

use proto::errors::ClientError;

use super::Node;
use crate::action::Outcome;
use crate::event::{LeaseChange, ProposalKind, Ticket};
use crate::lessor::RenewError;
use crate::requests;

/// How long a call about a lease waits for the applier.
const LEASE_CALL_WAIT: Duration = Duration::from_secs(1);
/// A member that did nothing for so many heartbeats was stopped.
const PAUSE_HEARTBEATS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseAsk {
    Renew,
    TimeLeft,
}

/// A call about a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseCall {
    ticket: Ticket,
    lease: i64,
    ask: LeaseAsk,
    /// Answered once this is applied.
    index: u64,
    deadline: Duration,
    /// The lease has ended; the answer waits for its revocation.
    expired: bool,
}

impl LeaseCall {
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }
}

impl Node {
    /// A lease that is known here is renewed at once, as by etcd from 3.7 on; everything else waits until what is committed
    /// now is applied. Behind a new leader's own first entry only: what an earlier leader decided of the lease may stand
    /// before that, and would end it in spite of the answer.
    pub(super) fn lease_call(&mut self, ticket: Ticket, lease: i64, ask: LeaseAsk, now: Duration) {
        if self.has_ended() {
            return;
        }
        if !self.leads_indeed() {
            return self.reply(ticket, Outcome::AskLeader { leader: self.core.leader() });
        }
        if self.unsure {
            let deadline = now + self.config.request_timeout();
            self.unsure_calls.push(LeaseCall { ticket, lease, ask, index: 0, deadline, expired: false });
            return self.reads.want_confirmation();
        }
        let known = ask == LeaseAsk::Renew && self.lessor.knows(lease);
        let index = match known {
            true if self.applied.term == self.core.term() => 0,
            true => self.core.last_index(),
            false => self.core.committed(),
        };
        let call = LeaseCall { ticket, lease, ask, index, deadline: now + LEASE_CALL_WAIT, expired: false };
        let waits = self.answer_lease_call(call, now);
        self.lease_calls.extend(waits);
    }

    /// Answers the calls whose index is applied, and gives up those that wait too long for it.
    pub(super) fn answer_lease_calls(&mut self, now: Duration) {
        for call in std::mem::take(&mut self.lease_calls) {
            let waits = self.answer_lease_call(call, now);
            self.lease_calls.extend(waits);
        }
    }

    /// Gives the call back where it has to wait.
    fn answer_lease_call(&mut self, mut call: LeaseCall, now: Duration) -> Option<LeaseCall> {
        if call.expired {
            return Some(call);
        }
        if call.index > self.applied.index {
            if now < call.deadline {
                return Some(call);
            }
            self.fail(call.ticket, ClientError::TimeoutWaitAppliedIndex);
            return None;
        }
        match call.ask {
            LeaseAsk::TimeLeft => {
                let time = self.lessor.time_left(call.lease, now);
                self.reply(call.ticket, Outcome::LeaseTimeLeft(time));
            }
            LeaseAsk::Renew => call.expired = !self.renew(call.ticket, call.lease, now),
        }
        call.expired.then_some(call)
    }

    /// False where the lease has ended and its revocation is waited for.
    fn renew(&mut self, ticket: Ticket, lease: i64, now: Duration) -> bool {
        match self.lessor.renew(lease, now) {
            Ok(renewed) => {
                if renewed.clear_checkpoint {
                    let id = self.ids.next();
                    let data = requests::lease_checkpoint(id, &[(lease, 0)]);
                    self.propose_as_leader(vec![(id, data)], ProposalKind::LeaseExpiry, now);
                }
                self.reply(ticket, Outcome::LeaseRenewed { ttl_secs: Some(renewed.ttl_secs) });
            }
            Err(RenewError::NotFound) => self.reply(ticket, Outcome::LeaseRenewed { ttl_secs: None }),
            Err(RenewError::NotPrimary) => self.reply(ticket, Outcome::AskLeader { leader: self.leader }),
            Err(RenewError::Expired) => return false,
        }
        true
    }

    /// Those who tried to renew a lease that had ended learn that it is gone.
    pub(super) fn answer_revoked(&mut self, changes: &[LeaseChange]) {
        if !self.lease_calls.iter().any(|call| call.expired) {
            return;
        }
        for change in changes {
            let LeaseChange::Revoked { id } = *change else { continue };
            let (gone, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.lease_calls).into_iter().partition(|call| call.expired && call.lease == id);
            self.lease_calls = rest;
            gone.iter().for_each(|call| self.reply(call.ticket, Outcome::LeaseRenewed { ttl_secs: None }));
        }
    }

    /// What only a leader can answer is sent on.
    pub(super) fn leadership_lost(&mut self, now: Duration) {
        for call in self.take_lease_calls() {
            self.reply(call.ticket, Outcome::AskLeader { leader: self.leader });
        }
        self.expire_stale_alarm(now);
    }

    /// Takes note of the time. A process that was stopped may have been deposed meanwhile without a chance to learn it: until
    /// a quorum says that this member still leads, no lease is renewed or ended here.
    pub(super) fn note_time(&mut self, now: Duration) {
        if now > self.now + self.config.heartbeat * PAUSE_HEARTBEATS && self.is_leader() {
            self.unsure = true;
            self.reads.void_confirmation();
        }
        self.now = now;
    }

    /// A quorum has answered a question that was asked after the pause.
    pub(super) fn leadership_confirmed(&mut self, now: Duration) {
        self.unsure = false;
        for call in std::mem::take(&mut self.unsure_calls) {
            self.lease_call(call.ticket, call.lease, call.ask, now);
        }
    }

    /// Asks again where nobody has answered, and gives up the calls that wait for it too long.
    pub(super) fn mind_unsure_calls(&mut self, now: Duration) {
        let late: Vec<LeaseCall> = self.unsure_calls.extract_if(.., |call| now >= call.deadline).collect();
        late.iter().for_each(|call| self.fail(call.ticket, ClientError::NotPrimaryLessor));
        if !self.unsure_calls.is_empty() {
            self.reads.want_confirmation();
        }
    }

    /// All calls that wait.
    pub(super) fn take_lease_calls(&mut self) -> Vec<LeaseCall> {
        let mut all = std::mem::take(&mut self.lease_calls);
        all.append(&mut self.unsure_calls);
        all
    }

    pub(super) fn scan_leases(&mut self, now: Duration) {
        let checkpoints = self.config.lease_checkpoint.then_some(self.config.lease_checkpoint_interval);
        self.lessor.set_checkpoint_interval(checkpoints);
        if !self.lessor.is_primary() || !self.leads_indeed() || self.stopping.is_some() {
            return;
        }
        if self.unsure {
            return self.reads.want_confirmation();
        }
        let expired = self.lessor.expired(now, self.applied.index);
        self.counters.leases_expired += expired.len() as u64;
        let mut requests = Vec::with_capacity(expired.len());
        for lease in expired.iter().copied() {
            let id = self.ids.next();
            requests.push((id, requests::lease_revoke(id, lease, self.applied.auth_revision)));
        }
        let due = self.lessor.due_checkpoints(now);
        if !due.is_empty() {
            let id = self.ids.next();
            requests.push((id, requests::lease_checkpoint(id, &due)));
        }
        if self.propose_as_leader(requests, ProposalKind::LeaseExpiry, now) {
            let last_index = self.core.last_index();
            self.lessor.revoking(&expired, last_index);
        }
    }
}
