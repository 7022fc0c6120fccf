//! Snapshots to peers: when one may go, and for how long the log behind it is kept (facts: peer-protocol, 9).
//!
//! Raft asks for a snapshot again as soon as the last one is reported, however that ended. A peer that can't take it, or
//! whose log hangs with what it got, would be sent the whole database at the rate of heartbeats; so each further one to the
//! same peer waits longer. While raft has asked and was not answered it sends that peer nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::raftpb::Message;

use super::Node;
use crate::action::Action;

/// For so long what follows a snapshot is kept after its receiver got it.
const KEPT_AFTER: Duration = Duration::from_secs(30);
/// The pause between the end of the first snapshot to a peer and the next; it doubles from one to the next.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A peer that needed none for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Peer {
    /// One is on its way.
    under_way: bool,
    /// Until then it may need what follows the one it got.
    kept_until: Option<Duration>,
    /// When the last one ended, and how many there were in a row.
    ended: Duration,
    in_a_row: u32,
    /// Asked for by raft, and too early.
    held: Option<Message>,
}

impl Peer {
    fn may_go_at(&self) -> Duration {
        let pause = PAUSE.saturating_mul(1 << self.in_a_row.saturating_sub(1).min(10)).min(PAUSE_MAX);
        if self.in_a_row == 0 { Duration::ZERO } else { self.ended + pause }
    }
}

/// All peers that were sent one by this leader.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    peers: BTreeMap<u64, Peer>,
}

impl Snapshots {
    /// Raft wants this message sent: given back where it may go now.
    pub fn wanted(&mut self, message: Message, now: Duration) -> Option<Message> {
        let peer = self.peers.entry(message.to).or_default();
        if now >= peer.ended + FORGOTTEN_AFTER && !peer.under_way {
            peer.in_a_row = 0;
        }
        if now < peer.may_go_at() {
            peer.held = Some(message);
            return None;
        }
        peer.under_way = true;
        peer.held = None;
        Some(message)
    }

    /// The one on its way to this peer has arrived, or not.
    pub fn ended(&mut self, peer: u64, failed: bool, now: Duration) {
        let peer = self.peers.entry(peer).or_default();
        peer.under_way = false;
        peer.ended = now;
        peer.in_a_row = peer.in_a_row.saturating_add(1);
        peer.kept_until = (!failed).then_some(now + KEPT_AFTER);
    }

    /// Those that were too early and may go now, where the peer still waits.
    pub fn due(&mut self, now: Duration, mut waits: impl FnMut(u64) -> bool) -> Vec<Message> {
        let mut due = Vec::new();
        for (id, peer) in &mut self.peers {
            if now < peer.may_go_at() {
                continue;
            }
            if let Some(message) = peer.held.take().filter(|_| waits(*id)) {
                peer.under_way = true;
                due.push(message);
            }
        }
        due
    }

    /// Whether a peer may need more of the log than others.
    pub fn keep_log(&self, now: Duration) -> bool {
        self.peers.values().any(|peer| peer.under_way || peer.kept_until.is_some_and(|until| now < until))
    }

    /// This member leads no more.
    pub fn clear(&mut self) {
        self.peers.clear();
    }
}

impl Node {
    pub(super) fn send_snapshot(&mut self, message: Message) {
        if let Some(message) = self.snapshots.wanted(message, self.now) {
            self.actions.push_back(Action::SendSnapshot(message));
        }
    }

    pub(super) fn snapshot_reported(&mut self, peer: u64, failed: bool, now: Duration) {
        self.snapshots.ended(peer, failed, now);
        self.core.report_snapshot(peer, failed);
    }

    pub(super) fn send_held_snapshots(&mut self, now: Duration) {
        let due = self.snapshots.due(now, |peer| self.core.awaits_snapshot(peer));
        self.actions.extend(due.into_iter().map(Action::SendSnapshot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn to(peer: u64) -> Message {
        Message { to: peer, ..Message::default() }
    }

    /// A peer that refuses each one, or asks again at once, for two minutes.
    #[test]
    fn pauses_grow() {
        let mut snapshots = Snapshots::default();
        let mut sent = Vec::new();
        for second in 0..120 {
            let now = SEC * second;
            for message in snapshots.wanted(to(2), now).into_iter().chain(snapshots.due(now, |_| true)) {
                assert_eq!(message.to, 2);
                sent.push(second);
                snapshots.ended(2, second % 2 == 0, now);
            }
        }
        assert_eq!(sent, [0, 1, 3, 7, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105, 115]);
        assert!(snapshots.wanted(to(3), SEC * 120).is_some(), "another peer is another matter");
        assert!(snapshots.wanted(to(2), SEC * 300).is_some(), "and so is another time");
    }

    #[test]
    fn one_that_is_no_longer_wanted_does_not_go() {
        let mut snapshots = Snapshots::default();
        assert!(snapshots.wanted(to(2), SEC).is_some());
        assert!(snapshots.keep_log(SEC * 50), "under way");
        snapshots.ended(2, false, SEC * 50);
        assert!(snapshots.keep_log(SEC * 79) && !snapshots.keep_log(SEC * 80));
        assert!(snapshots.wanted(to(2), SEC * 50).is_none());
        assert!(snapshots.due(SEC * 51, |_| false).is_empty());
        assert!(snapshots.due(SEC * 52, |_| true).is_empty());
    }
}
