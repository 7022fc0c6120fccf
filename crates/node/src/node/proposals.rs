//! Proposals on their way: held back while there is no leader, waiting in the log, or gone to an unknown fate.
//!
//! The applier answers a proposal that is applied. This table only knows which ones may have to be given up: nothing is
//! proposed twice, and giving up says nothing about whether the entry will still be applied.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::{Proposal, Ticket};

/// A proposal that has left.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Where it stands in this leader's log; 0 where another leader has it.
    index: u64,
    ticket: Ticket,
    started: Duration,
}

/// A proposal that waits for a leader.
#[derive(Debug)]
pub(super) struct Held {
    pub proposal: Proposal,
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
    /// Forwarded, or appended under a leadership since lost; in the order of time.
    unknown: VecDeque<Sent>,
    held: VecDeque<Held>,
    held_bytes: usize,
}

impl Proposals {
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, appended: VecDeque::new(), unknown: VecDeque::new(), held: VecDeque::new(), held_bytes: 0 }
    }

    pub fn pending(&self) -> usize {
        self.appended.len() + self.unknown.len() + self.held.len()
    }

    /// Bytes of the proposals held back.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub fn hold(&mut self, proposal: Proposal, now: Duration) {
        self.held_bytes += proposal.data.len();
        self.held.push_back(Held { proposal, started: now });
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
        self.unknown.push_back(Sent { index: 0, ticket, started });
    }

    /// This member leads no more: another leader may overwrite what it appended.
    pub fn leadership_lost(&mut self) {
        self.unknown.extend(self.appended.drain(..));
        self.unknown.make_contiguous().sort_by_key(|sent| sent.started);
    }

    /// Entries up to `index` are applied, by a member that still leads: their proposals are answered.
    pub fn applied(&mut self, index: u64) {
        while self.appended.front().is_some_and(|sent| sent.index <= index) {
            self.appended.pop_front();
        }
    }

    /// Takes out what has waited too long.
    pub fn expire(&mut self, now: Duration) -> Vec<GivenUp> {
        let mut out = Vec::new();
        for queue in [&mut self.appended, &mut self.unknown] {
            while let Some(sent) = queue.front().copied().filter(|sent| now >= sent.started + self.timeout) {
                queue.pop_front();
                out.push(GivenUp { ticket: sent.ticket, started: sent.started, unsent: false });
            }
        }
        while self.held.front().is_some_and(|held| now >= held.started + self.timeout) {
            let Some(held) = self.held.pop_front() else { break };
            self.held_bytes -= held.proposal.data.len();
            out.push(GivenUp { ticket: held.proposal.ticket, started: held.started, unsent: true });
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
        proposals.applied(10);
        assert_eq!(proposals.pending(), 2);
        assert!(proposals.expire(8 * SEC).is_empty());
        assert_eq!(proposals.expire(9 * SEC), [GivenUp { ticket: 2, started: 2 * SEC, unsent: false }]);
        assert_eq!(proposals.expire(20 * SEC), [GivenUp { ticket: 3, started: 3 * SEC, unsent: false }]);
    }

    #[test]
    fn lost_leadership_leaves_only_time_to_tell() {
        let mut proposals = Proposals::new(7 * SEC);
        proposals.forwarded(1, 2 * SEC);
        proposals.appended(2, 11, SEC);
        proposals.leadership_lost();
        proposals.applied(11);
        assert_eq!(proposals.expire(8 * SEC), [GivenUp { ticket: 2, started: SEC, unsent: false }]);
    }

    #[test]
    fn held_ones_never_left() {
        let mut proposals = Proposals::new(7 * SEC);
        let data = bytes::Bytes::from_static(b"abc");
        proposals.hold(Proposal { ticket: 5, data, kind: ProposalKind::Client }, SEC);
        assert_eq!(proposals.held_bytes(), 3);
        assert_eq!(proposals.expire(8 * SEC), [GivenUp { ticket: 5, started: SEC, unsent: true }]);
        assert_eq!(proposals.held_bytes(), 0);
    }
}
