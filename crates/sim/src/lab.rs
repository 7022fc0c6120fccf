//! Scenes with a script: a cluster in which nothing happens by itself, directed step by step, with all the judges at work.

use std::time::Duration;

use bytes::Bytes;
use node::{Event, Outcome as NodeOutcome, Role};
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest, PutRequest, RangeRequest,
    RangeResponse,
};
use state::{ApplyError, Outcome, StateView};

use crate::check::{Wants, WatchCheck};
use crate::member::Task;
use crate::operator::Change;
use crate::options::Options;
use crate::watcher::Watcher;
use crate::world::{Waiter, World};

/// What became of a directed call.
#[derive(Clone, Debug, PartialEq)]
pub enum LabAnswer {
    Applied(Result<Outcome, ApplyError>),
    Node(NodeOutcome),
    /// A linearizable read may be served.
    ReadReady,
}

/// A call under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call(u64);

/// Longest time that a scene waits for something.
const LONG: Duration = Duration::from_secs(60);

/// A directed world.
pub struct Lab {
    world: World,
}

impl Lab {
    /// A cluster of so many members that has a leader, whose members are all started.
    pub fn new(members: usize, tune: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::still(1, members);
        tune(&mut options);
        let mut world = World::new(options);
        world.start_members();
        let mut lab = Self { world };
        lab.until("all members are started and know the cluster version", |lab| {
            (0..members).all(|member| {
                lab.running(member) && {
                    let view = lab.view(member);
                    view.versions().cluster.is_some() && view.members().iter().all(|m| m.is_started())
                }
            })
        });
        lab
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.world.schedule.now() + time;
        self.world.run_until(end);
    }

