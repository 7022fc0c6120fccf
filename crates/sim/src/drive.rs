//! Driving a member: what it wants done is done, after a while.

use std::collections::VecDeque;
use std::time::Duration;

use mvcc::HashRule;
use node::{Action, ApplyBatch, Batch, Event, Output};
use proto::raftpb::{Message, MessageType};

use crate::member::{Task, UNSYNCED_BYTES_MAX};
use crate::options::Planted;
use crate::world::{Happening, Inside, World};

/// States are compared at multiples of this.
const COMPARE_EVERY: u64 = 32;
/// Entries of an append that passes the bound on unsynced bytes come on top of it.
const UNSYNCED_SLACK: usize = 2 << 20;
/// After this time a hanging disk or a paused member is looked at again.
const STILL_STALLED: Duration = Duration::from_millis(20);
/// An applier is not woken more often than this.
const APPLIER_PAUSE: Duration = Duration::from_micros(500);
/// Entries that may be committed and not applied: the rule at the door, and what raft hands out beyond it.
const TASKS_MAX: usize = 12_000;

impl World {
    pub fn start_member(&mut self, member: usize) {
        let now = self.schedule.now();
        self.slots[member].paused_until = None;
        let slot = &mut self.slots[member];
        match slot.start(&self.options, &self.cluster, now) {
            Ok(()) => {}
            // The power went during the start.
            Err(_) if slot.disk.is_cut() => return self.crash(member, true),
            Err(error) => panic!("{} does not start again: {error}", slot.name),
        }
        for peer in 0..self.slots.len() {
            let peer_id = self.slots[peer].id;
            if peer != member && self.slots[peer].running.is_some() {
                self.hand(member, Event::PeerActivity { peer: peer_id, connected: true });
                let id = self.slots[member].id;
                self.hand(peer, Event::PeerActivity { peer: id, connected: true });
            }
        }
        self.step(member);
    }

    /// Plans something for the member as it runs now.
    pub fn plan(&mut self, member: usize, delay: Duration, what: Inside) {
        let incarnation = self.slots[member].incarnation;
        self.schedule.after(delay, Happening::Inside { member, incarnation, what });
    }

    pub fn inside(&mut self, member: usize, incarnation: u32, what: Inside) {
        let now = self.schedule.now();
        let slot = &self.slots[member];
        if slot.incarnation != incarnation || slot.running.is_none() {
            return;
        }
        if slot.is_paused(now) {
            return self.plan(member, STILL_STALLED, what);
        }
        match what {
            Inside::Wake => self.wake(member),
            Inside::LogSynced => self.log_synced(member),
            Inside::ApplierDone => self.applier_done(member),
            Inside::JobDone => self.job_done(member),
            Inside::Hashed { index, text } => {
                let local = self.slots[member].local(now);
                if let Some(running) = &mut self.slots[member].running {
                    let output = running.booted.applier.hashed(index, text, local);
                    self.take(member, output);
                }
            }
            Inside::Versions => self.tell_versions(member),
        }
        self.step(member);
    }

    /// Hands an event to a running member that is awake; its actions follow.
    pub fn hand(&mut self, member: usize, event: Event) {
        let local = self.slots[member].local(self.schedule.now());
        if let Some(running) = &mut self.slots[member].running {
            running.booted.node.handle(event, local);
            self.step(member);
        }
    }

    fn wake(&mut self, member: usize) {
        let now = self.schedule.now();
        let local = self.slots[member].local(now);
        let Some(running) = &mut self.slots[member].running else { return };
        if now >= running.wake_at {
            running.wake_at = Duration::MAX;
            running.booted.node.wake(local);
        }
        if now >= running.applier_wake_at {
            running.applier_wake_at = Duration::MAX;
            running.tasks.push_back(Task::Wake);
        }
    }

