//! Whether what clients saw of one register is linearizable: a search, after Wing and Gong, for an order of the operations that
//! a plain register could have gone through, with the memory of dead ends that Lowe added. It uses no revision, so it
//! stands beside [`super::history`], which trusts them. Values are unique, so a write that was never seen may be left out.

use std::collections::{BTreeMap, HashSet};

/// How many steps the search may take before it gives up.
const STEPS_MAX: usize = 3_000_000;

/// A value of the register: `None` where there is no key.
pub type Value = Option<u64>;

/// What was asked and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Read(Value),
    Write(Value),
    /// A write under the condition that the register held this; the answer said that it did, or there was none.
    Swap {
        expected: Value,
        new: u64,
        answered: bool,
    },
}

/// One operation with its times, of any clock.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub action: Action,
    pub began: u64,
    /// `None` where no answer came: it may have happened at any time after, or never.
    pub ended: Option<u64>,
}

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    Not,
    /// The search was given up.
    Undecided,
}

/// Judges the operations on one register, which begins empty.
pub fn judge(operations: &[Operation]) -> Verdict {
    let operations = prepared(operations);
    Search::new(&operations).run()
}

/// Leaves out what was not answered and not seen, and sets the end of what was seen without an answer.
fn prepared(operations: &[Operation]) -> Vec<Operation> {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for operation in operations {
        let value = match operation.action {
            Action::Read(value) => value,
            Action::Swap { expected, answered: true, .. } => expected,
            Action::Swap { answered: false, .. } | Action::Write(_) => None,
        };
        if let (Some(value), Some(ended)) = (value, operation.ended) {
            let first = seen.entry(value).or_insert(ended);
            *first = ended.min(*first);
        }
    }
    let mut kept = Vec::new();
    for operation in operations {
        let written = match operation.action {
            Action::Read(_) => None,
            Action::Write(value) => value,
            Action::Swap { new, .. } => Some(new),
        };
        let ended = match (operation.ended, operation.action, written.and_then(|value| seen.get(&value))) {
            (Some(ended), _, _) => Some(ended),
            (None, Action::Read(_), _) => continue,
            (None, Action::Write(None), _) => None,
            (None, _, Some(first_seen)) => Some(*first_seen),
            (None, _, None) => continue,
        };
        kept.push(Operation { ended, ..*operation });
    }
    kept
}

/// A place in the list of calls and returns in the order of time.
#[derive(Clone, Copy, Debug)]
struct Entry {
    operation: usize,
    is_return: bool,
    previous: usize,
    next: usize,
}

/// The list is linked through places in `entries`; 0 is its head and its end.
struct Search<'a> {
    operations: &'a [Operation],
    entries: Vec<Entry>,
    /// For each operation the places of its call and, if it returned, of its return.
    places: Vec<(usize, Option<usize>)>,
}

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation]) -> Search<'a> {
        let mut moments: Vec<(u64, bool, usize)> = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            moments.push((operation.began, false, number));
            if let Some(ended) = operation.ended {
                moments.push((ended, true, number));
            }
        }
        // Calls come before returns of the same moment: then they overlap, which forbids less.
        moments.sort_unstable();
        let last = moments.len();
        let mut entries = vec![Entry { operation: usize::MAX, is_return: false, previous: last, next: last.min(1) }];
        let mut places = vec![(0, None); operations.len()];
        for (place, (_, is_return, operation)) in (1..).zip(moments) {
            let next = if place == last { 0 } else { place + 1 };
            entries.push(Entry { operation, is_return, previous: place - 1, next });
            if is_return {
                places[operation].1 = Some(place);
            } else {
                places[operation].0 = place;
            }
        }
        Search { operations, entries, places }
    }

    fn unlink(&mut self, place: usize) {
        let Entry { previous, next, .. } = self.entries[place];
        self.entries[previous].next = next;
        self.entries[next].previous = previous;
    }

    fn relink(&mut self, place: usize) {
        let Entry { previous, next, .. } = self.entries[place];
        self.entries[previous].next = place;
        self.entries[next].previous = place;
    }

    fn run(mut self) -> Verdict {
        let mut done = vec![0u64; self.operations.len().div_ceil(64)];
        let mut dead_ends: HashSet<(Vec<u64>, Value)> = HashSet::new();
        let mut taken: Vec<(usize, Value)> = Vec::new();
        let (mut value, mut place) = (None, self.entries[0].next);
        for _ in 0..STEPS_MAX {
            // No return is left, so all that is left may never have happened.
            if place == 0 {
                return Verdict::Linearizable;
            }
            let Entry { operation, is_return, next, .. } = self.entries[place];
            if is_return {
                let Some((last, before)) = taken.pop() else { return Verdict::Not };
                let (call, end) = self.places[last];
                if let Some(end) = end {
                    self.relink(end);
                }
                self.relink(call);
                done[last / 64] &= !(1 << (last % 64));
                (value, place) = (before, self.entries[call].next);
                continue;
            }
            let after = step(self.operations[operation].action, value);
            if let Some(after) = after {
                done[operation / 64] |= 1 << (operation % 64);
                if dead_ends.insert((done.clone(), after)) {
                    taken.push((operation, value));
                    let (call, end) = self.places[operation];
                    self.unlink(call);
                    if let Some(end) = end {
                        self.unlink(end);
                    }
                    (value, place) = (after, self.entries[0].next);
                    continue;
                }
                done[operation / 64] &= !(1 << (operation % 64));
            }
            place = next;
        }
        Verdict::Undecided
    }
}