    /// Lets time pass until something holds.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Lab) -> bool) {
        let end = self.now() + LONG;
        while !holds(self) {
            assert!(self.now() < end && self.world.step_once(), "waited in vain until {what}");
        }
    }

    /// True time.
    pub fn now(&self) -> Duration {
        self.world.schedule.now()
    }

    /// Whether the member runs.
    pub fn running(&self, member: usize) -> bool {
        self.world.slots[member].running.is_some()
    }

    /// What the member shows of itself.
    pub fn status(&self, member: usize) -> node::Status {
        let running = self.world.slots[member].running.as_ref();
        running.unwrap_or_else(|| panic!("m{member} does not run")).booted.node.status()
    }

    /// The member's state.
    pub fn view(&self, member: usize) -> StateView {
        let running = self.world.slots[member].running.as_ref();
        running.unwrap_or_else(|| panic!("m{member} does not run")).booted.reader.view()
    }

    /// The id of a member.
    pub fn id(&self, member: usize) -> u64 {
        self.world.slots[member].id
    }

    /// How many members there ever were.
    pub fn places(&self) -> usize {
        self.world.slots.len()
    }

    /// The leader, waited for where there is none.
    pub fn leader(&mut self) -> usize {
        self.until("there is a leader", |lab| lab.world.believes_to_lead().is_some());
        self.world.believes_to_lead().expect("just found")
    }

    /// Some member that does not lead.
    pub fn follower(&mut self) -> usize {
        let leader = self.leader();
        (0..self.places()).find(|member| *member != leader && self.running(*member)).expect("more than one member")
    }

    /// How many snapshots were installed.
    pub fn snapshots_installed(&self) -> u64 {
        self.world.figures.snapshots_installed
    }

    /// The member takes itself for the leader.
    pub fn leads(&self, member: usize) -> bool {
        self.running(member) && self.status(member).role == Role::Leader
    }

    fn ticket(&mut self, member: usize) -> u64 {
        let running = self.world.slots[member].running.as_mut();
        let running = running.unwrap_or_else(|| panic!("m{member} does not run"));
        let ticket = running.booted.ids.next();
        running.waiting.insert(ticket, Waiter::Lab);
        ticket
    }

    /// Proposes a request at a member.
    pub fn propose(&mut self, member: usize, request: InternalRaftRequest) -> Call {
        let ticket = self.ticket(member);
        self.world.propose(member, ticket, request);
        Call(ticket)
    }

    /// Asks for a linearizable read at a member.
    pub fn ask_read(&mut self, member: usize) -> Call {
        let ticket = self.ticket(member);
        self.world.hand(member, Event::ReadIndex { ticket });
        Call(ticket)
    }

    /// What a call was answered, if it was.
    pub fn answer(&self, call: Call) -> Option<&LabAnswer> {
        self.world.lab_answers.get(&call.0)
    }

    /// Waits for an answer.
    pub fn wait(&mut self, call: Call) -> LabAnswer {
        self.until("the call is answered", |lab| lab.answer(call).is_some());
        self.answer(call).cloned().expect("just found")
    }

    fn applied(&mut self, member: usize, request: InternalRaftRequest) -> Outcome {
        let call = self.propose(member, request);
        match self.wait(call) {
            LabAnswer::Applied(Ok(outcome)) => outcome,
            other => panic!("refused: {other:?}"),
        }
    }

    /// Puts; gives the revision.
    pub fn put(&mut self, member: usize, key: &str, value: &str, lease: i64) -> i64 {
        let put = PutRequest {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            lease,
            ..PutRequest::default()
        };
        match self.applied(member, InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() }) {
            Outcome::Put(put) => put.header.map_or(0, |header| header.revision),
            other => panic!("not the answer to a put: {other:?}"),
        }
    }

    /// Deletes one key; gives the revision.
    pub fn delete(&mut self, member: usize, key: &str) -> i64 {
        let delete =
            DeleteRangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..DeleteRangeRequest::default() };
        let request = InternalRaftRequest { delete_range: Some(delete), ..InternalRaftRequest::default() };
        match self.applied(member, request) {
            Outcome::DeleteRange(delete) => delete.header.map_or(0, |header| header.revision),
            other => panic!("not the answer to a deletion: {other:?}"),
        }
    }

    /// Compacts.
    pub fn compact(&mut self, member: usize, revision: i64) {
        let compaction = Some(CompactionRequest { revision, physical: false });
        self.applied(member, InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
    }

    /// Compacts; whether it is answered does not matter.
    pub fn compact_without_waiting(&mut self, member: usize, revision: i64) {
        let compaction = Some(CompactionRequest { revision, physical: false });
        self.propose(member, InternalRaftRequest { compaction, ..InternalRaftRequest::default() });
    }

    /// Grants a lease.
    pub fn grant(&mut self, member: usize, id: i64, ttl: i64) {
        let lease_grant = Some(LeaseGrantRequest { id, ttl });
        self.applied(member, InternalRaftRequest { lease_grant, ..InternalRaftRequest::default() });
    }

    /// Applies a request, which must be accepted.
    pub fn apply(&mut self, member: usize, request: InternalRaftRequest) -> Outcome {
        self.applied(member, request)
    }

    /// Asks this very member to keep a lease alive.
    pub fn keep_alive(&mut self, member: usize, lease: i64) -> NodeOutcome {
        let ticket = self.ticket(member);
        self.world.hand(member, Event::LeaseKeepAlive { ticket, lease });
        match self.wait(Call(ticket)) {
            LabAnswer::Node(outcome) => {
                if let NodeOutcome::LeaseRenewed { ttl_secs: Some(ttl_secs) } = outcome {
                    let now = self.now();
                    self.world.leases.kept_alive(lease, ttl_secs, now);
                }
                outcome
            }
            other => panic!("not the answer to a keep-alive: {other:?}"),
        }
    }

    /// Reads all keys at a member, once it says that a linearizable read may be served.
    pub fn read(&mut self, member: usize) -> RangeResponse {
        let call = self.ask_read(member);
        assert_eq!(self.wait(call), LabAnswer::ReadReady);
        self.read_now(member)
    }

    /// Reads all keys at a member, as it has them.
    pub fn read_now(&self, member: usize) -> RangeResponse {
        let request =
            RangeRequest { key: b"\0".as_slice().into(), range_end: b"\0".as_slice().into(), ..Default::default() };
        self.view(member).answer_range(&request).expect("a readable database").expect("a valid range")
    }

    /// Hands leadership to another member.
    pub fn move_leader(&mut self, to: usize) {
        let (leader, target) = (self.leader(), self.id(to));
        let ticket = self.ticket(leader);
        self.world.hand(leader, Event::MoveLeader { ticket, target });
        assert_eq!(self.wait(Call(ticket)), LabAnswer::Node(NodeOutcome::LeaderMoved));
    }

    /// Changes the membership.
    pub fn change(&mut self, member: usize, change: &Change) -> NodeOutcome {
        let ticket = self.ticket(member);
        self.world.propose_change(member, change, ticket);
        match self.wait(Call(ticket)) {
            LabAnswer::Node(outcome) => outcome,
            other => panic!("not the answer to a change of membership: {other:?}"),
        }
    }

    /// Cuts a member off from all others.
    pub fn isolate(&mut self, member: usize) {
        let members = self.places();
        self.world.network.split(&[member].into(), members, false);
    }

    /// All reach all.
    pub fn heal(&mut self) {
        self.world.network.heal();
    }

    /// Holds a member's process for so long.
    pub fn pause(&mut self, member: usize, time: Duration) {
        self.world.slots[member].paused_until = Some(self.now() + time);
    }

    /// Whether a member's process is held.
    pub fn is_paused(&self, member: usize) -> bool {
        self.world.slots[member].is_paused(self.now())
    }

    /// Makes a member's disk hang for so long.
    pub fn hang_disk(&mut self, member: usize, time: Duration) {
        self.world.slots[member].sync_stalled_until = self.now() + time;
    }

    /// Ends a member's process, or its machine with it; it is back after a while.
    pub fn crash(&mut self, member: usize, power: bool, back_after: Duration) {
        self.world.crash_for(member, power, back_after);
    }

    /// Cuts the power of a member's machine after so many changes of its disk.
    pub fn cut_power_after(&mut self, member: usize, operations: u64) {
        self.world.slots[member].disk.cut_after(operations);
    }

    /// How often a member was started.
    pub fn starts(&self, member: usize) -> u32 {
        self.world.slots[member].incarnation
    }

    /// Begins to give space back at a member.
    pub fn defragment(&mut self, member: usize) -> Call {
        let ticket = self.ticket(member);
        if let Some(running) = &mut self.world.slots[member].running {
            running.tasks.push_back(Task::Defragment(ticket));
        }
        self.world.step(member);
        Call(ticket)
    }

    /// Whether the member's backend is being written, or shrunk.
    pub fn is_committing(&self, member: usize) -> bool {
        self.world.slots[member].running.as_ref().is_some_and(|running| running.job.is_some())
    }

    /// Makes a watcher that wants what comes from this revision on; not connected yet.
    pub fn watcher(&mut self, wants: Wants, from: i64) -> usize {
        self.world.watchers.push(Watcher::new(WatchCheck::new(wants, from)));
        self.world.watchers.len() - 1
    }

    /// Connects a watcher with a member, to go on where it stands.
    pub fn attach(&mut self, watcher: usize, member: usize) {
        self.world.detach(watcher);
        assert!(self.world.attach(watcher, member), "m{member} does not take connections");
    }

    /// Asks for the progress of a watcher's stream.
    pub fn ask_progress(&mut self, watcher: usize) {
        self.world.ask_progress(watcher);
    }

    /// Lets a watcher read what its stream holds; gives the events and progress notices of its life.
    pub fn drain(&mut self, watcher: usize) -> (u64, u64) {
        self.world.read_watcher(watcher);
        let check = &self.world.watchers[watcher].check;
        (check.events, check.progresses)
    }

    /// Lets a watcher read on until it has heard of everything.
    pub fn drain_all(&mut self, watcher: usize) -> u64 {
        let end = self.now() + LONG;
        while self.world.watchers[watcher].check.missed(&self.world.consensus.model).is_some() {
            assert!(self.now() < end, "the watcher does not hear of everything");
            self.pass(Duration::from_millis(10));
            self.drain(watcher);
        }
        self.world.watchers[watcher].check.events
    }

    /// The newest revision, by the log.
    pub fn revision(&self) -> i64 {
        self.world.consensus.model.revision
    }

    /// Whether the lease exists, by the log.
    pub fn has_lease(&self, id: i64) -> bool {
        self.world.consensus.model.leases.contains_key(&id)
    }

    /// Everything settles; then all members must agree, and nobody may have missed anything.
    pub fn judge(mut self) {
        self.heal();
        self.until("all members have applied everything", |lab| lab.world.is_applied());
        for watcher in 0..self.world.watchers.len() {
            if self.world.watchers[watcher].is_attached() {
                self.drain_all(watcher);
            }
        }
        self.world.judge_members();
    }
}
