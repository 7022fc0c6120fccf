//! The part of the log that is not durable yet.

use std::collections::VecDeque;
use std::ops::Range;

use proto::raftpb::{Entry, Snapshot};

use super::{EntryId, snapshot_id};
use crate::sizes::limit_size;

/// Entries from `offset` on, and perhaps a snapshot at `offset - 1` or before them, on their way to the storage.
///
/// `offset` may lie within the durable log: then the entries here replace the durable ones as soon as they are written.
/// What was handed out for writing is "in progress" until it is acknowledged.
#[derive(Debug)]
pub(super) struct Unstable {
    snapshot: Option<Snapshot>,
    snapshot_in_progress: bool,
    entries: VecDeque<Entry>,
    /// The index of `entries[0]`, also where there are none.
    offset: u64,
    /// Entries before this index are in progress; `offset <= offset_in_progress <= offset + entries.len()`.
    offset_in_progress: u64,
}

impl Unstable {
    pub(super) fn new(offset: u64) -> Self {
        Self {
            snapshot: None,
            snapshot_in_progress: false,
            entries: VecDeque::new(),
            offset,
            offset_in_progress: offset,
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Index and term of the snapshot, if there is one.
    pub(super) fn snapshot_id(&self) -> Option<EntryId> {
        self.snapshot.as_ref().map(snapshot_id)
    }

    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The last index, if it is known without the storage.
    pub(super) fn last_index(&self) -> Option<u64> {
        match self.entries.back() {
            Some(entry) => Some(entry.index),
            None => self.snapshot_id().map(|id| id.index),
        }
    }

    /// The term of the entry, if it is known without the storage.
    pub(super) fn term(&self, index: u64) -> Option<u64> {
        match index.checked_sub(self.offset) {
            Some(position) => {
                usize::try_from(position).ok().and_then(|position| self.entries.get(position)).map(|entry| entry.term)
            }
            None => self.snapshot_id().filter(|id| id.index == index).map(|id| id.term),
        }
    }

    /// The entries of a range that lies within, limited in size but not to less than one.
    pub(super) fn slice(&self, range: Range<u64>, max_size: u64) -> Vec<Entry> {
        limit_size(self.entries.range(self.position(range.start)..self.position(range.end)), max_size)
    }

    fn position(&self, index: u64) -> usize {
        assert!(index >= self.offset, "entry {index} is not unstable: those start at {}", self.offset);
        (index - self.offset) as usize
    }

    /// Entries that were not handed out yet.
    pub(super) fn next_entries(&self) -> Vec<Entry> {
        self.entries.range(self.position(self.offset_in_progress)..).cloned().collect()
    }

    pub(super) fn has_next_entries(&self) -> bool {
        self.position(self.offset_in_progress) < self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The snapshot, unless it was handed out.
    pub(super) fn next_snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().filter(|_| !self.snapshot_in_progress)
    }

    /// Everything was handed out.
    pub(super) fn accept_in_progress(&mut self) {
        self.offset_in_progress = self.offset + self.entries.len() as u64;
        self.snapshot_in_progress = self.snapshot.is_some();
    }

    /// The log up to and including this entry is durable. An entry replaced meanwhile by another one at the same index
    /// is not meant: then nothing follows, and the acknowledgement of its replacement is awaited.
    pub(super) fn stable_to(&mut self, id: EntryId) {
        let Some(position) = id.index.checked_sub(self.offset) else {
            tracing::debug!("entry at index {} is durable already, or part of a snapshot; ignoring", id.index);
            return;
        };
        match usize::try_from(position).ok().and_then(|position| self.entries.get(position)) {
            Some(entry) if entry.term == id.term => {
                self.entries.drain(..=position as usize);
                self.offset = id.index + 1;
                self.offset_in_progress = self.offset_in_progress.max(self.offset);
            }
            Some(entry) => tracing::info!(
                "entry at (index,term)=({},{}) mismatched with entry at ({},{}) in unstable log; ignoring",
                id.index,
                id.term,
                id.index,
                entry.term
            ),
            None => tracing::info!("entry at index {} missing from unstable log; ignoring", id.index),
        }
    }

    /// The snapshot with this index is durable.
    pub(super) fn stable_snapshot_to(&mut self, index: u64) {
        if self.snapshot_id().is_some_and(|id| id.index == index) {
            self.snapshot = None;
            self.snapshot_in_progress = false;
        }
    }

    /// Replaces everything by a snapshot.
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        *self = Self::new(snapshot_id(&snapshot).index + 1);
        self.snapshot = Some(snapshot);
    }

    /// Adds entries in place of everything from the first of their indexes on. There is no gap before them.
    pub(super) fn truncate_and_append(&mut self, entries: Vec<Entry>) {
        let Some(from) = entries.first().map(|entry| entry.index) else {
            return;
        };
        let end = self.offset + self.entries.len() as u64;
        assert!(from <= end, "a gap in the log: entry {from} after {}", end - 1);
        if from < end {
            tracing::info!("truncate the unstable entries before index {from}");
        }
        if from <= self.offset {
            self.entries.clear();
            self.offset = from;
            self.offset_in_progress = from;
        } else {
            self.entries.truncate((from - self.offset) as usize);
            self.offset_in_progress = self.offset_in_progress.min(from);
        }
        self.entries.extend(entries);
    }
}

#[cfg(test)]
#[path = "unstable_tests.rs"]
mod tests;
