//! Appends under way to one peer, bounded in number and bytes.

use std::collections::VecDeque;

/// One append under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inflight {
    /// The index of its last entry.
    last_index: u64,
    bytes: u64,
}

/// A window of appends in the order of their indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflights {
    window: VecDeque<Inflight>,
    bytes: u64,
    count_max: usize,
    bytes_max: u64,
}

impl Inflights {
    /// An empty window. It is full once it holds `count_max` messages or at least `bytes_max` bytes.
    pub fn new(count_max: usize, bytes_max: u64) -> Self {
        Self { window: VecDeque::new(), bytes: 0, count_max, bytes_max }
    }

    /// Notes an append that ends at `last_index`. The window must not be full.
    pub fn add(&mut self, last_index: u64, bytes: u64) {
        assert!(!self.is_full(), "an append to {last_index} was sent through a full window");
        debug_assert!(self.window.back().is_none_or(|newest| newest.last_index < last_index));
        self.window.push_back(Inflight { last_index, bytes });
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes out the appends that end at or before `index`.
    pub fn free_to(&mut self, index: u64) {
        while let Some(oldest) = self.window.front().copied() {
            if oldest.last_index > index {
                break;
            }
            self.window.pop_front();
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
        }
    }

    /// Whether nothing more may be sent.
    pub fn is_full(&self) -> bool {
        self.window.len() >= self.count_max || self.bytes >= self.bytes_max
    }

    /// The number of appends under way.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Forgets all appends.
    pub fn clear(&mut self) {
        self.window.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NO_LIMIT;

    #[test]
    fn is_full_by_count() {
        let mut window = Inflights::new(2, NO_LIMIT);
        window.add(1, 10);
        assert!(!window.is_full());
        window.add(5, 10);
        assert!(window.is_full());
        window.free_to(0);
        assert_eq!(window.len(), 2);
        window.free_to(4);
        assert_eq!(window.len(), 1);
        window.free_to(9);
        assert!(window.is_empty());
    }

    #[test]
    fn is_full_by_bytes_and_overshoots_by_one_message() {
        let mut window = Inflights::new(10, 100);
        window.add(1, 60);
        assert!(!window.is_full());
        window.add(2, 60);
        assert!(window.is_full());
        window.free_to(1);
        assert!(!window.is_full());
        window.clear();
        assert_eq!((window.len(), window.bytes), (0, 0));
    }

    #[test]
    #[should_panic(expected = "full window")]
    fn refuses_more_than_it_holds() {
        let mut window = Inflights::new(1, NO_LIMIT);
        window.add(1, 0);
        window.add(2, 0);
    }
}
