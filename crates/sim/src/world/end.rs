//! How a run ends, and what must hold then.

use std::time::Duration;

use super::{CALM, END, World};
use crate::member::Slot;
use crate::watcher::Watcher;

impl World {
    /// What the run has amounted to so far.
    pub fn summary(&self) -> String {
        let figures = &self.figures;
        let model = &self.consensus.model;
        let [voters, learners, promoted, removed, updated] = model.members.counts;
        let told = |f: fn(&Watcher) -> u64| self.watchers.iter().map(f).sum::<u64>();
        format!(
            "members {} entries {} terms {} writes {} reads {} events {} progress {} states compared {} \
             leases kept {} expired {} crashes {} (power {}, disk {}) snapshots {} of {} installed \
             added {voters} learners {learners} promoted {promoted} removed {removed} updated {updated} joined {} \
             transfers {} defragmentations {} held bytes {} steps {}",
            model.members.now.len(),
            self.consensus.committed_index(),
            self.consensus.leaders_seen(),
            self.history.writes,
            self.history.reads,
            told(|watcher| watcher.check.events),
            told(|watcher| watcher.check.progresses),
            self.consensus.hashes_compared,
            self.leases.renewed,
            self.leases.expired,
            figures.crashes,
            figures.power_losses,
            figures.disk_failures,
            figures.snapshots_installed,
            figures.snapshots_sent,
            figures.joined,
            figures.transfers,
            figures.defragmentations,
            figures.held_bytes_max,
            figures.happenings,
        )
    }

    /// The faults end, the members come together, and the run is judged.
    pub fn finish(&mut self) {
        let begin = self.schedule.now();
        self.end_faults();
        // A disk that hangs goes on hanging, while the others work and memory must not grow.
        let stalls = self.slots.iter().map(|slot| slot.sync_stalled_until);
        let calm_end = stalls.fold(begin, Duration::max) + CALM;
        self.run_until(calm_end);
        self.closing = true;
        self.run_until(calm_end + END);
        // Leases go on ending: there may be an entry under way at any moment.
        let mut end = calm_end + END;
        while !self.is_settled() && end < calm_end + END * 12 {
            end += Duration::from_millis(100);
            self.run_until(end);
        }
        self.judge_end();
    }

    /// Whether every member has applied, and every watcher heard of, all that is committed.
    fn is_settled(&self) -> bool {
        let heard = |watcher: &Watcher| watcher.check.missed(&self.consensus.model).is_none();
        self.is_applied() && self.watchers.iter().all(heard)
    }

    /// Whether every member has applied all that is committed.
    pub fn is_applied(&self) -> bool {
        let committed = self.consensus.committed_index();
        let applied = |slot: &Slot| slot.running.as_ref().map(|running| running.booted.node.status().applied);
        self.members().all(|member| applied(&self.slots[member]) == Some(committed))
    }

    /// For whoever looks into a failed run.
    fn show_members(&self) {
        if std::env::var_os("SIM_VERBOSE").is_none() {
            return;
        }
        for slot in &self.slots {
            let Some(running) = &slot.running else {
                eprintln!("{} ({:?}) does not run", slot.name, slot.fate);
                continue;
            };
            eprintln!(
                "{} {:?} incarnation {} clock {} log busy {} queue {} applier busy {} tasks {} job {} wake {:?} {:?} local {:?}\n  {:?}",
                slot.name,
                slot.fate,
                slot.incarnation,
                slot.clock_permille,
                running.log_busy,
                running.log_queue.len(),
                running.applier_busy,
                running.tasks.len(),
                running.job.is_some(),
                running.wake_at,
                running.applier_wake_at,
                slot.local(self.schedule.now()),
                running.booted.node.status(),
            );
        }
    }

    /// In the end nobody misses anything.
    fn judge_end(&mut self) {
        self.show_members();
        self.judge_members();
        let model = &self.consensus.model;
        for watcher in &self.watchers {
            let missed = watcher.check.missed(model);
            assert!(missed.is_none(), "a watcher never heard of {missed:?}");
        }
        for client in &self.clients {
            assert!(client.answered > 0, "client {} was never answered", client.number);
        }
        let leader_since = self.consensus.newest_leader().map_or(Duration::ZERO, |(_, since)| since);
        self.leases.ended(self.schedule.now(), leader_since, 1000 - self.options.drift_permille);
    }

    /// All members run and agree on the last entry.
    pub fn judge_members(&mut self) {
        let committed = self.consensus.committed_index();
        let members: Vec<usize> = self.members().collect();
        let ids: Vec<u64> = members.iter().map(|member| self.slots[*member].id).collect();
        assert!(
            ids.len() == self.consensus.model.members.now.len()
                && ids.iter().all(|id| self.consensus.model.members.now.contains_key(id)),
            "who ought to be a member is not in the cluster, or the other way round"
        );
        for member in members {
            let slot = &self.slots[member];
            let running = slot.running.as_ref().unwrap_or_else(|| panic!("{} does not run in the end", slot.name));
            let status = running.booted.node.status();
            assert!(status.leader != 0, "{} knows no leader in the end: {status:?}", slot.name);
            assert_eq!(status.applied, committed, "{} is behind in the end: {status:?}", slot.name);
            let state = self.state_text(member);
            self.consensus.state_at(self.slots[member].id, committed, state);
        }
    }
}
