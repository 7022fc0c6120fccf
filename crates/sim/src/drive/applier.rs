//! The applier of a member: one task at a time, and what each brings about.

use std::time::Duration;

use mvcc::HashRule;
use node::{ApplyBatch, Event, Output};

use crate::member::Task;
use crate::model::member_line;
use crate::world::{Inside, World};

/// States are compared at multiples of this.
const COMPARE_EVERY: u64 = 32;
/// Names of the users and roles of this world.
const AUTH_NAMES: [&str; 4] = ["root", "user", "ann", "bob"];

impl World {
    pub(super) fn start_applier(&mut self, member: usize) {
        let Some(running) = &mut self.slots[member].running else { return };
        if running.applier_busy || running.tasks.is_empty() {
            return;
        }
        running.applier_busy = true;
        let latency = Duration::from_micros(self.rng.between(10, 400));
        self.plan(member, latency, Inside::ApplierDone);
    }

    pub(super) fn applier_done(&mut self, member: usize) {
        let local = self.slots[member].local(self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        running.applier_busy = false;
        let Some(task) = running.tasks.pop_front() else { return };
        let applier = &mut running.booted.applier;
        let output = match task {
            Task::Apply(batch) => applier.apply(batch, local),
            Task::Durable(commit) => applier.durable(commit, local),
            Task::SendSnapshot(message) => applier.send_snapshot(*message, local),
            Task::Defragment(ticket) => applier.defragment(ticket, local),
            Task::Wake => applier.wake(local),
        };
        self.take(member, output);
    }

    pub(super) fn job_done(&mut self, member: usize) {
        let local = self.slots[member].local(self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        let Some(job) = running.job.take() else { return };
        match job.run() {
            Ok(done) => {
                let output = running.booted.applier.committed(done, local);
                self.take(member, output);
            }
            Err(_) => self.disk_failed(member),
        }
    }

    /// Passes on what the applier gives.
    pub fn take(&mut self, member: usize, output: Result<Output, node::ApplierError>) {
        let output = match output {
            Ok(output) => output,
            Err(_) if self.slots[member].disk_may_fail() => return self.disk_failed(member),
            Err(error) => panic!("{} stopped at apply: {error}", self.slots[member].name),
        };
        let local = self.slots[member].local(self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        if output.installed {
            self.figures.snapshots_installed += 1;
            running.hub.reset(running.booted.reader.view().kv());
        }
        if let Some(events) = &output.events {
            running.hub.publish(events).expect("a readable database");
        }
        let applied = running.booted.applier.applied_index();
        // A restarted member replays entries whose effects its database has.
        let stands_there = running.booted.reader.view().kv().applied().index == applied;
        let at_mark = applied.is_multiple_of(COMPARE_EVERY) && stands_there;
        let compare = at_mark && output.driver.iter().any(|e| matches!(e, Event::Applied(_)));
        for event in output.driver {
            running.booted.node.handle(event, local);
        }
        if let Some(job) = output.job {
            assert!(running.job.is_none(), "one job at a time");
            running.job = Some(job);
            let latency = Duration::from_micros(self.rng.between(500, 20_000));
            self.plan(member, latency, Inside::JobDone);
        }
        if let Some(job) = output.hash {
            let what = Inside::Hashed { index: job.index, text: job.run() };
            self.plan(member, Duration::from_millis(50), what);
        }
        if compare {
            let state = self.state_text(member);
            self.consensus.state_at(self.slots[member].id, applied, state);
            self.compare_members(member, applied);
        }
        for (ticket, reply) in output.replies {
            self.applier_replied(member, ticket, reply);
        }
        for snapshot in output.snapshots {
            self.send_snapshot(member, snapshot);
        }
    }

    /// The members as this one knows them are those that the log makes.
    fn compare_members(&self, member: usize, applied: u64) {
        let Some(running) = &self.slots[member].running else { return };
        let view = running.booted.reader.view();
        let lines = view.members().iter().map(|m| member_line(m.id, &m.peer_urls, m.is_learner));
        let lines = lines.collect::<Vec<_>>().join(" ");
        let expected = self.consensus.model.members.text_at(applied);
        assert_eq!(
            lines, expected,
            "members at index {applied} (left: {}'s, right: ought to be)",
            self.slots[member].name
        );
    }

    /// Everything that must be equal on members that stand at one index.
    pub fn state_text(&self, member: usize) -> String {
        let Some(running) = &self.slots[member].running else { return String::new() };
        let view = running.booted.reader.view();
        let hash = view.hash_kv(0, HashRule::V3_7).expect("a readable database");
        // Below cluster version 3.6 recorded times are in memory only, unless kept by the flag: a restart forgets them.
        let keeps_times = self.options.persist_checkpoints || self.options.lease_checkpoints.is_none();
        let remaining = |lease: &state::lease::Lease| if keeps_times { lease.remaining_secs } else { 0 };
        let leases: Vec<_> = view.leases().iter().map(|l| (l.id, l.ttl_secs, remaining(l), &l.keys)).collect();
        let leases = crc32c::crc32c(format!("{leases:?}").as_bytes());
        let members: Vec<_> = view.members().iter().collect();
        let auth = auth_text(view.auth());
        format!(
            "revision {} compacted {} hash {:08x} leases {leases:08x} auth {auth} alarms {:?} versions {:?} \
             members {members:?}",
            hash.current_revision,
            hash.compact_revision,
            hash.hash,
            view.alarms().all(),
            view.versions().cluster,
        )
    }
}

/// Users and roles, as far as anybody here makes any.
fn auth_text(auth: &state::auth::AuthStore) -> String {
    let users = AUTH_NAMES.map(|name| auth.user(name).map(|user| user.stored.clone()));
    let roles = AUTH_NAMES.map(|name| auth.role(name).cloned());
    let text = format!("{users:?} {roles:?}");
    format!("{} {} {:08x}", auth.is_enabled(), auth.revision(), crc32c::crc32c(text.as_bytes()))
}

/// Cuts a batch at the indexes at which states are compared.
pub(super) fn split(batch: ApplyBatch) -> Vec<ApplyBatch> {
    let mut parts = vec![ApplyBatch { snapshot: batch.snapshot, entries: Vec::new() }];
    for entry in batch.entries {
        let index = entry.index;
        if let Some(part) = parts.last_mut() {
            part.entries.push(entry);
        }
        if index.is_multiple_of(COMPARE_EVERY) {
            parts.push(ApplyBatch::default());
        }
    }
    parts.retain(|part| part.snapshot.is_some() || !part.entries.is_empty());
    parts
}
