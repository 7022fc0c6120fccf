//! The applier thread: owns the state; applies, answers, feeds the watch hubs, keeps commits and sweeps going.

use super::clock::Clock;
use super::fatal;
use super::figures::Figures;
use super::inbox::Inbox;
use super::ledger;
use super::peers::Source;
use super::served;
use super::waiters::{Reply, Waiters};
use crate::logging::lines::{self, MemberLine};
use crate::metrics::Metrics;
use ::peer::Transport;
use node::{Applier, ApplyBatch, CommitDone, CommitJob, Event, Now, Output, SnapshotTo, Ticket};
use proto::raftpb::Message;
use state::auth::password::HashJob;
use state::members::{Member, Membership};
use state::{Effect, StateReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Seal the state and hand it to the peer that this `MsgSnap` is for.
    SendSnapshot(Box<Message>),
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
    pub metrics: Arc<Metrics>,
    pub figures: Arc<Figures>,
    pub reader: StateReader,
    pub member_id: u64,
    pub cluster_id: u64,
    pub transport: Transport,
    /// Clients are let in.
    pub serving: Arc<AtomicBool>,
    /// The members last told of.
    pub members: Arc<Membership>,
}

/// Runs until it is told to stop and the last commit has ended.
pub fn apply(mut applier: Applier, queue: Receiver<ToApplier>, mut ends: Ends) {
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
        let installs = matches!(&message, Some(ToApplier::Batch(batch)) if batch.snapshot.is_some());
        ends.figures.set_installing(installs);
        let mut output = handle(&mut applier, message, now);
        ends.figures.set_installing(false);
        pass_on(&mut output, &mut ends, &mut jobs_open);
        if applier.next_wakeup() <= now.monotonic && !stopping {
            let mut output = applier.wake(now).unwrap_or_else(|failure| fatal("failed to keep the backend", &failure));
            pass_on(&mut output, &mut ends, &mut jobs_open);
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
        Some(ToApplier::SendSnapshot(message)) => applier.send_snapshot(*message, now),
        Some(ToApplier::Hashed(index, text)) => applier.hashed(index, text, now),
        Some(ToApplier::Stop) => applier.stop(now),
        None => Ok(Output::default()),
    };
    output.unwrap_or_else(|failure| fatal("failed to apply", &failure))
}

/// Gives an output to its receivers. Events go to the hubs before the replies leave, so that a client that has its answer finds
/// its write on every watch that it opens afterwards and on those it has.
fn pass_on(output: &mut Output, ends: &mut Ends, jobs_open: &mut usize) {
    if output.installed {
        ends.figures.set_live_keys(ends.reader.view().kv().count(b"\0", b"\0"));
        tell_members(ends);
    }
    for effect in output.effects.drain(..) {
        take_effect(&effect, ends);
    }
    if let Some(events) = output.events.take() {
        if !output.installed {
            ends.figures.count_keys(&events);
        }
        ledger::count_puts(&ends.metrics, &events);
        ends.watchers.feed(events);
    }
    if !output.replies.is_empty() {
        ends.waiters.deliver(output.replies.drain(..).map(|(ticket, outcome)| (ticket, Reply::Applied(outcome))));
    }
    for event in output.driver.drain(..) {
        if let Event::SnapshotSaved(record) = &event {
            lines::saved_snapshot(record.index);
        }
        ends.inbox.answer(event);
    }
    for ready in output.snapshots.drain(..) {
        match ready.to {
            SnapshotTo::Client(ticket) => ends.waiters.deliver([(ticket, Reply::Snapshot(ready.source))]),
            SnapshotTo::Peer(message) => {
                let source = Source::new(&ready.source, &ends.figures.pins);
                ends.transport.send_snapshot(*message, Box::new(source));
            }
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

fn take_effect(effect: &Effect, ends: &mut Ends) {
    match effect {
        Effect::ClusterVersionChanged { from, to } => {
            let short = format!("{}.{}", to.major, to.minor);
            if from.is_none() {
                lines::set_initial_cluster_version(ends.member_id, ends.cluster_id, &short);
            }
            lines::cluster_version_updated(&short);
        }
        Effect::MembersChanged => tell_members(ends),
        // Nobody can switch it on while clients are served; whoever did must not find the data open to everybody.
        Effect::AuthChanged | Effect::AllTokensDropped if ends.serving.load(Ordering::SeqCst) => {
            if let Err(failure) = served::check_auth(&ends.reader.view()) {
                fatal("authentication was enabled", &failure);
            }
        }
        _ => {}
    }
}

/// Tells who came, who went, and who is another than before.
fn tell_members(ends: &mut Ends) {
    let now = ends.reader.view().members().clone();
    ends.transport.set_members(&now.to_proto());
    let before = std::mem::replace(&mut ends.members, now.clone());
    let line = |member: &Member| MemberLine {
        cluster: ends.cluster_id,
        local: ends.member_id,
        member: member.id,
        peer_urls: &[],
        is_learner: member.is_learner,
    };
    for member in now.iter().filter(|member| before.get(member.id).is_none()) {
        lines::added_member(&MemberLine { peer_urls: &member.peer_urls, ..line(member) });
    }
    for member in before.iter().filter(|member| now.get(member.id).is_none()) {
        lines::removed_member(&MemberLine { peer_urls: &member.peer_urls, ..line(member) });
    }
    for (old, new) in now.iter().filter_map(|new| Some((before.get(new.id)?, new))) {
        if old.is_learner && !new.is_learner {
            lines::promoted_member(&line(new));
        }
        if old.peer_urls != new.peer_urls {
            lines::updated_member(&MemberLine { peer_urls: &new.peer_urls, ..line(new) });
        }
    }
}
