//! What clients and watchers saw, and what must hold of it. Every answer names a revision and revisions order the changes, so the
//! history is linearizable if each answer agrees with the changes up to its revision, and revisions never contradict
//! real time: whatever began after an answer sees that answer's revision, and a write that began after it comes behind
//! it. The changes themselves are those that watchers were told; all watchers must have been told the same, without a
//! gap, and what was acknowledged must be among them.

use super::linear::{self, Action, Operation, Value, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// How many violations are kept in words.
const KEPT: usize = 20;
/// The revision of the first change: a new store is at 1.
pub const FIRST: i64 = 2;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    /// `None` for a deletion.
    pub value: Value,
}

/// What a client did to a register and was told.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: String,
    pub action: Action,
    /// Of the clock of the history.
    pub began: u64,
    pub ended: Option<u64>,
    /// The revision of the answer.
    pub revision: i64,
    /// Whether real time counts: not for serializable reads.
    pub linearizable: bool,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    at: u64,
    /// The highest revision in any answer before.
    floor: i64,
}

/// What a watcher of a prefix was told.
#[derive(Debug)]
pub struct ToldPrefix {
    pub watcher: String,
    pub prefix: &'static str,
    pub told: BTreeMap<i64, Vec<Change>>,
    pub next: i64,
}

/// All that was seen.
#[derive(Debug)]
pub struct History {
    start: Instant,
    highest: i64,
    records: Vec<Record>,
    /// The changes by revision, as first told.
    changes: BTreeMap<i64, Vec<Change>>,
    prefixes: Vec<ToldPrefix>,
    /// Bulk writes that were acknowledged: key and revision.
    bulk: Vec<(String, i64)>,
    pub violations: Vec<String>,
    pub violated: usize,
    pub answered: usize,
    pub unanswered: usize,
    pub events: usize,
    pub reconnects: usize,
}

impl Default for History {
    fn default() -> History {
        History {
            start: Instant::now(),
            highest: 0,
            records: vec![],
            changes: BTreeMap::new(),
            prefixes: vec![],
            bulk: vec![],
            violations: vec![],
            violated: 0,
            answered: 0,
            unanswered: 0,
            events: 0,
            reconnects: 0,
        }
    }
}

