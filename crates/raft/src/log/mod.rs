//! The log: what is durable, what is not yet, what is committed, what is being applied.
//!
//! ```text
//!   snapshot | compacted |        storage         |      unstable      |
//!            first_index                        offset            last_index
//!                 applied <= applying <= committed <= last_index
//! ```
//!
//! `committed` may lie beyond what is durable here: a quorum of others has it.

mod unstable;

use std::ops::Range;

use proto::raftpb::{Entry, Snapshot};

use crate::error::{Error, StorageError};
use crate::sizes::encoded_sizes;
use crate::storage::Storage;
use unstable::Unstable;

/// What identifies an entry: two logs with the same id at an index are the same up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct EntryId {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

/// The last entry that a snapshot contains; zeros where that isn't said.
pub(crate) fn snapshot_id(snapshot: &Snapshot) -> EntryId {
    let metadata = snapshot.metadata.as_ref();
    metadata.map_or_else(EntryId::default, |metadata| EntryId { term: metadata.term, index: metadata.index })
}

/// Which committed entries may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appliable {
    /// Only those that are durable in this log.
    Durable,
    /// Also those handed out for writing in the same [`crate::Ready`], which are written before they are applied.
    Unstable,
}

#[derive(Debug)]
pub(crate) struct RaftLog<S> {
    pub(crate) storage: S,
    unstable: Unstable,
    committed: u64,
    /// The last entry handed out for application.
    applying: u64,
    applied: u64,
    /// Encoded bytes of the entries handed out and not yet applied.
    applying_bytes: u64,
    applying_bytes_max: u64,
    /// Nothing more is handed out until something was applied.
    applying_paused: bool,
}

