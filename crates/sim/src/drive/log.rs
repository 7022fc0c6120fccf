//! The log writer of a member: it takes what has gathered, and answers once that is durable.

use std::time::Duration;

use node::{Batch, Event};

use crate::options::Planted;
use crate::world::{Inside, World};

use super::STILL_STALLED;

impl World {
    pub(super) fn submit(&mut self, member: usize, mut batch: Batch) {
        let (id, planted, now) = (self.slots[member].id, self.options.planted, self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        for entry in batch.entries.iter() {
            let before = if entry.index == 1 { Some(0) } else { running.tail.get(&(entry.index - 1)).copied() };
            self.consensus.written(id, entry, before, now);
            running.tail.split_off(&entry.index);
            running.tail.insert(entry.index, entry.term);
        }
        while running.tail.len() > 1000 {
            running.tail.pop_first();
        }
        if planted == Some(Planted::VoteForgotten)
            && let Some(hard_state) = &mut batch.hard_state
        {
            hard_state.vote = 0;
        }
        running.log_queue.push_back(batch);
    }

    /// The log writer takes all that has gathered.
    pub(super) fn start_log(&mut self, member: usize) {
        let Some(running) = &mut self.slots[member].running else { return };
        if running.log_busy || running.log_queue.is_empty() {
            return;
        }
        let last_seq = running.log_queue.back().map_or(0, |batch| batch.seq);
        let commit = running.log_queue.iter().filter_map(|batch| batch.hard_state).map(|h| h.commit).max();
        while let Some(batch) = running.log_queue.pop_front() {
            if running.booted.log_writer.append(batch).is_err() {
                return self.disk_failed(member);
            }
        }
        running.log_busy = true;
        if self.options.planted == Some(Planted::ReplyBeforeSync) {
            let commit = commit.unwrap_or(0).max(running.told_commit);
            running.told_commit = commit;
            let told = Event::Persisted(node::Persisted { seq: last_seq, commit });
            let local = self.slots[member].local(self.schedule.now());
            if let Some(running) = &mut self.slots[member].running {
                running.booted.node.handle(told, local);
            }
            self.plan(member, Duration::ZERO, Inside::Wake);
        }
        let latency = Duration::from_micros(self.rng.between(200, 5000));
        self.plan(member, latency, Inside::LogSynced);
    }

    pub(super) fn log_synced(&mut self, member: usize) {
        let now = self.schedule.now();
        let slot = &mut self.slots[member];
        if now < slot.sync_stalled_until {
            return self.plan(member, STILL_STALLED, Inside::LogSynced);
        }
        let local = slot.local(now);
        let Some(running) = &mut slot.running else { return };
        running.log_busy = false;
        match running.booted.log_writer.sync() {
            Ok(Some(persisted)) => running.booted.node.handle(Event::Persisted(persisted), local),
            Ok(None) => {}
            Err(_) => {
                // What a failed sync has lost is unknown: it must not be tried again.
                assert!(running.booted.log_writer.sync().is_err(), "a log goes on after a failed sync");
                self.disk_failed(member);
            }
        }
    }
}
