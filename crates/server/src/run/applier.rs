//! The applier thread: owns the state; applies, answers, feeds the watch hubs, keeps commits and sweeps going.

use super::clock::Clock;
use super::fatal;
use super::inbox::Inbox;
use super::waiters::{Reply, Waiters};
use node::{Applier, ApplyBatch, CommitDone, CommitJob, Now, Output, SnapshotTo, Ticket};
use state::auth::password::HashJob;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};

/// What the applier is told.
pub enum ToApplier {
    Batch(ApplyBatch),
    Durable {
        commit: u64,
    },
    Committed(CommitDone),
    /// Rewrite the backend file; the ticket is answered when that is done.
    Defragment(Ticket),
    /// Give the database as of the last entry applied to this ticket.
    Snapshot(Ticket),
    /// A password is hashed: the index of its entry, and the text.
    Hashed(u64, String),
    /// Commit everything and end.
    Stop,
}

/// Work that blocks, for the committer's thread.
pub enum Job {
    Commit(CommitJob),
    Hash(HashJob),
}

/// Where the applier's output goes.
pub struct Ends {
    pub inbox: Inbox,
    pub waiters: Arc<Waiters>,
    pub jobs: Sender<Job>,
    pub watchers: super::watchers::Feeds,
    pub clock: Clock,
}

/// Runs until it is told to stop and the last commit has ended.
pub fn apply(mut applier: Applier, queue: Receiver<ToApplier>, ends: Ends) {
    let mut stopping = false;
    let mut jobs_open = 0usize;
    loop {
        let now = ends.clock.now();
        let patience = applier.next_wakeup().saturating_sub(now.monotonic);
        let message = match queue.recv_timeout(patience) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(ToApplier::Committed(_) | ToApplier::Hashed(..)) = message {
            jobs_open -= 1;
        }
        stopping |= matches!(message, Some(ToApplier::Stop));
        let now = ends.clock.now();
        let mut output = handle(&mut applier, message, now);
        pass_on(&mut output, &ends, &mut jobs_open);
        if applier.next_wakeup() <= now.monotonic && !stopping {
            let mut output = applier.wake(now).unwrap_or_else(|failure| fatal("failed to keep the backend", &failure));
            pass_on(&mut output, &ends, &mut jobs_open);
        }
        if stopping && jobs_open == 0 {
            return;
        }
    }
}

fn handle(applier: &mut Applier, message: Option<ToApplier>, now: Now) -> Output {
    let output = match message {
        Some(ToApplier::Batch(batch)) => applier.apply(batch, now),
        Some(ToApplier::Durable { commit }) => applier.durable(commit, now),
        Some(ToApplier::Committed(done)) => applier.committed(done, now),
        Some(ToApplier::Defragment(ticket)) => applier.defragment(ticket, now),
        Some(ToApplier::Snapshot(ticket)) => applier.snapshot(ticket, now),
        Some(ToApplier::Hashed(index, text)) => applier.hashed(index, text, now),
        Some(ToApplier::Stop) => applier.stop(now),
        None => Ok(Output::default()),
    };
    output.unwrap_or_else(|failure| fatal("failed to apply", &failure))
}

/// Gives an output to its receivers. Events go to the hubs before the replies leave, so that a client that has its answer finds
/// its write on every watch that it opens afterwards and on those it has.
fn pass_on(output: &mut Output, ends: &Ends, jobs_open: &mut usize) {
    if let Some(events) = output.events.take() {
        ends.watchers.feed(events);
    }
    if !output.replies.is_empty() {
        ends.waiters.deliver(output.replies.drain(..).map(|(ticket, outcome)| (ticket, Reply::Applied(outcome))));
    }
    for event in output.driver.drain(..) {
        ends.inbox.answer(event);
    }
    for ready in output.snapshots.drain(..) {
        if let SnapshotTo::Client(ticket) = ready.to {
            ends.waiters.deliver([(ticket, Reply::Snapshot(ready.source))]);
        }
    }
    let commit = output.job.take().map(Job::Commit);
    let hash = output.hash.take().map(Job::Hash);
    for job in commit.into_iter().chain(hash) {
        *jobs_open += 1;
        if ends.jobs.send(job).is_err() {
            fatal("failed to commit the backend", &"the committer has ended");
        }
    }
}
