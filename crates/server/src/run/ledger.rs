//! What the applier does, in figures and lines: durations by kind of entry, operations, leases, sweeps.

use super::clock::Clock;
use super::figures::Figures;
use super::words;
use crate::logging::lines::{self, Compacted, SlowApply};
use crate::metrics::Metrics;
use mvcc::{EventBatch, EventKind, Image, SweepProgress};
use proto::errors::ClientError;
use proto::etcdserverpb::TxnResponse;
use proto::etcdserverpb::response_op::Response;
use proto::raftpb::{Entry, EntryType};
use state::{ApplyError, Effect, Outcome, Version};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hears of the applier's work on its own thread.
pub struct Ledger {
    pub metrics: Arc<Metrics>,
    pub figures: Arc<Figures>,
    pub clock: Clock,
    /// An entry that takes longer is logged.
    pub slow: Duration,
    pub times: Times,
}

/// Where pieces of work began.
pub struct Times {
    entry: Instant,
    slice: Instant,
    /// The first slice of the compaction that is being swept, and the records swept before it.
    sweep: Option<(Instant, u64)>,
    swept: u64,
}

impl Default for Times {
    fn default() -> Times {
        let now = Instant::now();
        Times { entry: now, slice: now, sweep: None, swept: 0 }
    }
}

impl node::Observer for Ledger {
    fn applying(&mut self) {
        self.times.entry = Instant::now();
    }

    fn applied(&mut self, entry: &Entry, applied: &state::Applied) {
        let now = Instant::now();
        let took = now.duration_since(std::mem::replace(&mut self.times.entry, now));
        self.count_leases(&applied.effects);
        let is_request = entry.entry_type == EntryType::EntryNormal as i32 && !entry.data.is_empty();
        let Some(outcome) = applied.outcome.as_ref().filter(|_| is_request) else { return };
        let refused = outcome.as_ref().err().filter(|error| !is_success(error));
        self.metrics.applies.observe(words::op_of(&entry.data), refused.is_none(), took);
        if let Ok(outcome) = outcome {
            self.count_operations(outcome);
        }
        if let Some(error) = refused {
            lines::failed_to_apply(took, &words::of_entry(&entry.data), &error.to_string());
        }
        if took > self.slow {
            self.metrics.slow_apply.inc();
            let error = outcome.as_ref().err().map(ToString::to_string);
            lines::apply_took_too_long(&SlowApply {
                took,
                expected: self.slow,
                prefix: "",
                request: &words::of_entry(&entry.data),
                response: &outcome.as_ref().map(words::of_outcome).unwrap_or_default(),
                error: error.as_deref(),
            });
        }
    }

    fn sweeping(&mut self) {
        self.times.slice = Instant::now();
    }

    fn swept(&mut self, progress: SweepProgress, swept_records: u64, image: &Image) {
        let began = self.times.slice;
        match progress {
            SweepProgress::Idle => return,
            SweepProgress::More => drop(self.times.sweep.get_or_insert((began, self.times.swept))),
            SweepProgress::Finished { revision } => {
                let (first, before) = self.times.sweep.take().unwrap_or((began, self.times.swept));
                self.finished(revision, first.elapsed(), swept_records - before, image);
            }
        }
        self.metrics.compaction_pause.observe(began.elapsed());
        self.metrics.compacted_keys.add(swept_records - self.times.swept);
        self.times.swept = swept_records;
    }

    fn migrated(&mut self, version: Version) {
        lines::storage_version_updated(&version.to_string());
    }
}

/// A second compaction at the same revision is none that failed.
fn is_success(error: &ApplyError) -> bool {
    matches!(error, ApplyError::Client(ClientError::Compacted))
}

impl Ledger {
    fn finished(&self, revision: i64, took: Duration, keys: u64, image: &Image) {
        self.metrics.compaction_total.observe(took);
        let unix_secs = self.clock.now().unix_millis / 1000;
        self.figures.compacted_at(i64::try_from(unix_secs).unwrap_or(i64::MAX));
        // A sweep that was cut short and resumed leaves no hash.
        let hash = image.hash_of_compaction(revision);
        let (db_bytes, db_bytes_in_use) = (image.size(), image.size_in_use());
        lines::compaction_finished(&Compacted { revision, took, keys, hash, db_bytes, db_bytes_in_use });
    }

    fn count_leases(&self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::LeaseGranted { ttl_secs, .. } => {
                    self.metrics.leases_granted.inc();
                    self.metrics.lease_ttls.observe_units(u64::try_from(*ttl_secs).unwrap_or_default());
                }
                Effect::LeaseRevoked { .. } => self.metrics.leases_revoked.inc(),
                _ => {}
            }
        }
    }

    fn count_operations(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Range(_) => self.metrics.ranges_run.inc(),
            Outcome::DeleteRange(_) => self.metrics.deletes.inc(),
            Outcome::Txn(response) => {
                let ops = Operations::of(response);
                self.metrics.ranges_run.add(ops.ranges);
                self.metrics.deletes.add(ops.deletes);
                if ops.ranges + ops.deletes + ops.puts > 1 {
                    self.metrics.txns.inc();
                }
            }
            _ => {}
        }
    }
}

/// The operations that a transaction carried out, nested ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    pub ranges: u64,
    pub puts: u64,
    pub deletes: u64,
}

impl Operations {
    pub fn of(response: &TxnResponse) -> Operations {
        let mut ops = Operations::default();
        for op in &response.responses {
            match &op.response {
                Some(Response::ResponseRange(_)) => ops.ranges += 1,
                Some(Response::ResponsePut(_)) => ops.puts += 1,
                Some(Response::ResponseDeleteRange(_)) => ops.deletes += 1,
                Some(Response::ResponseTxn(nested)) => {
                    let nested = Operations::of(nested);
                    ops.ranges += nested.ranges;
                    ops.puts += nested.puts;
                    ops.deletes += nested.deletes;
                }
                None => {}
            }
        }
        ops
    }
}

/// Counts the puts of a published batch: each has one event.
pub fn count_puts(metrics: &Metrics, batch: &EventBatch) {
    let puts = batch.events.iter().filter(|event| event.kind == EventKind::Put);
    let (count, bytes) = puts
        .fold((0, 0), |(count, bytes), event| (count + 1, bytes + (event.kv.key.len() + event.kv.value.len()) as u64));
    metrics.puts.add(count);
    metrics.put_bytes.add(bytes);
}
