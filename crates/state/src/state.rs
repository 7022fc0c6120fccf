//! The state itself: opening, applying, publishing.

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry};

use crate::applied::{Answer, Applied};
use crate::error::Result;
use crate::options::StateOptions;
use crate::reader::StateReader;
use crate::versions::Version;

/// The replicated state, owned by the applier.
pub struct State {
    reader: StateReader,
}

impl State {
    /// Opens the database, creates what is missing, loads the tables. The log is then replayed through
    /// [`State::apply`], from the entry after the snapshot's index.
    pub fn open(_options: StateOptions) -> Result<State> {
        todo!()
    }

    /// Applies one committed entry. Entries come in order without gaps, starting after the snapshot the state was
    /// opened with; those at or below the consistent index only go to the v2 tree and the membership it holds.
    pub fn apply(&mut self, entry: &Entry) -> Result<Applied> {
        self.apply_for(entry, Answer::Wanted)
    }

    /// As [`State::apply`], saying whether anyone waits for the answer.
    pub fn apply_for(&mut self, _entry: &Entry, _answer: Answer) -> Result<Applied> {
        todo!()
    }

    /// Gives the bcrypt text for a plain password in the entry of this index ([`crate::auth::password::HashJob`]).
    pub fn offer_hash(&mut self, _index: u64, _text: String) {
        todo!()
    }

    /// Makes everything applied so far visible to readers.
    pub fn publish(&mut self) {
        todo!()
    }

    pub fn reader(&self) -> StateReader {
        self.reader.clone()
    }

    /// Index of the last entry whose effects are in the backend's tables (the v3 state).
    pub fn consistent_index(&self) -> u64 {
        todo!()
    }

    /// Index of the last entry given to `apply`, or of the snapshot.
    pub fn applied_index(&self) -> u64 {
        todo!()
    }

    /// Term of the last entry given to `apply`, or 0 where none was.
    pub fn applied_term(&self) -> u64 {
        todo!()
    }

    /// Raft's configuration as the source of membership has it: the v2 tree below cluster version 3.6, else the buckets.
    /// Raft starts with it; conf changes reach raft from [`State::conf_source_index`] on.
    pub fn conf_state(&self) -> ConfState {
        todo!()
    }

    /// Conf changes at or below this index are part of [`State::conf_state`] as it was at open.
    pub fn conf_source_index(&self) -> u64 {
        todo!()
    }

    /// The v2 JSON for a snapshot at the applied index.
    pub fn snapshot_json(&self) -> Bytes {
        todo!()
    }

    /// Whether the v2 tree holds keys with a TTL, so that the leader proposes SYNC.
    pub fn has_v2_ttl_keys(&self) -> bool {
        todo!()
    }

    /// Brings the storage to this version, one step at a time; `newest_entry` is the release that the newest kind of
    /// entry in the log since the last snapshot needs (a downgrade waits until there is none above the target).
    pub fn migrate_storage(&mut self, _target: Version, _newest_entry: Version) -> Result<()> {
        todo!()
    }
}
