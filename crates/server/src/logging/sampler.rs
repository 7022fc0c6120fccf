//! Of lines with equal level and message the first 100 in a second pass, then every hundredth.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::config::LogLevel;

const FIRST: u64 = 100;
const THEN_EVERY: u64 = 100;
/// Messages that fall on one counter are counted together.
const COUNTERS: usize = 4096;

/// Counts lines.
pub struct Sampler {
    start: Instant,
    counters: Vec<Counter>,
}

#[derive(Default)]
struct Counter {
    /// The second since the start that is being counted.
    second: AtomicU64,
    count: AtomicU64,
}

impl Sampler {
    pub fn new() -> Sampler {
        Sampler { start: Instant::now(), counters: std::iter::repeat_with(Counter::default).take(COUNTERS).collect() }
    }

    /// Whether this line may pass now. What ends the process always does.
    pub fn passes(&self, level: LogLevel, message: &str) -> bool {
        level >= LogLevel::DPanic || self.passes_at(self.start.elapsed().as_secs(), level, message)
    }

    fn passes_at(&self, second: u64, level: LogLevel, message: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (level as u8, message).hash(&mut hasher);
        let counter = &self.counters[hasher.finish() as usize % COUNTERS];
        if counter.second.swap(second, Ordering::Relaxed) != second {
            counter.count.store(0, Ordering::Relaxed);
        }
        let n = counter.count.fetch_add(1, Ordering::Relaxed) + 1;
        n <= FIRST || (n - FIRST).is_multiple_of(THEN_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_the_first_hundred_pass_then_every_hundredth() {
        let sampler = Sampler::new();
        let passed = |second| (0..300).filter(|_| sampler.passes_at(second, LogLevel::Info, "m")).count();
        assert_eq!(passed(1), 102);
        assert_eq!(passed(2), 102, "a new second counts anew");
        assert!((0..300).all(|_| sampler.passes(LogLevel::Fatal, "m")));
    }
}