impl History {
    pub fn violation(&mut self, what: String) {
        self.violated += 1;
        if self.violations.len() < KEPT {
            println!("VIOLATION: {what}");
            self.violations.push(what);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn begin(&self) -> Begun {
        Begun { at: self.now(), floor: self.highest }
    }

    /// The highest revision that any answer named.
    pub fn highest(&self) -> i64 {
        self.highest
    }

    /// An answer: checks real time at once, and keeps the rest for the end.
    pub fn answer(&mut self, begun: Begun, key: &str, action: Action, revision: i64, linearizable: bool) {
        let (ended, floor) = (self.now(), begun.floor);
        // A deletion of nothing makes no revision.
        let wrote = matches!(action, Action::Write(Some(_)) | Action::Swap { .. });
        if linearizable && (revision < floor || (wrote && revision == floor)) {
            self.violation(format!(
                "{action:?} of {key} was answered at revision {revision}, but {floor} was seen before it began"
            ));
        }
        self.highest = self.highest.max(revision);
        self.answered += 1;
        let record =
            Record { key: key.to_owned(), action, began: begun.at, ended: Some(ended), revision, linearizable };
        self.records.push(record);
    }

    /// No answer came to a write, which may happen yet. Reads without an answer say nothing.
    pub fn no_answer(&mut self, begun: Begun, key: &str, action: Action) {
        self.unanswered += 1;
        if !matches!(action, Action::Read(_)) {
            let record =
                Record { key: key.to_owned(), action, began: begun.at, ended: None, revision: 0, linearizable: true };
            self.records.push(record);
        }
    }

    pub fn bulk(&mut self, key: String, revision: i64) {
        self.highest = self.highest.max(revision);
        self.answered += 1;
        self.bulk.push((key, revision));
    }

    /// What a watcher of everything was told of one revision.
    pub fn told(&mut self, watcher: &str, revision: i64, told: Vec<Change>) {
        self.events += told.len();
        match self.changes.get(&revision) {
            None => drop(self.changes.insert(revision, told)),
            Some(known) if *known == told => {}
            Some(known) => {
                let text = format!("{watcher} was told {told:?} of revision {revision}, others {known:?}");
                self.violation(text);
            }
        }
    }

    /// All that a watcher of a prefix was told, by revision, up to (and without) `next`.
    pub fn told_prefix(&mut self, told: ToldPrefix) {
        self.events += told.told.len();
        self.prefixes.push(told);
    }

    /// The number of revisions that watchers told of.
    pub fn revisions(&self) -> usize {
        self.changes.len()
    }

    /// All checks that need the whole history.
    pub fn judge(&mut self) {
        self.check_gaps();
        self.check_prefixes();
        self.check_bulk();
        self.check_answers();
        self.check_unique();
        self.check_registers();
    }

    fn check_gaps(&mut self) {
        let revisions: Vec<i64> = self.changes.keys().copied().collect();
        if let Some(first) = revisions.first().filter(|first| **first != FIRST) {
            self.violation(format!("the first revision that watchers were told of is {first}"));
        }
        for pair in revisions.windows(2) {
            if pair[1] != pair[0] + 1 {
                self.violation(format!("no watcher was told of the revisions between {} and {}", pair[0], pair[1]));
            }
        }
        let last = revisions.last().copied().unwrap_or_default();
        if last < self.highest {
            self.violation(format!("revision {} was answered, but watchers were told of {last} at most", self.highest));
        }
    }

    /// Watchers of a prefix were told what watchers of everything were, as far as both went.
    fn check_prefixes(&mut self) {
        let known = self.changes.keys().next_back().map_or(0, |last| last + 1);
        for ToldPrefix { watcher, prefix, mut told, next } in std::mem::take(&mut self.prefixes) {
            let end = next.min(known);
            drop(told.split_off(&end));
            let mut ought = BTreeMap::new();
            for (revision, changes) in self.changes.range(..end) {
                let mut changes = changes.clone();
                changes.retain(|change| change.key.starts_with(prefix));
                if !changes.is_empty() {
                    ought.insert(*revision, changes);
                }
            }
            let revisions: BTreeSet<i64> = ought.keys().chain(told.keys()).copied().collect();
            if let Some(first) = revisions.iter().find(|revision| ought.get(revision) != told.get(revision)) {
                let (was, should) = (told.get(first), ought.get(first));
                self.violation(format!("{watcher} was told {was:?} of revision {first}, others {should:?}"));
            }
        }
    }

    fn check_bulk(&mut self) {
        for (key, revision) in std::mem::take(&mut self.bulk) {
            if !self.changes.get(&revision).is_some_and(|changes| changes.iter().any(|change| change.key == key)) {
                self.violation(format!("lost write: {key} was acknowledged at revision {revision}"));
            }
        }
    }

    /// Each answer against the changes up to its revision.
    fn check_answers(&mut self) {
        let mut registers: BTreeMap<&str, Vec<(i64, Value)>> = BTreeMap::new();
        for (revision, changes) in &self.changes {
            for change in changes {
                registers.entry(&change.key).or_default().push((*revision, change.value));
            }
        }
        let mut wrong = Vec::new();
        for record in self.records.iter().filter(|record| record.ended.is_some()) {
            let changes = registers.get(record.key.as_str()).map_or(&[][..], Vec::as_slice);
            let known = changes.partition_point(|(revision, _)| *revision <= record.revision);
            let last = changes[..known].last();
            let before = changes[..known].iter().rev().find(|(revision, _)| *revision < record.revision);
            let (value, before) = (last.and_then(|(_, v)| *v), before.and_then(|(_, v)| *v));
            let written = last.is_some_and(|(revision, _)| *revision == record.revision);
            let right = match record.action {
                Action::Read(seen) => seen == value,
                Action::Write(Some(new)) => written && value == Some(new),
                Action::Write(None) => value.is_none(),
                Action::Swap { expected, new, .. } => written && value == Some(new) && before == expected,
            };
            if !right {
                wrong.push(format!("{record:?} is answered, but watchers were told {last:?} after {before:?}"));
            }
        }
        wrong.into_iter().for_each(|text| self.violation(text));
    }

    /// Values are unique: none may have been written twice.
    fn check_unique(&mut self) {
        let mut values = BTreeMap::new();
        let mut wrong = Vec::new();
        for (revision, changes) in &self.changes {
            for value in changes.iter().filter_map(|change| change.value) {
                if let Some(first) = values.insert(value, revision) {
                    wrong.push(format!("value {value} was written at {first} and again at {revision}"));
                }
            }
        }
        wrong.into_iter().for_each(|text| self.violation(text));
    }

    fn check_registers(&mut self) {
        let mut registers: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.linearizable) {
            let operation = Operation { action: record.action, began: record.began, ended: record.ended };
            registers.entry(record.key.clone()).or_default().push(operation);
        }
        for (key, operations) in registers {
            match linear::judge(&operations) {
                Verdict::Linearizable => {}
                Verdict::Not => {
                    self.violation(format!("the {} operations on {key} are not linearizable", operations.len()))
                }
                Verdict::Undecided => {
                    self.violation(format!("the search over {} operations on {key} was given up", operations.len()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: u64) -> Vec<Change> {
        vec![Change { key: key.to_owned(), value: Some(value) }]
    }

    #[test]
    fn what_agrees_passes() {
        let mut history = History::default();
        let begun = history.begin();
        history.answer(begun, "a", Action::Write(Some(7)), 2, true);
        let begun = history.begin();
        history.answer(begun, "a", Action::Read(Some(7)), 2, true);
        history.told("w", 2, change("a", 7));
        history.told("v", 2, change("a", 7));
        history.judge();
        assert_eq!(history.violations, [""; 0]);
    }

    #[test]
    fn lost_writes_stale_reads_and_gaps_are_found() {
        let mut history = History::default();
        let begun = history.begin();
        history.answer(begun, "a", Action::Write(Some(7)), 3, true);
        let begun = history.begin();
        history.answer(begun, "a", Action::Read(None), 2, true);
        assert_eq!(history.violated, 1, "the stale read");
        history.told("w", 2, change("b", 1));
        history.told("v", 2, change("b", 2));
        assert_eq!(history.violated, 2, "watchers differ");
        history.told("w", 4, change("b", 3));
        history.judge();
        let texts = history.violations.join("\n");
        assert!(texts.contains("between 2 and 4"), "{texts}");
        assert!(texts.contains("Write(Some(7)), began"), "{texts}");
        assert!(texts.contains("not linearizable"), "{texts}");
    }
}
