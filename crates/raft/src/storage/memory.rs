//! A log in memory: for tests, and for owners whose durable log is elsewhere and who keep its tail here.

use std::collections::VecDeque;
use std::ops::Range;

use proto::raftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};

use super::Storage;
use crate::error::StorageError;
use crate::sizes::limit_size;

/// A snapshot, and entries from some index on. The two are independent: entries behind the snapshot's index may be
/// kept for slow followers, and are dropped by [`MemoryStorage::compact`].
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    hard_state: HardState,
    snapshot: Snapshot,
    /// Index and term of the entry before `entries[0]`.
    compacted_index: u64,
    compacted_term: u64,
    entries: VecDeque<Entry>,
}

/// The metadata of a snapshot; absent reads as zero.
fn metadata(snapshot: &Snapshot) -> SnapshotMetadata {
    snapshot.metadata.clone().unwrap_or_default()
}

impl MemoryStorage {
    /// An empty log before entry 1, without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log before entry 1 with these members.
    pub fn with_conf_state(conf_state: ConfState) -> Self {
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), ..Default::default() };
        Self { snapshot: Snapshot { metadata: Some(metadata), ..Default::default() }, ..Default::default() }
    }

    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// The configuration that [`Storage::initial_state`] tells.
    pub fn conf_state(&self) -> ConfState {
        metadata(&self.snapshot).conf_state.unwrap_or_default()
    }

    /// Replaces log and snapshot by a received snapshot. Errs with `SnapOutOfDate` unless it is newer than the present
    /// one.
    pub fn apply_snapshot(&mut self, snapshot: Snapshot) -> Result<(), StorageError> {
        let new = metadata(&snapshot);
        if new.index <= metadata(&self.snapshot).index {
            return Err(StorageError::SnapOutOfDate);
        }
        self.compacted_index = new.index;
        self.compacted_term = new.term;
        self.entries.clear();
        self.snapshot = snapshot;
        Ok(())
    }

    /// Makes the state as of `index`, which is in the log, the snapshot; the log stays as it is. Without a `conf_state`
    /// that of the previous snapshot is kept. Errs with `SnapOutOfDate` unless it is newer than the present one.
    pub fn create_snapshot(
        &mut self,
        index: u64,
        conf_state: Option<ConfState>,
        data: bytes::Bytes,
    ) -> Result<Snapshot, StorageError> {
        let old = metadata(&self.snapshot);
        if index <= old.index {
            return Err(StorageError::SnapOutOfDate);
        }
        let term = self.term(index)?;
        let conf_state = conf_state.or(old.conf_state);
        self.snapshot = Snapshot { data, metadata: Some(SnapshotMetadata { conf_state, index, term }) };
        Ok(self.snapshot.clone())
    }

    /// Drops the entries up to and including `index`. Errs with `Compacted` where that has happened before, with
    /// `Unavailable` beyond the end.
    pub fn compact(&mut self, index: u64) -> Result<(), StorageError> {
        if index <= self.compacted_index {
            return Err(StorageError::Compacted);
        }
        let term = self.term(index)?;
        self.entries.drain(..(index - self.compacted_index) as usize);
        self.compacted_index = index;
        self.compacted_term = term;
        Ok(())
    }

    /// Adds entries, which replace whatever is there from the first of their indexes on. Those that were compacted are
    /// skipped. There must be no gap; errs with `Unavailable` if there is.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let live = entries.iter().position(|entry| entry.index > self.compacted_index);
        let Some(entries) = live.map(|position| &entries[position..]) else {
            return Ok(());
        };
        let keep = entries[0].index - self.compacted_index - 1;
        if keep > self.entries.len() as u64 {
            return Err(StorageError::Unavailable);
        }
        self.entries.truncate(keep as usize);
        self.entries.extend(entries.iter().cloned());
        Ok(())
    }
}