/// The register after an operation, or `None` if it cannot have happened then.
fn step(action: Action, value: Value) -> Option<Value> {
    match action {
        Action::Read(seen) => (seen == value).then_some(value),
        Action::Write(new) => Some(new),
        Action::Swap { expected, new, .. } => (expected == value).then_some(Some(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: u64, ended: u64, action: Action) -> Operation {
        Operation { action, began, ended: Some(ended) }
    }

    #[test]
    fn one_after_the_other() {
        let history =
            [at(0, 1, Action::Write(Some(1))), at(2, 3, Action::Read(Some(1))), at(4, 5, Action::Write(None))];
        assert_eq!(judge(&history), Verdict::Linearizable);
    }

    #[test]
    fn a_stale_read_is_found() {
        let history =
            [at(0, 1, Action::Write(Some(1))), at(2, 3, Action::Write(Some(2))), at(4, 5, Action::Read(Some(1)))];
        assert_eq!(judge(&history), Verdict::Not);
    }

    #[test]
    fn reads_that_go_back_are_found() {
        let history = [
            at(0, 1, Action::Write(Some(1))),
            at(2, 9, Action::Write(Some(2))),
            at(3, 4, Action::Read(Some(2))),
            at(5, 6, Action::Read(Some(1))),
        ];
        assert_eq!(judge(&history), Verdict::Not);
    }

    #[test]
    fn overlapping_operations_may_take_either_order() {
        for seen in [1, 2] {
            let history = [
                at(0, 9, Action::Write(Some(1))),
                at(0, 9, Action::Write(Some(2))),
                at(10, 11, Action::Read(Some(seen))),
            ];
            assert_eq!(judge(&history), Verdict::Linearizable);
        }
    }

    #[test]
    fn an_unanswered_write_may_have_happened_or_not() {
        let unanswered = Operation { action: Action::Write(Some(2)), began: 2, ended: None };
        for seen in [1, 2] {
            let history = [at(0, 1, Action::Write(Some(1))), unanswered, at(8, 9, Action::Read(Some(seen)))];
            assert_eq!(judge(&history), Verdict::Linearizable);
        }
        let undone = [
            at(0, 1, Action::Write(Some(1))),
            unanswered,
            at(4, 5, Action::Read(Some(2))),
            at(8, 9, Action::Read(Some(1))),
        ];
        assert_eq!(judge(&undone), Verdict::Not);
    }

    #[test]
    fn a_swap_needs_what_it_expected() {
        let swap = |expected, new| Action::Swap { expected, new, answered: true };
        let fine = [at(0, 1, swap(None, 1)), at(2, 3, swap(Some(1), 2)), at(4, 5, Action::Read(Some(2)))];
        assert_eq!(judge(&fine), Verdict::Linearizable);
        let lost = [at(0, 1, swap(None, 1)), at(2, 3, swap(Some(1), 2)), at(4, 5, swap(Some(1), 3))];
        assert_eq!(judge(&lost), Verdict::Not);
    }
}
