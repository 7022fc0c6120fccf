//! A leader's duties (cluster version, compaction), leader transfer, and what a member does for itself: it
//! publishes its name and stops in good order.

use std::time::Duration;

use proto::errors::ClientError;
use state::Version;

use super::{Node, versions};
use crate::action::{Action, Batch, Outcome};
use crate::config::AutoCompaction;
use crate::event::{ProposalKind, Ticket, VersionReport};
use crate::requests;

/// A proposal of the member's own that had no effect is repeated after this time.
const OWN_RETRY: Duration = Duration::from_secs(1);

/// A transfer of leadership under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Who waits, if not the member itself on its way out.
    ticket: Option<Ticket>,
    target: u64,
    deadline: Duration,
}

/// How far the member is with making its name known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Publication {
    proposed: Option<(Ticket, Duration)>,
    done: bool,
}

/// How far the member is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    HandingOver,
    /// All there is to sync has gone to the log writer.
    Syncing {
        seq: u64,
    },
    Stopped,
}

impl Node {
    /// Whether this leader may look at the versions now.
    fn may_set_version(&self) -> bool {
        self.is_leader() && self.committed_in_term && self.stopping.is_none()
    }

    pub(super) fn check_versions(&mut self, now: Duration) {
        if !self.may_set_version() {
            return;
        }
        if self.members.iter().any(|member| member.id != self.id) {
            self.actions.push_back(Action::AskVersions);
        } else {
            self.versions_reported(&[], now);
        }
    }

    pub(super) fn versions_reported(&mut self, reports: &[VersionReport], now: Duration) {
        if !self.may_set_version() || self.members.is_empty() {
            return;
        }
        let (current, target) = (self.applied.cluster_version, self.applied.downgrade_target);
        let (own, own_id) = (self.config.compat, self.id);
        if let Some(to) = versions::decide(own_id, own, &self.members, reports, current, target) {
            let id = self.ids.next();
            let data = requests::cluster_version(id, to, self.form_version());
            self.propose_as_leader(vec![(id, data)], ProposalKind::Client, now);
        } else if let Some(target) = target
            && self.may_end_downgrade()
            && versions::all_run(own_id, own, &self.members, reports, target)
        {
            let id = self.ids.next();
            self.propose_as_leader(vec![(id, requests::downgrade_end(id))], ProposalKind::Client, now);
        }
    }

    /// The job ends by an entry that members of 3.4 can't read; and never where nobody is to look.
    fn may_end_downgrade(&self) -> bool {
        self.form_version() >= Version::V3_5 && !self.config.downgrade_check_interval.is_zero()
    }

    /// Asks for the versions where a downgrade may be complete.
    pub(super) fn check_downgrade(&mut self, now: Duration) {
        if self.applied.downgrade_target.is_some() {
            self.check_versions(now);
        }
    }

    /// The cluster version that decides the form of proposals; before there is one, the member's own.
    pub(super) fn form_version(&self) -> Version {
        self.applied.cluster_version.unwrap_or(self.config.compat.minor_line())
    }

    pub(super) fn look_at_compaction(&mut self, now: Duration) {
        if now < self.compactor.next_look() {
            return;
        }
        let active = self.is_leader() && self.stopping.is_none();
        if let Some(revision) = self.compactor.look(now, self.applied.revision, active) {
            let id = self.ids.next();
            let taken =
                self.propose_as_leader(vec![(id, requests::compaction(id, revision))], ProposalKind::Client, now);
            if taken {
                self.compactor.proposed(revision);
                match self.config.auto_compaction {
                    AutoCompaction::Periodic(period) => {
                        tracing::info!(revision, "compact-period" = ?period, "starting auto periodic compaction");
                    }
                    AutoCompaction::Revision(keep) => {
                        tracing::info!(
                            revision,
                            "revision-compaction-retention" = keep,
                            "starting auto revision compaction"
                        );
                    }
                    AutoCompaction::Off => {}
                }
            }
        }
    }

    /// Proposes the NOSPACE alarm of this member, unless that was just done.
    pub(super) fn raise_no_space(&mut self, now: Duration) {
        if self.raising_no_space.is_some_and(|since| now < since + OWN_RETRY) {
            return;
        }
        self.raising_no_space = Some(now);
        let id = self.ids.next();
        self.propose_own(requests::no_space(id, self.id), id, ProposalKind::LeaseExpiry, now);
    }

    /// Proposes the CORRUPT alarm for a member. The checks come again, so nothing is repeated here.
    pub(super) fn raise_corrupt(&mut self, member: u64, now: Duration) {
        let id = self.ids.next();
        self.propose_own(requests::corrupt(id, member), id, ProposalKind::LeaseExpiry, now);
    }

    pub(super) fn expire_stale_alarm(&mut self, now: Duration) {
        self.raising_no_space = self.raising_no_space.filter(|since| now < *since + OWN_RETRY);
    }

    /// Makes name and client URLs known, once per start; repeated until it is applied.
    pub(super) fn publish(&mut self, now: Duration) {
        let under_way = self.publication.proposed.is_some_and(|(_, at)| now < at + self.config.request_timeout());
        if self.publication.done || under_way || self.leader == 0 || self.stopping.is_some() {
            return;
        }
        if self.members.iter().all(|member| member.id != self.id) {
            return;
        }
        let id = self.ids.next();
        self.publication.proposed = Some((id, now));
        let (name, urls) = (&self.config.name, &self.config.client_urls);
        let data = requests::member_attributes(id, self.id, name, urls, self.form_version());
        self.propose_own(data, id, ProposalKind::Client, now);
    }

