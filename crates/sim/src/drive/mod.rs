//! Driving a member: what it wants done is done, after a while.

mod applier;
mod log;

use std::collections::VecDeque;
use std::time::Duration;

use node::{Action, BootError, Event, ExistingCluster, InitialMember};
use proto::raftpb::{Message, MessageType};

use crate::member::{Cluster, Fate, Running, Task, UNSYNCED_BYTES_MAX};
use crate::model::LeaseNews;
use crate::world::{Happening, Inside, World};

/// Entries of an append that passes the bound on unsynced bytes come on top of it.
const UNSYNCED_SLACK: usize = 2 << 20;
/// After this time a hanging disk or a paused member is looked at again.
const STILL_STALLED: Duration = Duration::from_millis(20);
/// An applier is not woken more often than this.
const APPLIER_PAUSE: Duration = Duration::from_micros(500);
/// Entries that may be committed and not applied: the rule at the door, and what raft hands out beyond it.
const TASKS_MAX: usize = 12_000;
/// Bytes of entries in all queues of a member together, by the rules at the door and for received appends.
const HELD_BYTES_MAX: usize = 8 * UNSYNCED_BYTES_MAX + UNSYNCED_SLACK;
/// Counting them takes a while; it is done once in so many steps.
const COUNT_EVERY: u64 = 16;

impl World {
    pub fn start_member(&mut self, member: usize) {
        let now = self.schedule.now();
        let upgraded = self.options.upgrades && self.slots[member].incarnation > 0 && self.rng.permille(300);
        let Some(cluster) = self.cluster_for(member) else { return self.restart_soon(member) };
        let slot = &mut self.slots[member];
        slot.paused_until = None;
        if upgraded {
            slot.upgrade();
        }
        let (asks, joins) = (slot.must_ask(), cluster.existing.is_some());
        match slot.start(&self.options, cluster, now) {
            Ok(()) => self.figures.joined += u64::from(asks),
            // The power went during the start, or the disk is as ill as it was.
            Err(_) if slot.disk_may_fail() => return self.disk_failed(member),
            Err(BootError::Removed) if slot.fate == Fate::Leaves => return self.retire(member),
            // Its cap has become too low since it was added.
            Err(BootError::Incompatible) if joins => {
                slot.upgrade();
                return self.restart_soon(member);
            }
            Err(BootError::TooManyLearners) if joins => return self.restart_soon(member),
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

    fn restart_soon(&mut self, member: usize) {
        let delay = Duration::from_millis(self.rng.between(100, 1000));
        self.schedule.after(delay, Happening::Restart { member });
    }

    /// What a member needs to know of the cluster to start; none where nobody tells it.
    fn cluster_for(&self, member: usize) -> Option<Cluster> {
        let slot = &self.slots[member];
        if !slot.must_ask() {
            return Some(Cluster { members: self.founders.clone(), existing: None });
        }
        let reached =
            |peer: &usize| *peer != member && self.network.passes(member, *peer) && self.network.passes(*peer, member);
        let peers: Vec<_> =
            self.members().filter(reached).filter_map(|peer| self.slots[peer].running.as_ref()).collect();
        let views = peers.iter().map(|peer| (peer.booted.cluster_id, peer.booted.reader.view()));
        let (cluster_id, view) = views.into_iter().find(|(_, view)| view.members().get(slot.id).is_some())?;
        let members: Vec<_> = view.members().iter().cloned().collect();
        let name = |id: &u64| self.places.get(id).map(|place| self.slots[*place].name.clone());
        let named = members.iter().map(|m| Some(InitialMember { name: name(&m.id)?, peer_urls: m.peer_urls.clone() }));
        let cluster_version = |peer: &&Running| {
            let version = peer.booted.reader.view().versions().cluster;
            (peer.booted.member_id, version.map_or("not_decided".into(), |version| version.to_string()))
        };
        let existing = ExistingCluster {
            cluster_id,
            cluster_versions: peers.iter().map(cluster_version).collect(),
            members: members.clone(),
            ..ExistingCluster::default()
        };
        Some(Cluster { members: named.collect::<Option<_>>()?, existing: Some(existing) })
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
        let incarnation = self.slots[member].incarnation;
        for action in actions {
            // What the first of them brought about may have ended the member.
            if self.slots[member].incarnation == incarnation {
                self.act(member, action);
            }
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
        if self.figures.happenings.is_multiple_of(COUNT_EVERY) {
            let held = running.held_bytes();
            self.figures.held_bytes_max = self.figures.held_bytes_max.max(held);
            assert!(held <= HELD_BYTES_MAX, "{held} bytes of entries in queues: {status:?}");
        }
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
                for entry in &batch.entries {
                    if self.consensus.applies(id, entry) {
                        self.committed(entry);
                    }
                }
                let Some(running) = &mut self.slots[member].running else { return };
                running.tasks.extend(applier::split(batch).into_iter().map(Task::Apply));
            }
            Action::Durable { commit } => self.task(member, Task::Durable(commit)),
            Action::SendSnapshot(message) => self.task(member, Task::SendSnapshot(Box::new(message))),
            Action::Reply(ticket, outcome) => self.node_replied(member, ticket, &outcome),
            Action::ReadReady(tickets) => tickets.into_iter().for_each(|ticket| self.read(member, ticket)),
            Action::RoleChanged { role: node::Role::Leader, term, .. } => {
                let Some(running) = &self.slots[member].running else { return };
                let now = self.schedule.now();
                self.consensus.leads(id, term, now, |index| running.booted.node.log_term(index));
            }
            Action::AskVersions => self.plan(member, Duration::from_millis(20), Inside::Versions),
            Action::Purge => {
                let purged = self.slots[member].running.as_ref().map(|running| running.booted.purger.purge());
                if let Some(Err(_)) = purged {
                    self.disk_failed(member);
                }
            }
            Action::Stopped { removed } => self.stopped(member, removed),
            Action::Failed(why) => panic!("{}: {why}", self.slots[member].name),
            Action::RoleChanged { .. } | Action::Published => {}
        }
    }

    fn task(&mut self, member: usize, task: Task) {
        if let Some(running) = &mut self.slots[member].running {
            running.tasks.push_back(task);
        }
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

    /// A disk error stops a member; in this world it comes only where it was arranged.
    pub fn disk_failed(&mut self, member: usize) {
        let slot = &self.slots[member];
        assert!(slot.disk_may_fail(), "{}: the disk failed by itself", slot.name);
        // A process that ends in the midst of a change leaves its machine running; after an error of the disk, what its
        // cache holds is worth nothing, and the machine is started anew.
        let power = !slot.disk.is_cut() || self.rng.permille(700);
        self.figures.disk_failures += u64::from(!slot.disk.is_cut());
        self.crash(member, power);
    }

    /// What the cluster has decided just now.
    fn committed(&mut self, entry: &proto::raftpb::Entry) {
        let now = self.schedule.now();
        for news in self.consensus.model.take_lease_news() {
            match news {
                LeaseNews::Granted { id, ttl_secs } => self.leases.granted(id, ttl_secs, now),
                LeaseNews::Revoked { id, request } => {
                    let proposed = self.consensus.written_at(entry.index, entry.term).unwrap_or(now);
                    self.leases.revoked(id, request, proposed, self.consensus.leader_of(entry.term));
                }
            }
        }
        for news in self.consensus.model.members.take_news() {
            self.membership_changed(news);
        }
    }
}
