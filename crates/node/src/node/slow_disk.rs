//! A leader whose own disk hangs. The others commit without it, heartbeats and reads need no disk, and the check of the
//! quorum sees nothing wrong; but it holds up whoever asks it for writes, and its own applier. After one election timeout it
//! hands leadership to the voter that has most of the log.

use std::time::Duration;

use super::Node;
use super::ready::InFlight;

impl Node {
    /// How long the oldest batch has been on its way to the disk.
    pub(super) fn disk_delay(&self, now: Duration) -> Duration {
        self.in_flight.front().map_or(Duration::ZERO, |batch| now.saturating_sub(batch.since()))
    }

    /// Hands leadership on where the disk hangs; again after each election timeout while it does.
    pub(super) fn mind_the_disk(&mut self, now: Duration) {
        let patience = self.config.election;
        let delay = self.disk_delay(now);
        if delay < patience || !self.leads_indeed() || self.stopping.is_some() {
            return;
        }
        if self.disk_handover.is_some_and(|at| now < at + patience) || !self.transfers.is_empty() {
            return;
        }
        let Some(target) = self.successor() else { return };
        self.disk_handover = Some(now);
        tracing::warn!(
            "{:x} hands leadership to {target:x}: its own disk has not answered for {} ms",
            self.id,
            delay.as_millis()
        );
        self.propose_batch();
        self.core.transfer_leader(target);
    }

    /// The voter with most of the log among those that answer. It must have all that is committed and what this member's disk
    /// does not take, or else its own disk is no better; and the others must make a quorum by themselves, because this
    /// member's vote waits for its disk too.
    fn successor(&self) -> Option<u64> {
        let progress = self.core.progress();
        let voters = progress.values().filter(|progress| !progress.is_learner).count();
        let answers = |id: u64, recent: bool| id != self.id && (recent || self.peers.is_active(id));
        let others = || progress.iter().filter(|(id, p)| !p.is_learner && answers(**id, p.recent_active));
        if others().count() < voters / 2 + 1 {
            return None;
        }
        let stuck = self.in_flight.front().map_or(0, InFlight::last_index);
        let wanted = self.core.committed().max(stuck);
        let able = others().filter(|(_, progress)| progress.matched >= wanted);
        able.max_by_key(|(id, progress)| (progress.matched, std::cmp::Reverse(**id))).map(|(id, _)| *id)
    }
}
