//! The threads that may wait for the disk: the log writer, the committer of the backend, the purger of old files.

use super::applier::{Job, ToApplier};
use super::fatal;
use super::inbox::Inbox;
use crate::logging::lines;
use crate::metrics::Metrics;
use node::boot::Purger;
use node::{Batch, Event, LogWriter};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

/// Appends what has gathered, syncs once, answers; closes the log when the driver has gone. A failure stops the process: what
/// a failed sync has lost is unknown.
pub fn write_log(mut writer: LogWriter, batches: Receiver<Batch>, inbox: Inbox) {
    let mut next = batches.recv().ok();
    let mut spare_failed = false;
    while let Some(first) = next {
        let gathered = std::iter::once(first).chain(std::iter::from_fn(|| batches.try_recv().ok()));
        for batch in gathered {
            if let Err(failure) = writer.append(batch) {
                fatal("failed to save Raft hard state and entries", &failure);
            }
        }
        match writer.sync() {
            Ok(Some(persisted)) => inbox.answer(Event::Persisted(persisted)),
            Ok(None) => {}
            Err(failure) => fatal("failed to save Raft hard state and entries", &failure),
        }
        next = batches.try_recv().ok().or_else(|| {
            // Nobody waits for the disk now. The present segment has its space: a full disk stops the member only where the
            // next one is needed.
            let prepared = if spare_failed { Ok(()) } else { writer.prepare_next() };
            if let Err(failure) = prepared {
                tracing::warn!(error = %failure, "failed to preallocate space when creating a new WAL");
                spare_failed = true;
            }
            batches.recv().ok()
        });
    }
    if let Err(failure) = writer.close() {
        tracing::warn!(error = %failure, "failed to close WAL");
    }
}

/// Runs the applier's blocking jobs one by one and gives the results back to it.
pub fn commit(jobs: Receiver<Job>, applier: Sender<ToApplier>, metrics: Arc<Metrics>) {
    while let Ok(job) = jobs.recv() {
        let answer = match job {
            Job::Commit(job) => {
                let (began, is_commit) = (Instant::now(), job.is_commit());
                let done = job.run().unwrap_or_else(|failure| fatal("failed to commit the backend", &failure));
                if is_commit {
                    metrics.backend_commit.observe(began.elapsed());
                }
                ToApplier::Committed(done)
            }
            Job::Hash(job) => ToApplier::Hashed(job.index, job.run()),
        };
        // The applier is gone only when the process ends.
        drop(applier.send(answer));
    }
}

/// Removes old log segments and snapshots whenever it is told to.
pub fn purge(purger: Purger, rounds: Receiver<()>) {
    while rounds.recv().is_ok() {
        match purger.purge() {
            Ok(paths) => paths.iter().for_each(|path| lines::purged(path)),
            Err(failure) => tracing::warn!(error = %failure, "failed to purge old files"),
        }
    }
}
