//! Who reaches whom, and how badly.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::rng::Rng;

/// The network between members, by their places.
#[derive(Debug, Default)]
pub struct Network {
    /// Ordered pairs between which nothing passes.
    pub cut: BTreeSet<(usize, usize)>,
    pub loss_permille: u64,
    pub duplicate_permille: u64,
    pub delay_max: Duration,
}

impl Network {
    pub fn passes(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Splits off a group; with `one_way` only what it sends is lost.
    pub fn split(&mut self, group: &BTreeSet<usize>, members: usize, one_way: bool) {
        for inside in group {
            for outside in (0..members).filter(|member| !group.contains(member)) {
                self.cut.insert((*inside, outside));
                if !one_way {
                    self.cut.insert((outside, *inside));
                }
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// When a message arrives, for each copy of it that does.
    pub fn arrivals(&self, rng: &mut Rng, may_double: bool) -> Vec<Duration> {
        let mut arrivals = Vec::new();
        if !rng.permille(self.loss_permille) {
            arrivals.push(self.delay(rng));
        }
        if may_double && rng.permille(self.duplicate_permille) {
            arrivals.push(self.delay(rng));
        }
        arrivals
    }

    fn delay(&self, rng: &mut Rng) -> Duration {
        let max = self.delay_max.as_micros() as u64;
        // Most messages are quick; some are so late that others overtake them.
        let bound = if rng.permille(50) { max * 10 } else { max };
        Duration::from_micros(rng.between(100, bound.max(101)))
    }
}