    /// There is a new leader, and the last one may not have got it. Saying it twice changes nothing.
    pub(super) fn publish_again(&mut self, now: Duration) {
        self.publication.proposed = None;
        self.publish(now);
    }

    /// These requests of this member are applied; its publication may be among them.
    pub(super) fn published(&mut self, tickets: &[Ticket]) {
        let Some((ticket, _)) = self.publication.proposed.filter(|_| !self.publication.done) else { return };
        if tickets.contains(&ticket) {
            self.publication.done = true;
            self.actions.push_back(Action::Published);
        }
    }

    pub(super) fn move_leader(&mut self, ticket: Ticket, target: u64, now: Duration) {
        let is_voter = self.members.iter().any(|member| member.id == target && !member.is_learner);
        if !self.is_leader() {
            self.fail(ticket, ClientError::NotLeader);
        } else if !is_voter {
            self.fail(ticket, ClientError::BadLeaderTransferee);
        } else if target == self.id {
            self.reply(ticket, Outcome::LeaderMoved);
        } else {
            self.start_transfer(Some(ticket), target, now);
        }
    }

    fn start_transfer(&mut self, ticket: Option<Ticket>, target: u64, now: Duration) {
        tracing::info!(
            "local-member-id" = %format_args!("{:x}", self.id),
            "current-leader-member-id" = %format_args!("{:x}", self.leader),
            "transferee-member-id" = %format_args!("{target:x}"),
            "leadership transfer starting"
        );
        self.propose_batch();
        self.core.transfer_leader(target);
        self.transfers.push(Transfer { ticket, target, deadline: now + self.config.request_timeout() });
    }

    /// There is a new leader: who waited for this one has what was asked for.
    pub(super) fn finish_transfers(&mut self) {
        let leader = self.leader;
        let done: Vec<Transfer> = self.transfers.extract_if(.., |transfer| transfer.target == leader).collect();
        if !done.is_empty() {
            tracing::info!(
                "local-member-id" = %format_args!("{:x}", self.id),
                "old-leader-member-id" = %format_args!("{:x}", self.id),
                "new-leader-member-id" = %format_args!("{leader:x}"),
                "leadership transfer finished"
            );
        }
        for ticket in done.into_iter().filter_map(|transfer| transfer.ticket) {
            self.reply(ticket, Outcome::LeaderMoved);
        }
    }

    /// Gives up waiting for transfers that take too long.
    pub(super) fn expire_transfers(&mut self, now: Duration) {
        let late: Vec<Transfer> = self.transfers.extract_if(.., |transfer| now >= transfer.deadline).collect();
        for ticket in late.into_iter().filter_map(|transfer| transfer.ticket) {
            self.fail(ticket, ClientError::TimeoutLeaderTransfer);
        }
    }

    /// Stops in good order: leadership goes to the voter connected for longest, what is unsynced is synced.
    pub(super) fn stop(&mut self, now: Duration) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Stopping::HandingOver);
        let others = self.members.iter().filter(|m| m.id != self.id && !m.is_learner).map(|m| m.id);
        let skipped = match (self.is_leader(), others.clone().next()) {
            (false, _) => "skipped leadership transfer; local server is not leader",
            (true, None) => "skipped leadership transfer for single voting member cluster",
            (true, Some(_)) => match self.peers.longest_connected(others) {
                Some(target) => return self.start_transfer(None, target, now),
                None => "skipped leadership transfer; no other voter is connected",
            },
        };
        tracing::info!(
            "local-member-id" = %format_args!("{:x}", self.id),
            "current-leader-member-id" = %format_args!("{:x}", self.leader),
            "{skipped}"
        );
    }

    /// The next step of stopping, where the last one is done.
    pub(super) fn advance_stop(&mut self) {
        match self.stopping {
            Some(Stopping::HandingOver) if self.transfers.iter().all(|transfer| transfer.ticket.is_some()) => {
                let hard_state = Some(self.core.hard_state()).filter(|hard_state| hard_state.term > 0);
                self.lazy_hard_state = None;
                self.submit(Batch { hard_state, sync: true, ..Batch::default() }, Vec::new());
                self.stopping = Some(Stopping::Syncing { seq: self.seq });
            }
            Some(Stopping::Syncing { seq }) if self.in_flight.front().is_none_or(|batch| batch.seq() > seq) => {
                self.end(Action::Stopped { removed: false });
            }
            _ => {}
        }
    }

    /// The last action; those who wait are let go before it.
    pub(super) fn end(&mut self, last: Action) {
        if self.has_ended() {
            return;
        }
        self.stopping = Some(Stopping::Stopped);
        let mut waiting = self.reads.drain();
        waiting.extend(std::mem::take(&mut self.batch).into_iter().map(|(proposal, _)| proposal.ticket));
        waiting.extend(self.proposals.drain());
        waiting.extend(self.take_lease_calls().iter().map(|call| call.ticket()));
        waiting.extend(std::mem::take(&mut self.promotions).into_iter().map(|promotion| promotion.ticket()));
        waiting.extend(std::mem::take(&mut self.transfers).into_iter().filter_map(|transfer| transfer.ticket));
        waiting.into_iter().for_each(|ticket| self.fail(ticket, ClientError::Stopped));
        self.actions.push_back(last);
    }

    /// Whether the last action was given.
    pub(super) fn has_ended(&self) -> bool {
        self.stopping == Some(Stopping::Stopped)
    }
}
