//! What the clock asks for.

use std::time::Duration;

use proto::errors::ClientError;

use super::{Node, versions};
use crate::action::Action;
use crate::config::Config;
use crate::event::{Now, ProposalKind};
use crate::{lessor, requests};

/// How often everything but ticks is looked at; deadlines are kept within this.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// How often the v2 tree is told the time while it holds keys with a TTL.
const V2_SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// A removed member stays this long, so that its last messages leave.
const REMOVED_LINGER: Duration = Duration::from_secs(1);

/// How long after its start a member hastens its first election.
const HASTE_WINDOW: Duration = Duration::from_secs(5);

/// When what is due.
#[derive(Debug)]
pub(super) struct Timers {
    tick: Duration,
    housekeeping: Duration,
    lease_scan: Duration,
    versions: Duration,
    downgrade: Duration,
    v2_sync: Duration,
    purge: Duration,
    removed_stop: Option<Duration>,
    /// Until then the first election may be hastened, once.
    haste_until: Option<Duration>,
}

impl Timers {
    pub fn new(config: &Config, now: Duration) -> Self {
        Self {
            tick: now + config.heartbeat,
            housekeeping: now + HOUSEKEEPING,
            lease_scan: now + lessor::SCAN_INTERVAL,
            versions: now + versions::CHECK_INTERVAL,
            downgrade: now + config.downgrade_check_interval,
            v2_sync: now + V2_SYNC_INTERVAL,
            purge: now + config.purge_interval,
            removed_stop: None,
            haste_until: config.initial_election_tick_advance.then_some(now + HASTE_WINDOW),
        }
    }

    pub fn check_versions_now(&mut self) {
        self.versions = Duration::ZERO;
        self.housekeeping = Duration::ZERO;
    }

    pub fn stop_removed(&mut self, now: Duration) {
        self.removed_stop = Some(now + REMOVED_LINGER);
    }
}

/// Whether a timer is due, and if so when next; rounds missed in a pause are not made up for.
fn due(timer: &mut Duration, now: Duration, interval: Duration) -> bool {
    if now < *timer {
        return false;
    }
    *timer = if now >= *timer + interval { now + interval } else { *timer + interval };
    true
}

impl Node {
    /// When [`Self::wake`] wants to be called at the latest; never, once the last action was given.
    pub fn next_wakeup(&self) -> Duration {
        if self.has_ended() {
            return Duration::MAX;
        }
        self.timers.tick.min(self.timers.housekeeping)
    }

    /// Does what time asks for: ticks, expiries, time-outs. [`Self::flush`] is to follow.
    pub fn wake(&mut self, now: Now) {
        if self.has_ended() {
            return;
        }
        let at = now.monotonic;
        self.note_time(at);
        if due(&mut self.timers.tick, at, self.config.heartbeat) {
            self.core.tick();
        }
        if due(&mut self.timers.housekeeping, at, HOUSEKEEPING) {
            self.keep_house(now);
        }
    }

    fn keep_house(&mut self, now: Now) {
        let at = now.monotonic;
        if due(&mut self.timers.lease_scan, at, lessor::SCAN_INTERVAL) {
            self.scan_leases(at);
        }
        if due(&mut self.timers.versions, at, versions::CHECK_INTERVAL) {
            self.check_versions(at);
        }
        let downgrade_check = self.config.downgrade_check_interval;
        if !downgrade_check.is_zero() && due(&mut self.timers.downgrade, at, downgrade_check) {
            self.check_downgrade(at);
        }
        if due(&mut self.timers.v2_sync, at, V2_SYNC_INTERVAL) {
            self.sync_v2(now);
        }
        if due(&mut self.timers.purge, at, self.config.purge_interval) {
            self.actions.push_back(Action::Purge);
        }
        self.look_at_compaction(at);
        self.give_up_the_late(at);
        self.expire_transfers(at);
        self.mind_the_disk(at);
        self.send_held_snapshots(at);
        self.check_promotions(at);
        self.answer_lease_calls(at);
        self.mind_unsure_calls(at);
        self.publish(at);
        if self.timers.removed_stop.is_some_and(|stop| at >= stop) {
            self.timers.removed_stop = None;
            self.end(Action::Stopped { removed: true });
        }
    }

    fn give_up_the_late(&mut self, now: Duration) {
        for late in self.proposals.expire(now) {
            self.counters.proposals_failed += 1;
            let error =
                if late.unsent { ClientError::ContextDeadlineExceeded } else { self.lateness(late.started, now) };
            self.fail(late.ticket, error);
        }
        if let Some(id) = self.reads.retry(now) {
            self.core.read_index(id);
        }
        for ticket in self.reads.expire(now) {
            self.counters.reads_slow += 1;
            self.fail(ticket, ClientError::Timeout);
        }
    }

    /// Why a proposal that started then was not applied in time, as far as can be told.
    fn lateness(&self, started: Duration, now: Duration) -> ClientError {
        let leader_lost = self.leader_since.saturating_sub(self.config.election * 2);
        if self.had_leader && started > leader_lost && started < self.leader_since {
            return ClientError::TimeoutDueToLeaderFail;
        }
        let connected = |peer: u64| self.peers.connected_since(peer, started);
        let lost = if self.leader == self.id {
            let voters = self.members.iter().filter(|member| !member.is_learner);
            let (all, up) = voters.fold((0, 0), |(all, up), member| {
                (all + 1, up + usize::from(member.id == self.id || connected(member.id)))
            });
            up < all / 2 + 1
        } else {
            self.leader != 0 && !connected(self.leader)
        };
        debug_assert!(started <= now, "a request can't start after now");
        if lost { ClientError::TimeoutDueToConnectionLost } else { ClientError::Timeout }
    }

    /// From 3.6 on no member takes requests of v2 any more, and what is in the tree stays.
    fn sync_v2(&mut self, now: Now) {
        if self.leads_indeed() && self.applied.v2_ttl_keys && requests::in_v2_form(self.form_version()) {
            let ticket = self.ids.next();
            let nanos = i64::try_from(now.unix_millis).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            let request = (ticket, requests::v2_sync(ticket, nanos));
            self.propose_as_leader(vec![request], ProposalKind::Client, now.monotonic);
        }
    }

    /// A member whose peers are up need not wait a whole election timeout from its start
    /// (facts: peer-protocol, 6, start-up haste).
    pub(super) fn peer_activity(&mut self, peer: u64, connected: bool, now: Duration) {
        self.peers.set(peer, connected, now);
        let young = self.timers.haste_until.is_some_and(|until| now <= until);
        if young && self.leader == 0 && self.peers.active() > 1 {
            self.timers.haste_until = None;
            let election_ticks = self.config.election_ticks();
            let ticks = election_ticks.saturating_sub(2);
            tracing::info!(
                "local-member-id" = %format_args!("{:x}", self.id),
                "forward-ticks" = ticks,
                "forward-duration" = ?self.config.heartbeat * u32::try_from(ticks).unwrap_or(u32::MAX),
                "election-ticks" = election_ticks,
                "election-timeout" = ?self.config.election,
                "active-remote-members" = self.peers.active(),
                "initialized peer connections; fast-forwarding election ticks"
            );
            for _ in 0..ticks {
                self.core.tick();
            }
        }
    }
}
