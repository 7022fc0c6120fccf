//! Sweeping away what compactions left behind, in slices between entries (facts: disk-formats, 6.3).
//!
//! A compaction takes effect for every reader when its entry is applied; the sweep changes nothing that a read can see.
//! Compactions are swept in their order, each to its end, so that the hash of a compaction depends on its revision and
//! the one before alone: first the records in revision order, then the index, then `finishedCompactRev`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{Bucket, MetaKey};
use crate::error::Result;
use crate::record;
use crate::revision::Revision;
use crate::store::Store;
use crate::view::{CompactionHash, HashKv, Keep};

/// Hashes of compactions that are remembered.
const HASHES_MAX: usize = 10;
/// Compactions that wait to be swept; beyond, neighbours are swept as one, without a hash.
const WAITING_MAX: usize = 64;

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepProgress {
    /// Nothing was left to sweep.
    Idle,
    /// There is more.
    More,
    /// The sweep of this compaction ended with this slice; other compactions may wait.
    Finished { revision: i64 },
}

/// The compactions that are not swept yet.
#[derive(Default)]
pub(super) struct Sweeper {
    waiting: VecDeque<Compaction>,
    current: Option<Sweep>,
    /// Records swept away since the store was opened.
    pub(super) records: u64,
}

#[derive(Clone, Copy)]
struct Compaction {
    revision: i64,
    /// The compaction before.
    previous: i64,
    /// Whether the hash will be right: every record that it covers is still there.
    remember: bool,
}

struct Sweep {
    compaction: Compaction,
    stage: Stage,
}

enum Stage {
    /// Records from this revision on.
    Records(Revision, CompactionHash),
    /// Keys from this one on.
    Index(Bytes, CompactionHash),
}

impl Sweeper {
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// Takes up a compaction.
    pub fn schedule(&mut self, revision: i64, previous: i64) {
        let is_full = self.waiting.len() >= WAITING_MAX;
        match self.waiting.back_mut() {
            Some(last) if is_full => {
                *last = Compaction { revision, previous: last.previous, remember: false };
            }
            _ => self.waiting.push_back(Compaction { revision, previous, remember: true }),
        }
    }

    /// Takes up a compaction that an earlier run did not finish; some of its records may be gone.
    pub fn resume(&mut self, revision: i64, previous: i64) {
        self.waiting.push_back(Compaction { revision, previous, remember: false });
    }
}

impl Store {
    /// Sweeps away up to about `budget` records or keys that compactions left behind. Nothing that a read sees changes.
    pub fn sweep(&mut self, budget: usize) -> Result<SweepProgress> {
        let Some(sweep) = self.next_sweep() else { return Ok(SweepProgress::Idle) };
        let Compaction { revision, .. } = sweep.compaction;
        // A damaged file can hold a put and a tombstone of one revision, at which the next slice would begin again.
        let budget = budget.max(2);
        let stage = match sweep.stage {
            Stage::Records(from, hash) => self.sweep_records(revision, from, hash, budget)?,
            Stage::Index(from, hash) => match self.image.index.compact_slice(revision, &from, budget) {
                Some(next) => Stage::Index(next.into(), hash),
                None => {
                    self.finish_sweep(sweep.compaction, hash);
                    return Ok(SweepProgress::Finished { revision });
                }
            },
        };
        self.sweeper.current = Some(Sweep { stage, ..sweep });
        Ok(SweepProgress::More)
    }

    fn next_sweep(&mut self) -> Option<Sweep> {
        if let Some(sweep) = self.sweeper.current.take() {
            return Some(sweep);
        }
        let compaction = self.sweeper.waiting.pop_front()?;
        let hash = CompactionHash::new(compaction.previous);
        Some(Sweep { compaction, stage: Stage::Records(Revision::default(), hash) })
    }

    fn sweep_records(
        &mut self,
        revision: i64,
        from: Revision,
        mut hash: CompactionHash,
        budget: usize,
    ) -> Result<Stage> {
        let keep = Keep::new(&self.image.index, revision);
        let end = Revision::first_of(revision.saturating_add(1));
        let mut gone = Vec::new();
        let mut next = None;
        for (seen, record) in self.image.layers.records(from, end).enumerate() {
            let (key, value) = record?;
            if seen == budget {
                next = Some(key.revision);
                break;
            }
            let kept = keep.by_compaction(&record::key_of(&value)?, key.revision);
            hash.record(key, &value, kept)?;
            if !kept {
                gone.push(key);
            }
        }
        self.sweeper.records += gone.len() as u64;
        for key in gone {
            self.image.layers.live.sweep(key);
        }
        Ok(match next {
            Some(next) => Stage::Records(next, hash),
            None => Stage::Index(Bytes::new(), hash),
        })
    }

    fn finish_sweep(&mut self, compaction: Compaction, hash: CompactionHash) {
        let key = Bytes::from_static(MetaKey::FinishedCompact.bytes());
        let mark = Bytes::copy_from_slice(&Revision::first_of(compaction.revision).to_bytes());
        self.image.layers.live.set(Bucket::Meta, key, Some(mark));
        if compaction.remember {
            let hash = HashKv {
                hash: hash.finish(),
                hash_revision: compaction.revision,
                compact_revision: compaction.previous,
                current_revision: 0,
            };
            let hashes = &self.image.compaction_hashes;
            let forgotten = (hashes.len() + 1).saturating_sub(HASHES_MAX);
            self.image.compaction_hashes = hashes.iter().skip(forgotten).copied().chain([hash]).collect::<Arc<[_]>>();
        }
    }
}
