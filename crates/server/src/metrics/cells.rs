//! Counters and histograms that cost an atomic addition on a cache line that other threads rarely touch.
//!
//! All cells of a registry lie in one slab, and each of a few shards has its own copy; a thread always uses the same
//! shard. Reading adds the shards up.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::buckets::Buckets;

/// Cells of one shard; a test of the registry sees to it that they suffice.
const CELLS: usize = 8192;
/// Threads that count beside those of the front doors, of which there is one for each core.
const OTHER_THREADS: usize = 6;
const SHARDS_MAX: usize = 64;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A number of its own for each thread, from 0 on.
fn thread_number() -> usize {
    SHARD.with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(THREADS.fetch_add(1, Ordering::Relaxed));
        }
        shard.get()
    })
}

/// The cells of a registry.
#[derive(Debug)]
pub struct Slab {
    /// A power of two.
    shards: Vec<Box<[AtomicU64]>>,
    used: AtomicUsize,
}

impl Slab {
    /// As many shards as there are threads that count, up to a bound: two that share one would wait for each other's lines.
    pub fn new() -> Arc<Slab> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shards = (cores + OTHER_THREADS).min(SHARDS_MAX).next_power_of_two();
        let shard = || std::iter::repeat_with(|| AtomicU64::new(0)).take(CELLS).collect();
        Arc::new(Slab { shards: std::iter::repeat_with(shard).take(shards).collect(), used: AtomicUsize::new(0) })
    }

    /// Takes cells and returns the first.
    fn take(&self, cells: usize) -> usize {
        let first = self.used.fetch_add(cells, Ordering::Relaxed);
        assert!(first + cells <= CELLS, "the slab has {CELLS} cells, {} are asked for", first + cells);
        first
    }

    fn add(&self, cell: usize, n: u64) {
        let shard = &self.shards[thread_number() & (self.shards.len() - 1)];
        shard[cell].fetch_add(n, Ordering::Relaxed);
    }

    fn sum(&self, cell: usize) -> u64 {
        self.shards.iter().map(|shard| shard[cell].load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Counter {
    slab: Arc<Slab>,
    cell: usize,
}

impl Counter {
    pub fn new(slab: &Arc<Slab>) -> Counter {
        Counter { slab: slab.clone(), cell: slab.take(1) }
    }

    pub fn inc(&self) {
        self.add(1);
    }

    pub fn add(&self, n: u64) {
        self.slab.add(self.cell, n);
    }

    pub fn value(&self) -> u64 {
        self.slab.sum(self.cell)
    }
}

/// Observations counted by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    slab: Arc<Slab>,
    /// One cell for each bucket, one for what is above all, one for the sum.
    first: usize,
    buckets: &'static Buckets,
}

impl Histogram {
    pub fn new(slab: &Arc<Slab>, buckets: &'static Buckets) -> Histogram {
        Histogram { slab: slab.clone(), first: slab.take(buckets.bounds.len() + 2), buckets }
    }

    /// A duration, for buckets in seconds or milliseconds.
    pub fn observe(&self, took: Duration) {
        self.observe_nanos(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A plain number in the unit of the buckets.
    pub fn observe_units(&self, units: u64) {
        self.observe_nanos(units.saturating_mul(self.buckets.nanos_per_unit));
    }

    fn observe_nanos(&self, nanos: u64) {
        let bucket = self.buckets.nanos.partition_point(|bound| *bound < nanos);
        self.slab.add(self.first + bucket, 1);
        self.slab.add(self.first + self.buckets.bounds.len() + 1, nanos);
    }

    pub fn buckets(&self) -> &'static Buckets {
        self.buckets
    }

    /// Observations in each bucket and above them all, not added up.
    pub fn counts(&self) -> Vec<u64> {
        (0..=self.buckets.bounds.len()).map(|n| self.slab.sum(self.first + n)).collect()
    }

    /// In the unit of the buckets.
    pub fn sum(&self) -> f64 {
        self.slab.sum(self.first + self.buckets.bounds.len() + 1) as f64 / self.buckets.nanos_per_unit as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::buckets::E1;
    use super::*;

    #[test]
    fn counts_over_threads() {
        let slab = Slab::new();
        let counter = Counter::new(&slab);
        let histogram = Histogram::new(&slab, &E1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.inc();
                        histogram.observe(Duration::from_millis(1));
                    }
                });
            }
        });
        assert_eq!(counter.value(), 4000);
        assert_eq!(histogram.counts()[0], 4000, "a bound belongs to its bucket");
        assert!((histogram.sum() - 4.0).abs() < 1e-9);
        histogram.observe(Duration::from_secs(100));
        assert_eq!(histogram.counts().last(), Some(&1));
    }
}