impl<S: Storage> RaftLog<S> {
    pub(crate) fn new(storage: S, applying_bytes_max: u64) -> Self {
        let (first, last) = (storage.first_index(), storage.last_index());
        assert!(first > 0 && first <= last + 1, "a storage from {first} to {last}");
        Self {
            storage,
            unstable: Unstable::new(last + 1),
            committed: first - 1,
            applying: first - 1,
            applied: first - 1,
            applying_bytes: 0,
            applying_bytes_max,
            applying_paused: false,
        }
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    pub(crate) fn first_index(&self) -> u64 {
        self.unstable.snapshot_id().map_or_else(|| self.storage.first_index(), |id| id.index + 1)
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.unstable.last_index().unwrap_or_else(|| self.storage.last_index())
    }

    /// The term of an entry in `first_index() - 1..=last_index()`.
    pub(crate) fn term(&self, index: u64) -> Result<u64, StorageError> {
        if let Some(term) = self.unstable.term(index) {
            return Ok(term);
        }
        if index > self.last_index() {
            return Err(StorageError::Unavailable);
        }
        if index + 1 < self.first_index() {
            return Err(StorageError::Compacted);
        }
        self.storage.term(index)
    }

    pub(crate) fn matches(&self, id: EntryId) -> bool {
        self.term(id.index) == Ok(id.term)
    }

    pub(crate) fn last_id(&self) -> EntryId {
        let index = self.last_index();
        let term = self.term(index).expect("invariant: the term of the last entry is known");
        EntryId { term, index }
    }

    /// Whether a log that ends with `other` has everything that may be committed.
    pub(crate) fn is_up_to_date(&self, other: EntryId) -> bool {
        let own = self.last_id();
        (other.term, other.index) >= (own.term, own.index)
    }

    /// Entries from `from` to the end, limited in size but not to less than one.
    pub(crate) fn entries_from(&self, from: u64, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        self.slice(from..self.last_index() + 1, max_size)
    }

    fn slice(&self, range: Range<u64>, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if range.start < self.first_index() {
            return Err(StorageError::Compacted);
        }
        assert!(range.end <= self.last_index() + 1, "entries {range:?} of a log to {}", self.last_index());
        let offset = self.unstable.offset();
        if range.start >= offset {
            return Ok(self.unstable.slice(range, max_size));
        }
        let cut = range.end.min(offset);
        let mut entries = self.storage.entries(range.start..cut, max_size)?;
        if (entries.len() as u64) < cut - range.start || cut == range.end {
            return Ok(entries);
        }
        // The storage gave all it has; whether something of the rest fits too is for the size to say, as there is at
        // least one entry already.
        let size = encoded_sizes(&entries);
        let rest = self.unstable.slice(cut..range.end, max_size.saturating_sub(size));
        if rest.len() > 1 || size.saturating_add(encoded_sizes(&rest)) <= max_size {
            entries.extend(rest);
        }
        Ok(entries)
    }

    /// Adds entries in place of everything from the first of their indexes on; none of that may be committed.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            assert!(first.index > self.committed, "entry {} is committed [committed {}]", first.index, self.committed);
            self.unstable.truncate_and_append(entries);
        }
    }

    /// A leader's entries that follow `prev`. Adds those that are new, moves the commit index along, and returns the
    /// last index in which the logs agree; `None` where they don't agree in `prev`, which is not before the commit index.
    /// The entries have been checked to be consecutive.
    pub(crate) fn maybe_append(
        &mut self,
        prev: EntryId,
        mut entries: Vec<Entry>,
        leader_commit: u64,
    ) -> Result<Option<u64>, Error> {
        if !self.matches(prev) {
            return Ok(None);
        }
        let last_new = prev.index + entries.len() as u64;
        let new = entries.iter().position(|entry| !self.matches(EntryId { term: entry.term, index: entry.index }));
        if let Some(position) = new {
            let Entry { term, index, .. } = entries[position];
            if let Ok(existing) = self.term(index) {
                tracing::info!("found conflict at index {index} [existing term: {existing}, conflicting term: {term}]");
            }
            self.append(entries.split_off(position));
        }
        self.commit_to(leader_commit.min(last_new))?;
        Ok(Some(last_new))
    }

    /// The highest index at or before `index` whose term is at most `term`, with its term: beyond it, a log whose entry
    /// at `index` has `term` can't agree with this one. Where the terms are unknown, the index with term 0.
    pub(crate) fn find_conflict_by_term(&self, index: u64, term: u64) -> (u64, u64) {
        for index in (1..=index).rev() {
            match self.term(index) {
                Err(_) => return (index, 0),
                Ok(own) if own <= term => return (index, own),
                Ok(_) => {}
            }
        }
        (0, 0)
    }

    /// Moves the commit index forward; never back.
    pub(crate) fn commit_to(&mut self, commit: u64) -> Result<(), Error> {
        if commit > self.committed {
            if commit > self.last_index() {
                return Err(Error::CommitOutOfRange { commit, last_index: self.last_index() });
            }
            self.committed = commit;
        }
        Ok(())
    }

    /// A quorum has this entry: commits it where it is of the leader's own term (older ones are committed along with one
    /// of these, never by counting). Whether anything was committed.
    pub(crate) fn maybe_commit(&mut self, id: EntryId) -> bool {
        // An index of which the term is unknown (compacted while nobody acknowledges) is not newer than `committed`.
        if id.term == 0 || id.index <= self.committed || !self.matches(id) {
            return false;
        }
        self.committed = id.index;
        true
    }

    /// Starts again behind a snapshot.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        let id = snapshot_id(&snapshot);
        assert!(id.index > self.committed, "snapshot {} is older than commit {}", id.index, self.committed);
        self.committed = id.index;
        self.unstable.restore(snapshot);
    }

    /// The newest snapshot there is.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.unstable.snapshot().cloned().map_or_else(|| self.storage.snapshot(), Ok)
    }

    pub(crate) fn next_unstable_entries(&self) -> Vec<Entry> {
        self.unstable.next_entries()
    }

    pub(crate) fn has_next_unstable_entries(&self) -> bool {
        self.unstable.has_next_entries()
    }

    /// Whether any entry is not acknowledged as durable.
    pub(crate) fn has_unstable_entries(&self) -> bool {
        !self.unstable.is_empty()
    }

    pub(crate) fn next_unstable_snapshot(&self) -> Option<&Snapshot> {
        self.unstable.next_snapshot()
    }

    /// Whether a snapshot is not acknowledged as durable and applied.
    pub(crate) fn has_unstable_snapshot(&self) -> bool {
        self.unstable.snapshot().is_some()
    }

    pub(crate) fn accept_unstable(&mut self) {
        self.unstable.accept_in_progress();
    }

    pub(crate) fn stable_to(&mut self, id: EntryId) {
        self.unstable.stable_to(id);
    }

    pub(crate) fn stable_snapshot_to(&mut self, index: u64) {
        self.unstable.stable_snapshot_to(index);
    }

    fn appliable_to(&self, appliable: Appliable) -> u64 {
        match appliable {
            Appliable::Durable => self.committed.min(self.unstable.offset() - 1),
            Appliable::Unstable => self.committed,
        }
    }

    fn next_committed_range(&self, appliable: Appliable) -> Range<u64> {
        if self.applying_paused || self.has_unstable_snapshot() {
            // Entries behind a snapshot wait until it is applied.
            return 0..0;
        }
        self.applying + 1..self.appliable_to(appliable) + 1
    }

    pub(crate) fn has_next_committed(&self, appliable: Appliable) -> bool {
        !self.next_committed_range(appliable).is_empty()
    }

    /// Entries that can be handed out for application now.
    pub(crate) fn next_committed(&self, appliable: Appliable) -> Vec<Entry> {
        let range = self.next_committed_range(appliable);
        let budget = self.applying_bytes_max.saturating_sub(self.applying_bytes);
        self.slice(range, budget).expect("invariant: entries are not compacted before they are applied")
    }

    /// These entries were handed out for application.
    pub(crate) fn accept_applying(&mut self, entries: &[Entry], appliable: Appliable) {
        let Some(last) = entries.last() else { return };
        assert!(last.index <= self.committed, "applying {} [committed {}]", last.index, self.committed);
        self.applying = last.index;
        self.applying_bytes = self.applying_bytes.saturating_add(encoded_sizes(entries));
        // What was held back for its size waits until something was applied, also if it would fit.
        self.applying_paused =
            self.applying_bytes >= self.applying_bytes_max || last.index < self.appliable_to(appliable);
    }

    /// Everything up to `index` is applied, of which `bytes` were handed out as entries.
    pub(crate) fn applied_to(&mut self, index: u64, bytes: u64) {
        assert!(index >= self.applied, "applied goes back from {} to {index}", self.applied);
        assert!(index <= self.committed, "applied {index} before it is committed [committed {}]", self.committed);
        self.applied = index;
        self.applying = self.applying.max(index);
        self.applying_bytes = self.applying_bytes.saturating_sub(bytes);
        self.applying_paused = self.applying_bytes >= self.applying_bytes_max;
    }

    /// Whether any of the committed entries that are not applied satisfies `predicate`. Reads in pages.
    pub(crate) fn any_unapplied(&self, mut predicate: impl FnMut(&Entry) -> bool) -> bool {
        let mut from = self.applied.max(self.first_index() - 1) + 1;
        while from <= self.committed {
            let page = self
                .slice(from..self.committed + 1, self.applying_bytes_max)
                .expect("invariant: entries are not compacted before they are applied");
            if page.iter().any(&mut predicate) {
                return true;
            }
            from += page.len() as u64;
        }
        false
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
