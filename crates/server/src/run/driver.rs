//! The driver thread: owns the node, waits for nothing but its inbox, and hands its actions to those who carry them out.

use super::applier::ToApplier;
use super::clock::Clock;
use super::inbox::Outbox;
use super::waiters::{Reply, Waiters};
use node::{Action, Batch, Node, Status, Ticket};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// Events taken as one batch at most, so that a flood does not starve the clock.
const BATCH_MAX: usize = 4096;

/// What the member shows of itself, refreshed after each batch.
#[derive(Debug)]
pub struct StatusBoard(Mutex<Status>);

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
    pub phase: tokio::sync::watch::Sender<Phase>,
    pub clock: Clock,
}

impl StatusBoard {
    pub fn new(status: Status) -> Arc<StatusBoard> {
        Arc::new(StatusBoard(Mutex::new(status)))
    }

    pub fn get(&self) -> Status {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Runs until the node has stopped or everyone who could tell it something is gone.
pub fn drive(mut node: Node, inbox: Outbox, ends: Ends) {
    loop {
        ends.status.set(node.status());
        let mut replies = Vec::new();
        while let Some(action) = node.next_action() {
            if let Action::Stopped { removed } = action {
                ends.waiters.deliver(replies);
                // The phase is watched by the thread that serves; without it nobody needs to know.
                ends.phase.send_replace(Phase::Stopped { removed });
                return;
            }
            carry_out(action, &ends, &mut replies);
        }
        if !replies.is_empty() {
            ends.waiters.deliver(replies);
        }
        let patience = node.next_wakeup().saturating_sub(ends.clock.now().monotonic);
        if inbox.gather(patience, BATCH_MAX, |event| node.handle(event, ends.clock.now())).is_err() {
            return;
        }
        let now = ends.clock.now();
        node.wake(now);
        node.flush(now);
    }
}

fn carry_out(action: Action, ends: &Ends, replies: &mut Vec<(Ticket, Reply)>) {
    // A receiver is gone only when its thread has failed, which stops the process.
    match action {
        Action::Persist(batch) => drop(ends.log.send(batch)),
        Action::Apply(batch) => drop(ends.applier.send(ToApplier::Batch(batch))),
        Action::Durable { commit } => drop(ends.applier.send(ToApplier::Durable { commit })),
        Action::Reply(ticket, outcome) => replies.push((ticket, Reply::Node(outcome))),
        Action::ReadReady(tickets) => replies.extend(tickets.into_iter().map(|ticket| (ticket, Reply::ReadReady))),
        Action::RoleChanged { role, term, leader } => {
            tracing::info!(role = ?role, term, leader = %format!("{leader:x}"), "raft role changed");
        }
        Action::Published => drop(ends.phase.send_replace(Phase::Ready)),
        Action::Purge => drop(ends.purge.send(())),
        // One member has no peers: nothing is sent, nobody's version is asked for.
        Action::Send(_) | Action::AskVersions | Action::SendSnapshot(_) => {}
        Action::Stopped { .. } => {}
    }
}
