//! When leases end: deadlines on the leader's clock. Which leases exist is the replicated state's to say; how long each
//! still has is the leader's, and a new leader starts every lease anew, longer by one election timeout
//! (facts: errors, 8; peer-protocol, 7.3).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::action::LeaseTime;
use crate::event::LeaseChange;

/// How often the leader looks for ended leases and due checkpoints.
pub(crate) const SCAN_INTERVAL: Duration = Duration::from_millis(500);
/// Leases revoked per second at most.
const REVOKES_PER_SEC: usize = 1000;
/// Leases revoked per scan at most.
const REVOKES_PER_SCAN: usize = REVOKES_PER_SEC / 2;
/// After this time a revocation that has not come back is proposed again.
const REVOKE_RETRY: Duration = Duration::from_secs(3);
/// Leases per checkpoint entry at most.
pub(crate) const CHECKPOINTS_PER_ENTRY: usize = 1000;
/// After a change of leader, ends are spread so that at most this many fall into one second.
const ENDS_PER_SEC_AFTER_PROMOTION: usize = REVOKES_PER_SEC * 3 / 4;

/// Why a lease can't be renewed here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenewError {
    /// This member is not the leader.
    NotPrimary,
    NotFound,
    /// The lease has ended and its revocation is on the way.
    Expired,
}

/// A renewal that took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renewed {
    pub ttl_secs: i64,
    /// A remaining time is recorded in the log, or about to be, and no longer holds: a checkpoint of 0 is due.
    pub clear_checkpoint: bool,
}

#[derive(Debug)]
struct Lease {
    ttl_secs: i64,
    /// The recorded remaining time; 0 where there is none.
    remaining_secs: i64,
    /// The remaining time is on its way into the log.
    checkpointing: bool,
    /// `None` while this member is not the leader.
    ends: Option<Duration>,
    /// When its queue entry is due; older queue entries are void.
    queued_for: Duration,
    /// Its revocation stands in this leader's log, no further than here; 0 where none does.
    revocation_index: u64,
}

/// The deadlines of all leases. Only a primary (the leader) has deadlines.
#[derive(Debug)]
pub(crate) struct Lessor {
    leases: BTreeMap<i64, Lease>,
    ends: BinaryHeap<Reverse<(Duration, i64)>>,
    checkpoints: BinaryHeap<Reverse<(Duration, i64)>>,
    checkpoint_interval: Option<Duration>,
    primary: bool,
}