    /// Fetches what the node wants done and sees to it that all its parts have work.
    pub fn step(&mut self, member: usize) {
        let local = self.slots[member].local(self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        running.booted.node.flush(local);
        let mut actions = VecDeque::new();
        while let Some(action) = running.booted.node.next_action() {
            actions.push_back(action);
        }
        self.check_bounds(member);
        for action in actions {
            self.act(member, action);
        }
        self.start_log(member);
        self.start_applier(member);
        self.plan_wake(member);
    }

    /// The memory ceiling: queues have bounds, also while a disk hangs.
    fn check_bounds(&mut self, member: usize) {
        let Some(running) = &self.slots[member].running else { return };
        let status = running.booted.node.status();
        self.figures.unsynced_bytes_max = self.figures.unsynced_bytes_max.max(status.unsynced_bytes);
        assert!(
            status.unsynced_bytes <= UNSYNCED_BYTES_MAX + UNSYNCED_SLACK,
            "unsynced bytes without bound: {status:?}"
        );
        let tasks = running.tasks.len();
        assert!(tasks <= TASKS_MAX, "the applier's queue has no bound: {tasks}");
    }

    fn act(&mut self, member: usize, action: Action) {
        let id = self.slots[member].id;
        match action {
            Action::Persist(batch) => self.submit(member, batch),
            Action::Send(messages) => {
                let voted = |m: &Message| m.msg_type == MessageType::MsgVoteResp as i32 && !m.reject;
                let has_voted = messages.iter().any(voted);
                messages.into_iter().for_each(|message| self.send(member, message));
                if has_voted && !self.faults_over && self.rng.permille(self.options.crash_on_vote_permille) {
                    self.crash_for(member, true, Duration::from_millis(2));
                }
            }
            Action::Apply(batch) => {
                batch.entries.iter().for_each(|entry| self.consensus.applies(id, entry));
                let Some(running) = &mut self.slots[member].running else { return };
                running.tasks.extend(split(batch).into_iter().map(Task::Apply));
            }
            Action::Durable { commit } => self.task(member, Task::Durable(commit)),
            Action::SendSnapshot(message) => self.task(member, Task::SendSnapshot(Box::new(message))),
            Action::Reply(ticket, outcome) => self.node_replied(member, ticket, &outcome),
            Action::ReadReady(tickets) => tickets.into_iter().for_each(|ticket| self.read(member, ticket)),
            Action::RoleChanged { role: node::Role::Leader, term, .. } => {
                let Some(running) = &self.slots[member].running else { return };
                self.consensus.leads(id, term, |index| running.booted.node.log_term(index));
            }
            Action::AskVersions => self.plan(member, Duration::from_millis(20), Inside::Versions),
            Action::Purge => {
                let purged = self.slots[member].running.as_ref().map(|running| running.booted.purger.purge());
                if let Some(Err(_)) = purged {
                    self.disk_failed(member);
                }
            }
            Action::Stopped { .. } => self.stopped(member),
            Action::Failed(why) => panic!("{}: {why}", self.slots[member].name),
            Action::RoleChanged { .. } | Action::Published => {}
        }
    }

    fn task(&mut self, member: usize, task: Task) {
        if let Some(running) = &mut self.slots[member].running {
            running.tasks.push_back(task);
        }
    }

    fn submit(&mut self, member: usize, mut batch: Batch) {
        let (id, planted) = (self.slots[member].id, self.options.planted);
        let Some(running) = &mut self.slots[member].running else { return };
        for entry in batch.entries.iter() {
            let before = if entry.index == 1 { Some(0) } else { running.tail.get(&(entry.index - 1)).copied() };
            self.consensus.written(id, entry, before);
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
    fn start_log(&mut self, member: usize) {
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

    fn log_synced(&mut self, member: usize) {
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
            Err(_) => self.disk_failed(member),
        }
    }

    fn start_applier(&mut self, member: usize) {
        let Some(running) = &mut self.slots[member].running else { return };
        if running.applier_busy || running.tasks.is_empty() {
            return;
        }
        running.applier_busy = true;
        let latency = Duration::from_micros(self.rng.between(10, 400));
        self.plan(member, latency, Inside::ApplierDone);
    }

    fn applier_done(&mut self, member: usize) {
        let local = self.slots[member].local(self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        running.applier_busy = false;
        let Some(task) = running.tasks.pop_front() else { return };
        let applier = &mut running.booted.applier;
        let output = match task {
            Task::Apply(batch) => applier.apply(batch, local),
            Task::Durable(commit) => applier.durable(commit, local),
            Task::SendSnapshot(message) => applier.send_snapshot(*message, local),
            Task::Wake => applier.wake(local),
        };
        self.take(member, output);
    }

    fn job_done(&mut self, member: usize) {
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
            Err(_) if self.slots[member].disk.is_cut() => return self.disk_failed(member),
            Err(error) => panic!("{} stopped at apply: {error}", self.slots[member].name),
        };
        let local = self.slots[member].local(self.schedule.now());
        let Some(running) = &mut self.slots[member].running else { return };
        if output.installed {
            running.hub.reset(running.booted.reader.view().kv());
        }
        if let Some(events) = &output.events {
            running.hub.publish(events).expect("no previous values are asked for");
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
        }
        for (ticket, reply) in output.replies {
            self.applier_replied(member, ticket, reply);
        }
        for snapshot in output.snapshots {
            self.send_snapshot(member, snapshot);
        }
    }

    /// Everything that must be equal on members that stand at one index.
    pub fn state_text(&self, member: usize) -> String {
        let Some(running) = &self.slots[member].running else { return String::new() };
        let view = running.booted.reader.view();
        let hash = view.hash_kv(0, HashRule::V3_7).expect("a readable database");
        let leases: Vec<_> = view.leases().iter().collect();
        let leases = crc32c::crc32c(format!("{leases:?}").as_bytes());
        let members: Vec<_> = view.members().iter().collect();
        format!(
            "revision {} compacted {} hash {:08x} leases {leases:08x} versions {:?} members {members:?}",
            hash.current_revision,
            hash.compact_revision,
            hash.hash,
            view.versions().cluster,
        )
    }

    fn plan_wake(&mut self, member: usize) {
        let slot = &mut self.slots[member];
        let (node_wake, applier_wake) = match &slot.running {
            Some(running) => (running.booted.node.next_wakeup(), running.booted.applier.next_wakeup()),
            None => return,
        };
        let (node_wake, applier_wake) = (slot.global(node_wake), slot.global(applier_wake));
        let now = self.schedule.now();
        let incarnation = slot.incarnation;
        let Some(running) = &mut slot.running else { return };
        let mut plan = Vec::new();
        let node_wake = node_wake.max(now);
        if node_wake < running.wake_at {
            running.wake_at = node_wake;
            plan.push(node_wake);
        }
        let applier_wake = applier_wake.max(now + APPLIER_PAUSE);
        let wake_queued = running.tasks.iter().any(|task| matches!(task, Task::Wake));
        if applier_wake < running.applier_wake_at && !wake_queued {
            running.applier_wake_at = applier_wake;
            plan.push(applier_wake);
        }
        for at in plan {
            self.schedule.at(at, Happening::Inside { member, incarnation, what: Inside::Wake });
        }
    }

    /// A disk error stops a member; in this world it comes only from a power cut.
    pub fn disk_failed(&mut self, member: usize) {
        assert!(self.slots[member].disk.is_cut(), "{}: the disk failed by itself", self.slots[member].name);
        self.crash(member, true);
    }
}

/// Cuts a batch at the indexes at which states are compared.
fn split(batch: ApplyBatch) -> Vec<ApplyBatch> {
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
