//! Virtual time: what happens when. Things due at one moment happen in the order in which they were planned.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// A queue of things to come.
#[derive(Debug)]
pub struct Schedule<T> {
    now: Duration,
    next_id: u64,
    order: BinaryHeap<Reverse<(Duration, u64)>>,
    things: BTreeMap<u64, T>,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self { now: Duration::ZERO, next_id: 0, order: BinaryHeap::new(), things: BTreeMap::new() }
    }
}

impl<T> Schedule<T> {
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Plans something; what is due already happens next.
    pub fn at(&mut self, when: Duration, thing: T) {
        let id = self.next_id;
        self.next_id += 1;
        self.order.push(Reverse((when.max(self.now), id)));
        self.things.insert(id, thing);
    }

    pub fn after(&mut self, delay: Duration, thing: T) {
        self.at(self.now + delay, thing);
    }

    /// Goes on to the next thing.
    pub fn next(&mut self) -> Option<T> {
        let Reverse((when, id)) = self.order.pop()?;
        self.now = when;
        self.things.remove(&id)
    }
}
