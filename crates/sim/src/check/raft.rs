//! Raft's own promises: election safety, log matching, leader completeness, one history of committed entries, and one
//! state at one index.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::raftpb::Entry;

use crate::model::Model;

/// A committed entry as first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    term: u64,
    crc: u32,
}

/// An entry as first written to a log.
#[derive(Clone, Copy, Debug)]
struct Written {
    crc: u32,
    /// The term of the entry before.
    before: u64,
    at: Duration,
}

/// What all members together have shown.
pub struct Consensus {
    /// The leader of each term, and since when.
    leaders: BTreeMap<u64, (u64, Duration)>,
    /// Entries by index and term.
    written: BTreeMap<(u64, u64), Written>,
    committed: Vec<Seen>,
    /// Fed with the committed entries.
    pub model: Model,
    /// State hashes by applied index, with the member that showed it first.
    hashes: BTreeMap<u64, (u64, String)>,
    pub hashes_compared: u64,
}

fn seen(entry: &Entry) -> Seen {
    Seen { term: entry.term, crc: crc32c::crc32c(&entry.data) }
}

impl Consensus {
    pub fn new(model: Model) -> Self {
        Self {
            leaders: BTreeMap::new(),
            written: BTreeMap::new(),
            committed: Vec::new(),
            model,
            hashes: BTreeMap::new(),
            hashes_compared: 0,
        }
    }

    /// The leader of a term, where one is known.
    pub fn leader_of(&self, term: u64) -> Option<u64> {
        self.leaders.get(&term).map(|(leader, _)| *leader)
    }

    /// The newest leader, and since when it leads.
    pub fn newest_leader(&self) -> Option<(u64, Duration)> {
        self.leaders.last_key_value().map(|(_, leader)| *leader)
    }

    /// How many terms had a leader.
    pub fn leaders_seen(&self) -> usize {
        self.leaders.len()
    }

    /// When an entry was first written to a log.
    pub fn written_at(&self, index: u64, term: u64) -> Option<Duration> {
        self.written.get(&(index, term)).map(|written| written.at)
    }

    /// A member leads a term. `term_at` tells the terms of its log.
    pub fn leads(&mut self, member: u64, term: u64, now: Duration, term_at: impl Fn(u64) -> Option<u64>) {
        let (leader, _) = *self.leaders.entry(term).or_insert((member, now));
        assert_eq!(leader, member, "election safety: two leaders in term {term}");
        for (index, committed) in (1..).zip(&self.committed) {
            if committed.term >= term {
                continue;
            }
            if let Some(found) = term_at(index) {
                assert_eq!(
                    found, committed.term,
                    "leader completeness: term of entry {index} at leader {member} of {term}"
                );
            }
        }
        // What lies before the first entry in memory is in a snapshot; what lies behind the last one is missing.
        let last = self.committed.iter().rposition(|c| c.term < term).map_or(0, |at| at as u64 + 1);
        let missing = last > 0 && term_at(last).is_none() && term_at(last.saturating_sub(1)).is_some();
        assert!(!missing, "leader completeness: leader {member} of term {term} lacks committed entry {last}");
    }

    /// A member writes an entry to its log, after one of the term `before`, where known.
    pub fn written(&mut self, member: u64, entry: &Entry, before: Option<u64>, at: Duration) {
        let Seen { term, crc } = seen(entry);
        let Some(before) = before else { return };
        let first = *self.written.entry((entry.index, term)).or_insert(Written { crc, before, at });
        let first = (first.crc, first.before);
        assert_eq!(first, (crc, before), "log matching: entry {} of term {term} at {member}", entry.index);
    }

    /// A member applies an entry. True where it is the first to do so.
    pub fn applies(&mut self, member: u64, entry: &Entry) -> bool {
        let seen = seen(entry);
        let at = entry.index as usize - 1;
        match self.committed.get(at) {
            Some(first) => {
                assert_eq!(*first, seen, "committed entry {} differs at {member}", entry.index);
                false
            }
            None => {
                assert_eq!(self.committed.len(), at, "entry {} is committed before those ahead of it", entry.index);
                self.committed.push(seen);
                self.model.apply(entry);
                true
            }
        }
    }

    /// The number of entries known to be committed.
    pub fn committed_index(&self) -> u64 {
        self.committed.len() as u64
    }

    /// What a member's state amounts to at an index.
    pub fn state_at(&mut self, member: u64, index: u64, state: String) {
        match self.hashes.get(&index) {
            Some((first, known)) => {
                self.hashes_compared += 1;
                assert_eq!(*known, state, "states differ at index {index}: {first} (left) and {member} (right)");
            }
            None => {
                self.hashes.insert(index, (member, state));
            }
        }
    }
}