fn secs(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

impl Lessor {
    /// `checkpoint_interval` where remaining times are to be recorded.
    pub fn new(checkpoint_interval: Option<Duration>) -> Self {
        Self {
            leases: BTreeMap::new(),
            ends: BinaryHeap::new(),
            checkpoints: BinaryHeap::new(),
            checkpoint_interval,
            primary: false,
        }
    }

    /// Whether the interval of checkpoints is known, that is, whether they are made at all.
    pub fn set_checkpoint_interval(&mut self, interval: Option<Duration>) {
        self.checkpoint_interval = interval;
    }

    /// Forgets everything and takes these leases instead: the state was replaced by a snapshot.
    pub fn reset(&mut self, changes: &[LeaseChange], now: Duration) {
        self.leases.clear();
        self.ends.clear();
        self.checkpoints.clear();
        for change in changes {
            self.apply(*change, now);
        }
    }

    /// Follows a change of the replicated state.
    pub fn apply(&mut self, change: LeaseChange, now: Duration) {
        match change {
            LeaseChange::Granted { id, ttl_secs } => {
                let (ends, queued_for) = (None, Duration::MAX);
                let lease =
                    Lease { ttl_secs, remaining_secs: 0, checkpointing: false, ends, queued_for, revocation_index: 0 };
                self.leases.insert(id, lease);
                if self.primary {
                    self.start(id, now, Duration::ZERO);
                }
            }
            LeaseChange::Revoked { id } => {
                self.leases.remove(&id);
            }
            LeaseChange::Checkpointed { id, remaining_secs } => {
                if let Some(lease) = self.leases.get_mut(&id) {
                    lease.remaining_secs = remaining_secs;
                    lease.checkpointing = false;
                    if self.primary {
                        self.queue_checkpoint(id, now);
                    }
                }
            }
        }
    }

    /// This member leads now: every lease starts anew with its recorded remaining time or its whole TTL, and `extend`.
    pub fn promote(&mut self, extend: Duration, now: Duration) {
        self.primary = true;
        self.ends.clear();
        self.checkpoints.clear();
        let ids: Vec<i64> = self.leases.keys().copied().collect();
        for id in ids {
            self.start(id, now, extend);
        }
        self.spread(now);
    }

    /// This member leads no more: no lease ends here.
    pub fn demote(&mut self) {
        self.primary = false;
        self.ends.clear();
        self.checkpoints.clear();
        for lease in self.leases.values_mut() {
            lease.ends = None;
        }
    }

    pub fn is_primary(&self) -> bool {
        self.primary
    }

    pub fn knows(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// Starts the lease anew with its whole TTL.
    pub fn renew(&mut self, id: i64, now: Duration) -> Result<Renewed, RenewError> {
        if !self.primary {
            return Err(RenewError::NotPrimary);
        }
        let lease = self.leases.get_mut(&id).ok_or(RenewError::NotFound)?;
        if lease.ends.is_some_and(|ends| ends <= now) {
            return Err(RenewError::Expired);
        }
        // Also where no checkpoints are made here: another leader made this one, and the next would start from it.
        let clear_checkpoint = lease.remaining_secs > 0 || lease.checkpointing;
        lease.remaining_secs = 0;
        lease.checkpointing = false;
        let ttl_secs = lease.ttl_secs;
        self.start(id, now, Duration::ZERO);
        Ok(Renewed { ttl_secs, clear_checkpoint })
    }

    /// The whole seconds left, 0 or below once it has ended. `None` for an unknown lease or on a member not leading.
    pub fn time_left(&self, id: i64, now: Duration) -> Option<LeaseTime> {
        let lease = self.leases.get(&id)?;
        let ends = lease.ends?;
        let left_secs = match ends.checked_sub(now) {
            Some(left) => left.as_secs() as i64,
            None => -((now - ends).as_secs() as i64),
        };
        Some(LeaseTime { left_secs, granted_secs: lease.ttl_secs })
    }

    /// All leases; on the leader those that end first come first.
    pub fn by_time_left(&self) -> Vec<i64> {
        let mut all: Vec<(Option<Duration>, i64)> = self.leases.iter().map(|(id, l)| (l.ends, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// Leases that have ended and whose revocation is to be proposed now. One that is under way is not repeated before the
    /// applier has passed it: the second would hit a lease that was granted anew under the same id in between.
    pub fn expired(&mut self, now: Duration, applied_index: u64) -> Vec<i64> {
        let mut due = Vec::new();
        while due.len() < REVOKES_PER_SCAN {
            let Some(Reverse((at, id))) = self.ends.peek().copied() else { break };
            if at > now {
                break;
            }
            self.ends.pop();
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            // A renewal leaves its old queue entry behind; the entry that counts is the one the lease names.
            if lease.queued_for != at || lease.ends.is_none_or(|ends| ends > now) {
                continue;
            }
            if lease.revocation_index <= applied_index {
                due.push(id);
            }
            lease.queued_for = now + REVOKE_RETRY;
            self.ends.push(Reverse((lease.queued_for, id)));
        }
        due
    }

    /// The revocations of these leases stand in this leader's log, no further than at `index`.
    pub fn revoking(&mut self, ids: &[i64], index: u64) {
        for id in ids {
            if let Some(lease) = self.leases.get_mut(id) {
                lease.revocation_index = index;
            }
        }
    }

    /// Leases whose remaining time is to be recorded now, with that time in seconds; at most one entry full.
    pub fn due_checkpoints(&mut self, now: Duration) -> Vec<(i64, i64)> {
        let mut due = Vec::new();
        while due.len() < CHECKPOINTS_PER_ENTRY {
            let Some(Reverse((at, id))) = self.checkpoints.peek().copied() else { break };
            if at > now {
                break;
            }
            self.checkpoints.pop();
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            let Some(left) = lease.ends.and_then(|ends| ends.checked_sub(now)) else { continue };
            let remaining_secs = left.as_secs_f64().ceil() as i64;
            if remaining_secs < lease.ttl_secs && remaining_secs > 0 {
                due.push((id, remaining_secs));
                lease.checkpointing = true;
            } else {
                self.queue_checkpoint(id, now);
            }
        }
        due
    }

    fn start(&mut self, id: i64, now: Duration, extend: Duration) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let length = if lease.remaining_secs > 0 { lease.remaining_secs } else { lease.ttl_secs };
        let ends = now.saturating_add(secs(length)).saturating_add(extend);
        lease.ends = Some(ends);
        lease.queued_for = ends;
        lease.revocation_index = 0;
        self.ends.push(Reverse((ends, id)));
        self.queue_checkpoint(id, now);
        self.drop_void_queue_entries();
    }

    fn queue_checkpoint(&mut self, id: i64, now: Duration) {
        let (Some(interval), Some(lease)) = (self.checkpoint_interval, self.leases.get(&id)) else { return };
        let length = if lease.remaining_secs > 0 { lease.remaining_secs } else { lease.ttl_secs };
        if secs(length) > interval {
            self.checkpoints.push(Reverse((now + interval, id)));
        }
    }

    /// Renewals leave void entries behind; once they outnumber the leases by far the queue is made anew.
    fn drop_void_queue_entries(&mut self) {
        if self.ends.len() > 64 + 4 * self.leases.len() {
            self.ends = self
                .leases
                .iter()
                .filter(|(_, l)| l.ends.is_some())
                .map(|(id, l)| Reverse((l.queued_for, *id)))
                .collect();
        }
        if self.checkpoints.len() > 64 + 4 * self.leases.len() {
            let mut seen = std::collections::BTreeSet::new();
            let mut newest_first: Vec<_> = std::mem::take(&mut self.checkpoints).into_vec();
            newest_first.sort_unstable();
            self.checkpoints = newest_first.into_iter().rev().filter(|Reverse((_, id))| seen.insert(*id)).collect();
        }
    }

    /// Many leases started at one moment must not end at one moment.
    fn spread(&mut self, now: Duration) {
        if self.leases.len() < REVOKES_PER_SEC {
            return;
        }
        let mut by_end: Vec<(Duration, i64)> = self.leases.iter().filter_map(|(id, l)| Some((l.ends?, *id))).collect();
        by_end.sort_unstable();
        let (mut second, mut count) = (now.as_secs(), 0);
        self.ends.clear();
        for (ends, id) in by_end {
            if ends.as_secs() > second {
                (second, count) = (ends.as_secs(), 0);
            }
            let moved = if count >= ENDS_PER_SEC_AFTER_PROMOTION {
                (second, count) = (second + 1, 0);
                Duration::from_secs(second).max(ends)
            } else {
                Duration::from_secs(second).max(ends)
            };
            count += 1;
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.ends = Some(moved);
                lease.queued_for = moved;
            }
            self.ends.push(Reverse((moved, id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn granted(id: i64, ttl_secs: i64) -> LeaseChange {
        LeaseChange::Granted { id, ttl_secs }
    }

    #[test]
    fn only_a_primary_lets_leases_end() {
        let mut lessor = Lessor::new(None);
        lessor.apply(granted(1, 5), at(0));
        assert!(lessor.expired(at(100), 0).is_empty());
        assert_eq!(lessor.renew(1, at(100)), Err(RenewError::NotPrimary));
        lessor.promote(at(1), at(100));
        assert_eq!(lessor.time_left(1, at(100)), Some(LeaseTime { left_secs: 6, granted_secs: 5 }));
        assert!(lessor.expired(at(105), 0).is_empty());
        assert_eq!(lessor.expired(at(106), 0), [1]);
        assert_eq!(lessor.renew(1, at(106)), Err(RenewError::Expired));
        lessor.demote();
        assert!(lessor.expired(at(300), 0).is_empty());
    }

    #[test]
    fn renewal_moves_the_end_and_revocation_is_retried() {
        let mut lessor = Lessor::new(None);
        lessor.promote(at(0), at(0));
        lessor.apply(granted(7, 10), at(0));
        assert_eq!(lessor.renew(7, at(8)), Ok(Renewed { ttl_secs: 10, clear_checkpoint: false }));
        assert!(lessor.expired(at(10), 0).is_empty());
        assert_eq!(lessor.expired(at(18), 0), [7]);
        assert!(lessor.expired(at(19), 0).is_empty());
        assert_eq!(lessor.expired(at(21), 0), [7]);
        lessor.apply(LeaseChange::Revoked { id: 7 }, at(21));
        assert!(lessor.expired(at(99), 0).is_empty());
        assert_eq!(lessor.renew(7, at(22)), Err(RenewError::NotFound));
    }

    #[test]
    fn at_most_a_thousand_a_second() {
        let mut lessor = Lessor::new(None);
        lessor.promote(at(0), at(0));
        for id in 1..=1200 {
            lessor.apply(granted(id, 2), at(0));
        }
        assert_eq!(lessor.expired(at(2), 0).len(), 500);
        assert_eq!(lessor.expired(at(2) + SCAN_INTERVAL, 0).len(), 500);
        assert_eq!(lessor.expired(at(3), 0).len(), 200);
    }

    #[test]
    fn a_promotion_spreads_the_ends() {
        let mut lessor = Lessor::new(None);
        for id in 1..=2000 {
            lessor.apply(granted(id, 10), at(0));
        }
        lessor.promote(at(1), at(0));
        let ends = |s: u64| (1..=2000).filter(|id| lessor.time_left(*id, at(0)).unwrap().left_secs as u64 == s).count();
        assert_eq!((ends(11), ends(12), ends(13)), (750, 750, 500));
    }

    #[test]
    fn checkpoints_come_every_interval_and_carry_over() {
        let mut lessor = Lessor::new(Some(at(300)));
        lessor.promote(at(0), at(0));
        lessor.apply(granted(1, 1000), at(0));
        lessor.apply(granted(2, 100), at(0));
        assert!(lessor.due_checkpoints(at(299)).is_empty());
        assert_eq!(lessor.due_checkpoints(at(300)), [(1, 700)]);
        lessor.apply(LeaseChange::Checkpointed { id: 1, remaining_secs: 700 }, at(300));
        assert_eq!(lessor.due_checkpoints(at(600)), [(1, 400)]);
        lessor.apply(LeaseChange::Checkpointed { id: 1, remaining_secs: 400 }, at(600));
        lessor.demote();
        lessor.promote(at(1), at(610));
        assert_eq!(lessor.time_left(1, at(610)).unwrap().left_secs, 401);
        assert!(lessor.renew(1, at(611)).unwrap().clear_checkpoint);
        assert_eq!(lessor.time_left(1, at(611)).unwrap().left_secs, 1000);
        assert!(!lessor.renew(1, at(612)).unwrap().clear_checkpoint);
    }

    #[test]
    fn a_revocation_under_way_is_not_repeated() {
        let mut lessor = Lessor::new(None);
        lessor.promote(at(0), at(0));
        lessor.apply(granted(7, 5), at(0));
        assert_eq!(lessor.expired(at(5), 40), [7]);
        lessor.revoking(&[7], 42);
        assert!(lessor.expired(at(8), 41).is_empty());
        // It was passed, and the lease is still there: it was refused.
        assert_eq!(lessor.expired(at(11), 42), [7]);
        // Another leader knows nothing of it.
        lessor.revoking(&[7], 50);
        lessor.demote();
        lessor.promote(at(1), at(12));
        assert_eq!(lessor.expired(at(18), 42), [7]);
    }

    /// It would shorten the renewed lease under the next leader.
    #[test]
    fn a_checkpoint_under_way_is_cleared_behind_itself() {
        let mut lessor = Lessor::new(Some(at(300)));
        lessor.promote(at(0), at(0));
        lessor.apply(granted(1, 1000), at(0));
        assert_eq!(lessor.due_checkpoints(at(300)), [(1, 700)]);
        assert!(lessor.renew(1, at(301)).unwrap().clear_checkpoint);
    }

    #[test]
    fn a_checkpoint_of_others_is_cleared_even_where_none_are_made() {
        let mut lessor = Lessor::new(None);
        lessor.apply(granted(1, 1000), at(0));
        lessor.apply(LeaseChange::Checkpointed { id: 1, remaining_secs: 50 }, at(0));
        lessor.promote(at(1), at(0));
        assert_eq!(lessor.time_left(1, at(0)), Some(LeaseTime { left_secs: 51, granted_secs: 1000 }));
        assert_eq!(lessor.renew(1, at(1)), Ok(Renewed { ttl_secs: 1000, clear_checkpoint: true }));
        assert_eq!(lessor.time_left(1, at(1)).unwrap().left_secs, 1000);
    }
}
