//! Raft's own promises: election safety, log matching, leader completeness, one history of committed entries, and one
//! state at one index.

use std::collections::BTreeMap;

use proto::raftpb::Entry;

use crate::model::Model;

/// A committed entry as first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    term: u64,
    crc: u32,
}

/// What all members together have shown.
#[derive(Default)]
pub struct Consensus {
    /// The leader of each term.
    leaders: BTreeMap<u64, u64>,
    /// Entries by index and term, with the term of the entry before.
    written: BTreeMap<(u64, u64), (u32, u64)>,
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
    /// A member leads a term. `term_at` tells the terms of its log.
    pub fn leads(&mut self, member: u64, term: u64, term_at: impl Fn(u64) -> Option<u64>) {
        let leader = *self.leaders.entry(term).or_insert(member);
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
    pub fn written(&mut self, member: u64, entry: &Entry, before: Option<u64>) {
        let Seen { term, crc } = seen(entry);
        let Some(before) = before else { return };
        let first = *self.written.entry((entry.index, term)).or_insert((crc, before));
        assert_eq!(first, (crc, before), "log matching: entry {} of term {term} at {member}", entry.index);
    }

    /// A member applies an entry.
    pub fn applies(&mut self, member: u64, entry: &Entry) {
        let seen = seen(entry);
        let at = entry.index as usize - 1;
        match self.committed.get(at) {
            Some(first) => {
                assert_eq!(*first, seen, "committed entry {} differs at {member}", entry.index);
            }
            None => {
                assert_eq!(self.committed.len(), at, "entry {} is committed before those ahead of it", entry.index);
                self.committed.push(seen);
                self.model.apply(entry);
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
