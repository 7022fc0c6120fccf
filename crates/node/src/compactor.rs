//! Compaction by itself, by time or by number of revisions. A leader's duty: other members only watch the revisions go by.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::AutoCompaction;

/// A periodic compactor compacts this often, unless its period is shorter.
const PERIODIC_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// It looks ten times per interval.
const LOOKS_PER_INTERVAL: u32 = 10;
/// How often a compactor by revision looks.
const REVISION_INTERVAL: Duration = Duration::from_secs(300);

/// Says when to compact to which revision.
#[derive(Debug)]
pub(crate) struct Compactor {
    mode: AutoCompaction,
    next_look: Duration,
    /// Revisions at the last looks, oldest first: as many as the period has.
    seen: VecDeque<i64>,
    last_success: Duration,
    compacted_once: bool,
    last_revision: i64,
    /// A compaction that was proposed and not answered yet.
    proposed: Option<i64>,
}

impl Compactor {
    /// `revision` is the store's at the start.
    pub fn new(mode: AutoCompaction, now: Duration, revision: i64) -> Self {
        let mut compactor = Self {
            mode,
            next_look: Duration::MAX,
            seen: VecDeque::new(),
            last_success: now,
            compacted_once: false,
            last_revision: 0,
            proposed: None,
        };
        if let Some(every) = compactor.look_every() {
            compactor.next_look = now + every;
            compactor.seen.push_back(revision);
        }
        compactor
    }

    /// When to call [`Self::look`] next.
    pub fn next_look(&self) -> Duration {
        self.next_look
    }

    /// The revision to compact to, if one is due. `active` on the leader.
    pub fn look(&mut self, now: Duration, revision: i64, active: bool) -> Option<i64> {
        let every = self.look_every()?;
        if now < self.next_look {
            return None;
        }
        self.next_look = now + every;
        let target = match self.mode {
            AutoCompaction::Off => None,
            AutoCompaction::Periodic(period) => self.periodic_target(period, now),
            AutoCompaction::Revision(keep) => Some(revision - keep).filter(|target| *target > 0),
        };
        self.remember(revision);
        target.filter(|target| active && *target != self.last_revision)
    }

    /// A compaction to this revision was proposed.
    pub fn proposed(&mut self, revision: i64) {
        self.proposed = Some(revision);
    }

    /// The store has been compacted at least to this revision: the proposal succeeded, or another was ahead of it.
    pub fn compacted(&mut self, revision: i64, now: Duration) {
        let Some(target) = self.proposed.filter(|target| *target <= revision) else { return };
        self.proposed = None;
        self.last_revision = target;
        self.last_success = now;
        self.compacted_once = true;
    }

    fn periodic_target(&self, period: Duration, now: Duration) -> Option<i64> {
        let wait = if self.compacted_once { interval(period) } else { period };
        if now.saturating_sub(self.last_success) < wait { None } else { self.seen.front().copied() }
    }

    fn look_every(&self) -> Option<Duration> {
        match self.mode {
            AutoCompaction::Off => None,
            AutoCompaction::Periodic(period) => {
                Some((interval(period) / LOOKS_PER_INTERVAL).max(Duration::from_nanos(1)))
            }
            AutoCompaction::Revision(_) => Some(REVISION_INTERVAL),
        }
    }

    fn remember(&mut self, revision: i64) {
        let (AutoCompaction::Periodic(period), Some(every)) = (self.mode, self.look_every()) else { return };
        let looks_per_period = usize::try_from(period.as_nanos() / every.as_nanos()).unwrap_or(usize::MAX);
        self.seen.push_back(revision);
        while self.seen.len() > looks_per_period.saturating_add(1) {
            self.seen.pop_front();
        }
    }
}

fn interval(period: Duration) -> Duration {
    period.min(PERIODIC_INTERVAL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Runs a compactor for some minutes over a store whose revision is the minute plus one; gives (minute, target) pairs.
    fn run(mode: AutoCompaction, minutes: u32) -> Vec<(u32, i64)> {
        let mut compactor = Compactor::new(mode, Duration::ZERO, 1);
        let mut out = Vec::new();
        for minute in 1..=minutes {
            let now = MINUTE * minute;
            if let Some(target) = compactor.look(now, i64::from(minute) + 1, true) {
                compactor.proposed(target);
                compactor.compacted(target, now);
                out.push((minute, target));
            }
        }
        out
    }

    /// The revision compacted to is that of one look before the period began, as in etcd.
    #[test]
    fn seventy_two_hours_first_after_them_then_hourly() {
        let hour = Duration::from_secs(3600);
        let got = run(AutoCompaction::Periodic(72 * hour), 75 * 60);
        assert_eq!(got, [(72 * 60, 1), (73 * 60, 55), (74 * 60, 115), (75 * 60, 175)]);
    }

    #[test]
    fn half_an_hour_every_half_hour() {
        assert_eq!(run(AutoCompaction::Periodic(30 * MINUTE), 120), [(30, 1), (60, 28), (90, 58), (120, 88)]);
    }

    #[test]
    fn a_thousand_revisions_every_five_minutes() {
        let mut compactor = Compactor::new(AutoCompaction::Revision(1000), Duration::ZERO, 1);
        assert_eq!(compactor.look(4 * MINUTE, 5000, true), None);
        assert_eq!(compactor.look(5 * MINUTE, 900, true), None);
        assert_eq!(compactor.look(10 * MINUTE, 1000, true), None);
        assert_eq!(compactor.look(15 * MINUTE, 1500, true), Some(500));
        compactor.proposed(500);
        compactor.compacted(500, 15 * MINUTE);
        assert_eq!(compactor.look(20 * MINUTE, 1500, true), None, "nothing new");
        assert_eq!(compactor.look(25 * MINUTE, 1600, false), None, "not the leader");
        assert_eq!(compactor.look(30 * MINUTE, 1600, true), Some(600));
    }

    #[test]
    fn a_failed_compaction_is_tried_again_at_the_next_look() {
        let mut compactor = Compactor::new(AutoCompaction::Periodic(10 * MINUTE), Duration::ZERO, 1);
        for minute in 1..10 {
            assert_eq!(compactor.look(MINUTE * minute, 50, true), None);
        }
        assert_eq!(compactor.look(MINUTE * 10, 60, true), Some(1));
        compactor.proposed(1);
        assert_eq!(compactor.look(MINUTE * 11, 70, true), Some(1));
        assert_eq!(compactor.look(MINUTE * 12, 80, true), Some(50));
    }
}