impl Storage for MemoryStorage {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        Ok((self.hard_state, self.conf_state()))
    }

    fn entries(&self, range: Range<u64>, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        if range.start <= self.compacted_index {
            return Err(StorageError::Compacted);
        }
        if range.end > self.last_index() + 1 {
            return Err(StorageError::Unavailable);
        }
        let position = |index| (index - self.compacted_index - 1) as usize;
        let found = self.entries.range(position(range.start)..position(range.end).max(position(range.start)));
        Ok(limit_size(found, max_size))
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.compacted_index {
            return Ok(self.compacted_term);
        }
        let Some(position) = index.checked_sub(self.compacted_index + 1) else {
            return Err(StorageError::Compacted);
        };
        let entry = usize::try_from(position).ok().and_then(|position| self.entries.get(position));
        entry.map(|entry| entry.term).ok_or(StorageError::Unavailable)
    }

    fn last_index(&self) -> u64 {
        self.compacted_index + self.entries.len() as u64
    }

    fn first_index(&self) -> u64 {
        self.compacted_index + 1
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(self.snapshot.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(term: u64, range: Range<u64>) -> Vec<Entry> {
        range.map(|index| Entry { term, index, ..Default::default() }).collect()
    }

    fn snapshot(term: u64, index: u64) -> Snapshot {
        let metadata = SnapshotMetadata { index, term, ..Default::default() };
        Snapshot { metadata: Some(metadata), ..Default::default() }
    }

    /// A snapshot at 3 and entries 4 to 6 of term 1.
    fn sample() -> MemoryStorage {
        let mut storage = MemoryStorage::new();
        storage.apply_snapshot(snapshot(1, 3)).unwrap();
        storage.append(&entries(1, 4..7)).unwrap();
        storage
    }

    #[test]
    fn an_empty_log_begins_at_1() {
        let storage = MemoryStorage::new();
        assert_eq!((storage.first_index(), storage.last_index(), storage.term(0)), (1, 0, Ok(0)));
        assert_eq!(storage.entries(1..1, 0), Ok(vec![]));
    }

    #[test]
    fn tells_what_is_gone_from_what_is_not_there_yet() {
        let storage = sample();
        assert_eq!(storage.term(2), Err(StorageError::Compacted));
        assert_eq!((storage.term(3), storage.term(6)), (Ok(1), Ok(1)));
        assert_eq!(storage.term(7), Err(StorageError::Unavailable));
        assert_eq!(storage.entries(3..5, 0), Err(StorageError::Compacted));
        assert_eq!(storage.entries(4..8, 0), Err(StorageError::Unavailable));
        assert_eq!(storage.entries(4..7, 0).unwrap().len(), 1);
        assert_eq!(storage.entries(4..7, u64::MAX).unwrap().len(), 3);
    }

    #[test]
    fn new_entries_replace_old_ones() {
        let mut storage = sample();
        storage.append(&entries(2, 5..6)).unwrap();
        assert_eq!((storage.last_index(), storage.term(5)), (5, Ok(2)));
        // What was compacted is skipped.
        storage.append(&entries(3, 2..5)).unwrap();
        assert_eq!((storage.first_index(), storage.last_index(), storage.term(4)), (4, 4, Ok(3)));
        storage.append(&entries(3, 1..4)).unwrap();
        assert_eq!(storage.last_index(), 4);
        assert_eq!(storage.append(&entries(3, 6..7)), Err(StorageError::Unavailable));
    }

    #[test]
    fn compaction_and_snapshots_are_independent() {
        let mut storage = sample();
        let made = storage.create_snapshot(5, None, "state".into()).unwrap();
        assert_eq!((metadata(&made).index, metadata(&made).term), (5, 1));
        assert_eq!((storage.first_index(), storage.snapshot()), (4, Ok(made)));
        assert_eq!(storage.create_snapshot(5, None, "".into()), Err(StorageError::SnapOutOfDate));
        assert_eq!(storage.create_snapshot(7, None, "".into()), Err(StorageError::Unavailable));

        storage.compact(4).unwrap();
        assert_eq!((storage.first_index(), storage.last_index(), storage.term(4)), (5, 6, Ok(1)));
        assert_eq!(storage.compact(4), Err(StorageError::Compacted));
        assert_eq!(storage.compact(7), Err(StorageError::Unavailable));

        assert_eq!(storage.apply_snapshot(snapshot(2, 5)), Err(StorageError::SnapOutOfDate));
        storage.apply_snapshot(snapshot(2, 9)).unwrap();
        assert_eq!((storage.first_index(), storage.last_index(), storage.term(9)), (10, 9, Ok(2)));
    }
}
