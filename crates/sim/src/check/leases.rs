//! Leases end neither early nor never, and only by the word of the leader of the moment.
//!
//! Who may revoke: a client, or the leader in whose term the entry stands. When: not before the time that the last grant
//! or answered keep-alive promised, by the fastest clock there is. True time everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A leader that was deposed by a transfer and does not know it yet may still answer a keep-alive for so long; the next
/// leader gives every lease one election timeout on top, which covers the rest.
const STALE_LEADER: Duration = Duration::from_millis(1500);
/// Between the end of a lease and its revocation: rounds, repeats of what was lost, changes of leader.
const REVOKED_WITHIN: Duration = Duration::from_secs(15);

/// A lease that exists.
#[derive(Clone, Copy, Debug)]
struct Promise {
    ttl_secs: i64,
    granted: Duration,
    /// Not to be revoked for its age before this.
    not_before: Duration,
    /// When something last gave it its whole time.
    renewed: Duration,
}

/// What was promised of leases.
#[derive(Debug, Default)]
pub struct LeaseCheck {
    leases: BTreeMap<i64, Promise>,
    /// Requests of clients to revoke.
    by_clients: BTreeSet<u64>,
    clock_permille_max: u32,
    pub expired: u64,
    pub renewed: u64,
}

impl LeaseCheck {
    /// Clocks run at most so many thousandths fast.
    pub fn new(drift_permille: u64) -> Self {
        let drift = u32::try_from(drift_permille).expect("a drift in thousandths");
        Self { clock_permille_max: 1000 + drift, ..Self::default() }
    }

    fn length(&self, ttl_secs: i64) -> Duration {
        Duration::from_secs(ttl_secs as u64) * 1000 / self.clock_permille_max
    }

    /// A client has asked for a revocation.
    pub fn client_revokes(&mut self, request: u64) {
        self.by_clients.insert(request);
    }

    /// The first member has applied a grant.
    pub fn granted(&mut self, id: i64, ttl_secs: i64, now: Duration) {
        let not_before = now + self.length(ttl_secs);
        self.leases.insert(id, Promise { ttl_secs, granted: now, not_before, renewed: now });
    }

    /// A client has its keep-alive answered; the leader looked at its clock now.
    pub fn kept_alive(&mut self, id: i64, answered_ttl_secs: i64, now: Duration) {
        let Some(ttl_secs) = self.leases.get(&id).map(|promise| promise.ttl_secs) else { return };
        assert_eq!(answered_ttl_secs, ttl_secs, "lease {id} was given another time than it was granted");
        let not_before = now + self.length(ttl_secs).saturating_sub(STALE_LEADER);
        if let Some(promise) = self.leases.get_mut(&id) {
            promise.not_before = promise.not_before.max(not_before);
            promise.renewed = now;
            self.renewed += 1;
        }
    }

    /// The first member has applied a revocation, which stood in a log first at `proposed`, in the term of `leader`.
    pub fn revoked(&mut self, id: i64, request: u64, proposed: Duration, leader: Option<u64>) {
        let Some(promise) = self.leases.remove(&id) else { return };
        if self.by_clients.remove(&request) {
            return;
        }
        self.expired += 1;
        if let Some(leader) = leader {
            assert_eq!(request >> 48, leader & 0xffff, "lease {id} was revoked by another than the leader {leader:x}");
        }
        // A revocation that is repeated while the first one is on its way may meet a lease that was granted anew under the
        // same id in between, as in etcd.
        if proposed < promise.granted {
            return;
        }
        assert!(
            proposed >= promise.not_before,
            "lease {id} was revoked at {proposed:?}, and was promised to live until {:?}: {promise:?}",
            promise.not_before
        );
    }

    /// A quiet end: whatever lives has been renewed, or the leader is too new to end it.
    pub fn ended(&self, now: Duration, leader_since: Duration, clock_permille_min: u64) {
        let slowest = u32::try_from(clock_permille_min).expect("a rate in thousandths").max(1);
        for (id, promise) in &self.leases {
            let length = Duration::from_secs(promise.ttl_secs as u64) * 1000 / slowest;
            let latest = promise.renewed.max(leader_since) + length + REVOKED_WITHIN;
            assert!(now < latest, "lease {id} ought to have ended by {latest:?}, now is {now:?}: {promise:?}");
        }
    }
}
