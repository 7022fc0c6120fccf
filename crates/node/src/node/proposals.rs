//! Proposals on their way: held back while there is no leader, waiting in the log, or gone to an unknown fate.
//!
//! The applier answers a proposal that is applied. This table only knows which ones may have to be given up: nothing is
//! proposed twice, and giving up says nothing about whether the entry will still be applied.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use proto::raftpb::ConfChange;

use crate::event::{Proposal, Ticket};

/// A proposal that has left.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Where it stands in this leader's log; 0 where another leader has it.
    index: u64,
    ticket: Ticket,
    started: Duration,
}

/// What waits for a leader.
#[derive(Debug)]
pub(super) enum Wish {
    Request(Proposal),
    Change(ConfChange),
}

impl Wish {
    fn ticket(&self) -> Ticket {
        match self {
            Wish::Request(proposal) => proposal.ticket,
            Wish::Change(change) => change.id,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Wish::Request(proposal) => proposal.data.len(),
            Wish::Change(change) => change.context.len(),
        }
    }
}

/// A proposal that waits for a leader.
#[derive(Debug)]
pub(super) struct Held {
    pub wish: Wish,
    pub started: Duration,
}

/// A proposal given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    pub ticket: Ticket,
    pub started: Duration,
    /// It never left this member.
    pub unsent: bool,
}

#[derive(Debug)]
pub(super) struct Proposals {
    timeout: Duration,
    /// Appended by this member as leader, in the order of their indexes and of time.
    appended: VecDeque<Sent>,
    /// Forwarded, or appended under a leadership since lost, or a conf change, which a leader may drop in silence; in the
    /// order of time. Those that are not outstanding any more have been answered.
    unknown: VecDeque<Sent>,
    outstanding: BTreeSet<Ticket>,
    held: VecDeque<Held>,
    held_bytes: usize,
}

impl Proposals {
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            appended: VecDeque::new(),
            unknown: VecDeque::new(),
            outstanding: BTreeSet::new(),
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    pub fn pending(&self) -> usize {
        self.appended.len() + self.outstanding.len() + self.held.len()
    }

    /// How many are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Bytes of the proposals held back.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub fn hold(&mut self, wish: Wish, started: Duration) {
        self.held_bytes += wish.bytes();
        self.held.push_back(Held { wish, started });
    }

    /// Everything held back, oldest first: there is a leader again.
    pub fn release_held(&mut self) -> VecDeque<Held> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// The proposal stands at `index` of this leader's log.
    pub fn appended(&mut self, ticket: Ticket, index: u64, started: Duration) {
        self.appended.push_back(Sent { index, ticket, started });
    }

    /// The proposal went to the leader, who may be another member.
    pub fn forwarded(&mut self, ticket: Ticket, started: Duration) {
        self.outstanding.insert(ticket);
        self.unknown.push_back(Sent { index: 0, ticket, started });
    }

    /// This member leads no more: another leader may overwrite what it appended.
    pub fn leadership_lost(&mut self) {
        self.outstanding.extend(self.appended.iter().map(|sent| sent.ticket));
        self.unknown.extend(self.appended.drain(..));
        self.unknown.make_contiguous().sort_by_key(|sent| sent.started);
    }

    /// Entries up to `index` are applied, among them those of this member with these tickets.
    pub fn applied(&mut self, index: u64, tickets: &[Ticket]) {
        while self.appended.front().is_some_and(|sent| sent.index <= index) {
            self.appended.pop_front();
        }
        if self.outstanding.is_empty() {
            return;
        }
        for ticket in tickets {
            self.outstanding.remove(ticket);
        }
        while self.unknown.front().is_some_and(|sent| !self.outstanding.contains(&sent.ticket)) {
            self.unknown.pop_front();
        }
    }

    /// Takes out what has waited too long.
    pub fn expire(&mut self, now: Duration) -> Vec<GivenUp> {
        let limit = now.checked_sub(self.timeout);
        self.take_out(|started| limit.is_some_and(|limit| started <= limit))
    }

    /// Takes out everything; the member stops.
    pub fn drain(&mut self) -> Vec<Ticket> {
        self.take_out(|_| true).into_iter().map(|given_up| given_up.ticket).collect()
    }

    fn take_out(&mut self, mut late: impl FnMut(Duration) -> bool) -> Vec<GivenUp> {
        let mut out = Vec::new();
        let sent = |sent: &Sent| GivenUp { ticket: sent.ticket, started: sent.started, unsent: false };
        while let Some(next) = self.appended.front().filter(|next| late(next.started)) {
            out.push(sent(next));
            self.appended.pop_front();
        }
        while let Some(next) = self.unknown.front().filter(|next| late(next.started)) {
            if self.outstanding.remove(&next.ticket) {
                out.push(sent(next));
            }
            self.unknown.pop_front();
        }
        while let Some(held) = self.held.pop_front_if(|held| late(held.started)) {
            self.held_bytes -= held.wish.bytes();
            out.push(GivenUp { ticket: held.wish.ticket(), started: held.started, unsent: true });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ProposalKind;

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn the_applied_are_forgotten_and_the_late_are_given_up() {
        let mut proposals = Proposals::new(7 * SEC);
        proposals.appended(1, 10, SEC);
        proposals.appended(2, 11, 2 * SEC);
        proposals.forwarded(3, 3 * SEC);
        proposals.applied(10, &[]);
        assert_eq!(proposals.pending(), 2);
        assert!(proposals.expire(8 * SEC).is_empty());
        assert_eq!(proposals.expire(9 * SEC), [GivenUp { ticket: 2, started: 2 * SEC, unsent: false }]);
        assert_eq!(proposals.expire(20 * SEC), [GivenUp { ticket: 3, started: 3 * SEC, unsent: false }]);
    }

    #[test]
    fn the_forwarded_are_forgotten_by_their_tickets() {
        let mut proposals = Proposals::new(7 * SEC);
        for ticket in 1..=3 {
            proposals.forwarded(ticket, SEC * ticket as u32);
        }
        proposals.applied(10, &[2, 9]);
        assert_eq!(proposals.pending(), 2);
        assert_eq!(proposals.expire(8 * SEC), [GivenUp { ticket: 1, started: SEC, unsent: false }]);
        proposals.applied(11, &[3]);
        assert_eq!((proposals.pending(), proposals.unknown.len()), (0, 0));
        assert!(proposals.expire(99 * SEC).is_empty());
    }

    #[test]
    fn lost_leadership_leaves_only_time_or_the_ticket_to_tell() {
        let mut proposals = Proposals::new(7 * SEC);
        proposals.forwarded(1, 2 * SEC);
        proposals.appended(2, 11, SEC);
        proposals.appended(3, 12, SEC);
        proposals.leadership_lost();
        proposals.applied(12, &[3]);
        assert_eq!(proposals.expire(8 * SEC), [GivenUp { ticket: 2, started: SEC, unsent: false }]);
        assert_eq!(proposals.drain(), [1]);
    }

    #[test]
    fn held_ones_never_left() {
        let mut proposals = Proposals::new(7 * SEC);
        let data = bytes::Bytes::from_static(b"abc");
        proposals.hold(Wish::Request(Proposal { ticket: 5, data, kind: ProposalKind::Client }), SEC);
        assert_eq!(proposals.held_bytes(), 3);
        assert_eq!(proposals.expire(8 * SEC), [GivenUp { ticket: 5, started: SEC, unsent: true }]);
        assert_eq!(proposals.held_bytes(), 0);
    }
}
