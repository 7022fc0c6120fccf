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
    let mut erasures: Vec<u64> = Vec::new();
    let unanswered = operations.iter().filter(|o| o.ended.is_none() && o.action == Action::Write(None));
    erasures.extend(unanswered.map(|operation| operation.began));
    erasures.sort_unstable();
    let operations = prepared(operations);
    Search::new(&operations, erasures).run()
}

/// Leaves out what was not answered and not seen, and sets the end of what was seen without an answer. Of deletions it cannot be
/// told whether they were seen: unanswered ones are left out here.
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
    /// When deletions without an answer began. Each may happen once at any time after, and one is as good as another, so
    /// they are no operations of their own: one is taken where the register has to be empty and is not.
    erasures: Vec<u64>,
}

/// What the search has come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// A bit for each operation.
    done: Vec<u64>,
    value: Value,
    erased: usize,
}

/// A step of the search, to be taken back.
struct Taken {
    operation: usize,
    value: Value,
    erased: usize,
    /// Nothing else needs to be tried in its place.
    forced: bool,
}

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation], erasures: Vec<u64>) -> Search<'a> {
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
        Search { operations, entries, places, erasures }
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
        let done = vec![0u64; self.operations.len().div_ceil(64)];
        let mut state = State { done, value: None, erased: 0 };
        let mut dead_ends: HashSet<State> = HashSet::new();
        let mut taken: Vec<Taken> = Vec::new();
        let (mut place, mut fresh) = (self.entries[0].next, true);
        for _ in 0..STEPS_MAX {
            if std::mem::take(&mut fresh) {
                place = self.entries[0].next;
                // A read of what is there changes nothing: it may as well come now.
                if let Some(read) = self.readable(state.value) {
                    taken.push(self.take(read, &mut state, true));
                    fresh = true;
                    continue;
                }
            }
            if place == 0 {
                return Verdict::Linearizable;
            }
            let Entry { operation, is_return, next, .. } = self.entries[place];
            if is_return {
                match self.back(&mut taken, &mut state) {
                    Some(call) => place = self.entries[call].next,
                    None => return Verdict::Not,
                }
                continue;
            }
            if let Some((value, erased)) = self.step(operation, &state) {
                let step = self.take(operation, &mut state, false);
                (state.value, state.erased) = (value, erased);
                taken.push(step);
                if dead_ends.insert(state.clone()) {
                    fresh = true;
                    continue;
                }
                // Been here: this step alone is taken back.
                self.back(&mut taken, &mut state);
            }
            place = next;
        }
        Verdict::Undecided
    }

    /// An operation that may come next and reads this value.
    fn readable(&self, value: Value) -> Option<usize> {
        let mut place = self.entries[0].next;
        while place != 0 && !self.entries[place].is_return {
            let Entry { operation, next, .. } = self.entries[place];
            if self.operations[operation].action == Action::Read(value) {
                return Some(operation);
            }
            place = next;
        }
        None
    }

    /// The time before which the next operation must come.
    fn limit(&self) -> u64 {
        let mut place = self.entries[0].next;
        while place != 0 {
            let Entry { operation, is_return, next, .. } = self.entries[place];
            if is_return {
                return self.operations[operation].ended.unwrap_or(u64::MAX);
            }
            place = next;
        }
        u64::MAX
    }

    /// Takes an operation out of the list.
    fn take(&mut self, operation: usize, state: &mut State, forced: bool) -> Taken {
        state.done[operation / 64] |= 1 << (operation % 64);
        let (call, end) = self.places[operation];
        self.unlink(call);
        if let Some(end) = end {
            self.unlink(end);
        }
        Taken { operation, value: state.value, erased: state.erased, forced }
    }

    /// Takes steps back up to one that had alternatives; gives the place of its call.
    fn back(&mut self, taken: &mut Vec<Taken>, state: &mut State) -> Option<usize> {
        loop {
            let last = taken.pop()?;
            let (call, end) = self.places[last.operation];
            if let Some(end) = end {
                self.relink(end);
            }
            self.relink(call);
            state.done[last.operation / 64] &= !(1 << (last.operation % 64));
            (state.value, state.erased) = (last.value, last.erased);
            if !last.forced {
                return Some(call);
            }
        }
    }

    /// The register after an operation and the deletions used by then, or `None` if it cannot have happened now.
    fn step(&self, operation: usize, state: &State) -> Option<(Value, usize)> {
        let action = self.operations[operation].action;
        let needed = match action {
            Action::Write(new) => return Some((new, state.erased)),
            Action::Read(seen) => seen,
            Action::Swap { expected, .. } => expected,
        };
        let mut erased = state.erased;
        if needed != state.value {
            let limit = self.limit();
            if needed.is_some() || erased >= self.erasures.partition_point(|began| *began <= limit) {
                return None;
            }
            erased += 1;
        }
        match action {
            Action::Swap { new, .. } => Some((Some(new), erased)),
            _ => Some((needed, erased)),
        }
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
    fn an_unanswered_deletion_happens_once_and_not_before_it_began() {
        let erasure = |began| Operation { action: Action::Write(None), began, ended: None };
        let write = |began, value| at(began, began + 1, Action::Write(Some(value)));
        let empty = |began| at(began, began + 1, Action::Read(None));
        assert_eq!(judge(&[write(0, 1), erasure(2), empty(4)]), Verdict::Linearizable);
        assert_eq!(judge(&[write(0, 1), empty(4), erasure(6)]), Verdict::Not);
        let twice = [write(0, 1), erasure(2), empty(4), write(6, 2), empty(8)];
        assert_eq!(judge(&twice), Verdict::Not);
        let both = [write(0, 1), erasure(2), erasure(3), empty(4), write(6, 2), empty(8)];
        assert_eq!(judge(&both), Verdict::Linearizable);
    }

    #[test]
    fn many_unanswered_deletions_and_writes_at_once_are_decided() {
        let mut history = Vec::new();
        for round in 0..40u64 {
            let from = round * 100;
            for client in 0..8 {
                let value = round * 10 + client + 1;
                history.push(at(from + client, from + 90, Action::Write(Some(value))));
                history.push(Operation { action: Action::Write(None), began: from + client, ended: None });
            }
            history.push(at(from + 91, from + 92, Action::Read(Some(round * 10 + 4))));
            history.push(at(from + 93, from + 94, Action::Read(None)));
        }
        assert_eq!(judge(&history), Verdict::Linearizable);
        history.push(at(5000, 5001, Action::Read(Some(1))));
        assert_eq!(judge(&history), Verdict::Not);
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
