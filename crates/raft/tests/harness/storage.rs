//! A log in memory whose snapshot is always the state after the last applied entry.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use proto::raftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft::{AnyConfChange, MemoryStorage, Storage, StorageError};

/// The state machine appends the data of all entries.
#[derive(Clone, Debug, Default)]
pub struct HistoryStorage {
    pub memory: MemoryStorage,
    pub newest: Snapshot,
}

impl HistoryStorage {
    /// Keeps the state after this entry.
    pub fn record(&mut self, entry: &Entry, conf_state: Option<ConfState>) {
        let before = self.newest.metadata.clone().unwrap_or_default();
        let update = match AnyConfChange::from_entry(entry).expect("a committed conf change") {
            Some(change) => change.into_v2().context,
            None => entry.data.clone(),
        };
        let mut data = BytesMut::from(&self.newest.data[..]);
        data.extend_from_slice(&update);
        let conf_state = conf_state.or(before.conf_state);
        let metadata = SnapshotMetadata { conf_state, index: entry.index, term: entry.term };
        self.newest = Snapshot { data: Bytes::from(data), metadata: Some(metadata) };
    }

    /// Carries out an append.
    pub fn append(
        &mut self,
        hard_state: Option<HardState>,
        snapshot: Option<Snapshot>,
        entries: &[Entry],
    ) -> Result<(), StorageError> {
        if let Some(hard_state) = hard_state {
            self.memory.set_hard_state(hard_state);
        }
        if let Some(snapshot) = snapshot {
            self.memory.apply_snapshot(snapshot.clone())?;
            self.newest = snapshot;
        }
        self.memory.append(entries)
    }
}

impl Storage for HistoryStorage {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        self.memory.initial_state()
    }

    fn entries(&self, range: Range<u64>, max_size: u64) -> Result<Vec<Entry>, StorageError> {
        self.memory.entries(range, max_size)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        self.memory.term(index)
    }

    fn last_index(&self) -> u64 {
        self.memory.last_index()
    }

    fn first_index(&self) -> u64 {
        self.memory.first_index()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(self.newest.clone())
    }
}
