//! The driver thread: owns the node, waits for nothing but its inbox, and hands its actions to those who carry them out.

use super::applier::ToApplier;
use super::clock::Clock;
use super::guard::fatal;
use super::inbox::{Inbox, Outbox};
use super::pulse::Pulse;
use super::waiters::{Reply, Waiters};
use crate::metrics::Metrics;
use ::peer::Transport;
use node::{Action, Batch, Event, Node, Role, Status, Ticket, VersionReport};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Events taken as one batch at most, so that a flood does not starve the clock.
const BATCH_MAX: usize = 4096;

/// What the member shows of itself, refreshed after each batch.
#[derive(Debug)]
pub struct StatusBoard {
    status: Mutex<Status>,
    /// Looked at by every call.
    is_learner: AtomicBool,
}

/// What became of the member, for those who wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Starting,
    /// The member has published itself and serves.
    Ready,
    Stopped {
        removed: bool,
    },
}

/// Where actions go.
pub struct Ends {
    pub log: Sender<Batch>,
    pub applier: Sender<ToApplier>,
    pub purge: Sender<()>,
    pub waiters: Arc<Waiters>,
    pub status: Arc<StatusBoard>,
    pub phase: watch::Sender<Phase>,
    /// Told of each change of the leader; 0 while there is none.
    pub leader: watch::Sender<u64>,
    pub transport: Transport,
    pub inbox: Inbox,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub heartbeat: Duration,
}

impl StatusBoard {
    pub fn new(status: Status) -> Arc<StatusBoard> {
        let is_learner = AtomicBool::new(status.role == Role::Learner);
        Arc::new(StatusBoard { status: Mutex::new(status), is_learner })
    }

    pub fn get(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the member is a learner.
    pub fn is_learner(&self) -> bool {
        self.is_learner.load(Ordering::Relaxed)
    }

    fn set(&self, status: Status) {
        self.is_learner.store(status.role == Role::Learner, Ordering::Relaxed);
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Runs until the node has stopped or everyone who could tell it something is gone. Who still waits for an answer then is let
/// go.
pub fn drive(mut node: Node, inbox: Outbox, ends: Ends) {
    let mut tally = Tally { last: node.status(), leader: 0, pulse: Pulse::new(ends.heartbeat) };
    // What the start has left to do does not wait for the first tick.
    node.flush(ends.clock.now());
    while !carry_out_all(&mut node, &ends, &mut tally) {
        let patience = node.next_wakeup().saturating_sub(ends.clock.now().monotonic);
        let mut arrived = None;
        let gathered = inbox.gather(patience, BATCH_MAX, |event| {
            let at = *arrived.get_or_insert_with(|| ends.clock.now());
            node.handle(event, at);
        });
        if gathered.is_err() {
            break;
        }
        let now = ends.clock.now();
        node.wake(now);
        node.flush(now);
    }
    ends.waiters.close();
}

/// True once the node has stopped.
fn carry_out_all(node: &mut Node, ends: &Ends, tally: &mut Tally) -> bool {
    let status = node.status();
    ends.status.set(status);
    tally.count(status, &ends.metrics);
    let mut replies = Vec::new();
    let mut stopped = None;
    while let Some(action) = node.next_action() {
        match action {
            Action::Stopped { removed } => stopped = Some(removed),
            Action::Failed(why) => fatal("the member cannot go on", &why),
            action => {
                tally.watch(&action, ends);
                carry_out(action, ends, &mut replies);
            }
        }
    }
    if !replies.is_empty() {
        ends.waiters.deliver(replies);
    }
    if let Some(removed) = stopped {
        // The phase is watched by the thread that serves; without it nobody needs to know.
        ends.phase.send_replace(Phase::Stopped { removed });
    }
    stopped.is_some()
}

fn carry_out(action: Action, ends: &Ends, replies: &mut Vec<(Ticket, Reply)>) {
    // A receiver is gone only when its thread has failed, which stops the process.
    match action {
        Action::Persist(batch) => drop(ends.log.send(batch)),
        Action::Apply(batch) => drop(ends.applier.send(ToApplier::Batch(batch))),
        Action::Durable { commit } => drop(ends.applier.send(ToApplier::Durable { commit })),
        Action::Reply(ticket, outcome) => replies.push((ticket, Reply::Node(outcome))),
        Action::ReadReady(tickets) => replies.extend(tickets.into_iter().map(|ticket| (ticket, Reply::ReadReady))),
        Action::Published => drop(ends.phase.send_replace(Phase::Ready)),
        Action::Purge => drop(ends.purge.send(())),
        Action::Send(messages) => ends.transport.send(messages),
        Action::SendSnapshot(message) => drop(ends.applier.send(ToApplier::SendSnapshot(Box::new(message)))),
        Action::AskVersions => {
            let inbox = ends.inbox.clone();
            let report = |(member, server)| VersionReport { member, server };
            ends.transport.ask_versions(Box::new(move |answers| {
                inbox.answer(Event::Versions(answers.into_iter().map(report).collect()));
            }));
        }
        // Raft has its own lines, and the status board shows the rest.
        Action::RoleChanged { leader, .. } => {
            ends.leader.send_if_modified(|known| std::mem::replace(known, leader) != leader);
        }
        // Taken out before.
        Action::Stopped { .. } | Action::Failed(_) => {}
    }
}

/// Moves the counters by what the node has counted since.
struct Tally {
    last: Status,
    /// The last leader known, 0 before the first.
    leader: u64,
    pulse: Pulse,
}

impl Tally {
    fn watch(&mut self, action: &Action, ends: &Ends) {
        match action {
            Action::Send(messages) => {
                let late = self.pulse.leave(messages, ends.clock.now().monotonic);
                ends.metrics.heartbeat_send_failures.add(late);
            }
            Action::RoleChanged { .. } => self.pulse.restart(),
            _ => {}
        }
    }

    fn count(&mut self, status: Status, metrics: &Metrics) {
        let last = std::mem::replace(&mut self.last, status);
        for (counter, now, before) in [
            (&metrics.proposals_failed, status.proposals_failed, last.proposals_failed),
            (&metrics.slow_read_indexes, status.read_indexes_slow, last.read_indexes_slow),
            (&metrics.read_indexes_failed, status.read_indexes_failed, last.read_indexes_failed),
            (&metrics.leases_expired, status.leases_expired, last.leases_expired),
        ] {
            if now > before {
                counter.add(now - before);
            }
        }
        if status.leader != 0 && status.leader != std::mem::replace(&mut self.leader, status.leader) {
            metrics.leader_changes_seen.inc();
        }
    }
}
