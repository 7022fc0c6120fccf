//! Linearizable reads: all who wait at a moment share one round with the leader, and each is let go once this member has
//! applied what the round found committed (facts: peer-protocol, 7.2).

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Ticket;

/// After this time the question of a round is sent again.
const RETRY: Duration = Duration::from_millis(500);

/// A question on its way.
#[derive(Debug)]
struct Round {
    id: u64,
    tickets: Vec<Ticket>,
    started: Duration,
    retry_at: Duration,
    /// The answer is wanted as such: it says that this member leads.
    confirms: bool,
}

/// The answer to a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub took: Duration,
    /// Leadership is confirmed by it, and somebody waits for that.
    pub confirms: bool,
}

#[derive(Debug)]
pub(super) struct Reads {
    timeout: Duration,
    /// Came after the round began.
    waiting: Vec<Ticket>,
    confirmation_wanted: bool,
    round: Option<Round>,
    /// Answered rounds that wait for the applier, by index.
    confirmed: VecDeque<(u64, Vec<Ticket>)>,
}

impl Reads {
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, waiting: Vec::new(), confirmation_wanted: false, round: None, confirmed: VecDeque::new() }
    }

    pub fn add(&mut self, ticket: Ticket) {
        self.waiting.push(ticket);
    }

    /// A round that begins from now on is wanted for its answer alone.
    pub fn want_confirmation(&mut self) {
        self.confirmation_wanted |= self.round.as_ref().is_none_or(|round| !round.confirms);
    }

    /// What is under way says nothing about the time after a pause.
    pub fn void_confirmation(&mut self) {
        if let Some(round) = &mut self.round {
            self.confirmation_wanted |= std::mem::take(&mut round.confirms);
        }
    }

    /// Whether a round should begin.
    pub fn wants_round(&self) -> bool {
        self.round.is_none() && (self.confirmation_wanted || !self.waiting.is_empty())
    }

    /// Begins a round for all who wait.
    pub fn begin(&mut self, id: u64, now: Duration) {
        let tickets = std::mem::take(&mut self.waiting);
        let confirms = std::mem::take(&mut self.confirmation_wanted);
        self.round = Some(Round { id, tickets, started: now, retry_at: now + RETRY, confirms });
    }

    /// The question of the round, if it must be sent again now.
    pub fn retry(&mut self, now: Duration) -> Option<u64> {
        let round = self.round.as_mut().filter(|round| now >= round.retry_at)?;
        round.retry_at = now + RETRY;
        Some(round.id)
    }

    /// The question of the round, if there is one: the leader may have lost it.
    pub fn ask_again(&mut self, now: Duration) -> Option<u64> {
        let round = self.round.as_mut()?;
        round.retry_at = now + RETRY;
        Some(round.id)
    }

    /// The answer to a question; one to another question than the present one is stale.
    pub fn answered(&mut self, id: u64, index: u64, now: Duration) -> Answered {
        if self.round.as_ref().is_some_and(|round| round.id == id)
            && let Some(round) = self.round.take()
        {
            self.confirmed.push_back((index, round.tickets));
            return Answered { took: now.saturating_sub(round.started), confirms: round.confirms };
        }
        Answered::default()
    }

    /// Those whose index is applied, appended to `out`.
    pub fn release(&mut self, applied: u64, out: &mut Vec<Ticket>) {
        while self.confirmed.front().is_some_and(|(index, _)| *index <= applied) {
            let Some((_, tickets)) = self.confirmed.pop_front() else { break };
            if out.is_empty() {
                *out = tickets;
            } else {
                out.extend(tickets);
            }
        }
    }

    /// The leader changed under the round: those who share it must ask anew themselves.
    pub fn fail_round(&mut self) -> Vec<Ticket> {
        self.round.take().map(|round| round.tickets).unwrap_or_default()
    }

    /// The round has taken too long.
    pub fn expire(&mut self, now: Duration) -> Vec<Ticket> {
        match &self.round {
            Some(round) if now >= round.started + self.timeout => self.fail_round(),
            _ => Vec::new(),
        }
    }

    /// Everyone who waits in any way; the member stops.
    pub fn drain(&mut self) -> Vec<Ticket> {
        let mut all = self.fail_round();
        all.append(&mut self.waiting);
        all.extend(self.confirmed.drain(..).flat_map(|(_, tickets)| tickets));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn one_round_for_all_who_wait_and_the_next_for_those_who_come_later() {
        let mut reads = Reads::new(7 * SEC);
        reads.add(1);
        reads.add(2);
        assert!(reads.wants_round());
        reads.begin(100, SEC);
        reads.add(3);
        assert!(!reads.wants_round());
        reads.answered(99, 5, SEC);
        assert!(!reads.wants_round(), "a stale answer");
        reads.answered(100, 5, SEC);
        assert!(reads.wants_round());
        let mut ready = Vec::new();
        reads.release(4, &mut ready);
        assert!(ready.is_empty());
        reads.release(5, &mut ready);
        assert_eq!(ready, [1, 2]);
    }

    #[test]
    fn a_confirmation_is_that_of_a_round_begun_since() {
        let mut reads = Reads::new(7 * SEC);
        reads.add(1);
        reads.begin(100, SEC);
        reads.want_confirmation();
        assert!(!reads.answered(100, 5, SEC).confirms && reads.wants_round());
        reads.begin(101, SEC);
        reads.void_confirmation();
        assert!(!reads.answered(101, 5, SEC).confirms && reads.wants_round());
        reads.begin(102, SEC);
        reads.want_confirmation();
        assert!(reads.answered(102, 5, SEC).confirms && !reads.wants_round());
    }

    #[test]
    fn a_round_is_retried_with_its_id_and_given_up_in_the_end() {
        let mut reads = Reads::new(7 * SEC);
        reads.add(1);
        reads.begin(100, SEC);
        assert_eq!(reads.retry(SEC), None);
        assert_eq!(reads.retry(SEC + RETRY), Some(100));
        assert!(reads.expire(7 * SEC).is_empty());
        assert_eq!(reads.expire(8 * SEC), [1]);
    }
}
