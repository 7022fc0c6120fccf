//! The state itself: applying, publishing, and the backend's errands.

use std::sync::Arc;

use bytes::Bytes;
use mvcc::{
    CommitJob, Committed, EntryId, EventBatch, Pending, ShrinkJob, Shrunk, SnapshotSource, Store, SweepProgress,
};
use proto::raftpb::{ConfState, Entry};

use crate::applied::{Answer, Applied, Effect};
use crate::apply::{Ran, Run, v2};
use crate::command::{Command, Decoded, decode};
use crate::error::{Error, Result};
use crate::live::{Live, Rules};
use crate::members;
use crate::options::StateOptions;
use crate::reader::{Published, StateReader, Tables};
use crate::versions;

/// The replicated state, owned by the applier. After an error it must not be used any more.
pub struct State {
    pub(crate) store: Store,
    pub(crate) live: Live,
    pub(crate) rules: Rules,
    /// The last entry given to [`State::apply`], or the snapshot.
    pub(crate) applied: EntryId,
    pub(crate) reader: StateReader,
    pub(crate) published: Tables,
}

impl State {
    /// Opens the database, creates what is missing, loads the tables. The log is then replayed through
    /// [`State::apply`], from the entry after the snapshot's index.
    pub fn open(options: StateOptions) -> Result<State> {
        crate::open::open(options)
    }

    /// Takes the place of this state whole: another one is opened and, if that succeeds, swapped in. Readers handed out
    /// before see the new one; views taken before keep the old.
    pub fn replace(&mut self, options: StateOptions) -> Result<()> {
        let reader = self.reader.clone();
        *self = State { reader, ..State::open(options)? };
        self.republish();
        Ok(())
    }

    /// Applies one committed entry. Entries come in order without gaps, starting after the snapshot that the state was
    /// opened with; those at or below the consistent index go only to the v2 tree and the membership it holds.
    pub fn apply(&mut self, entry: &Entry) -> Result<Applied> {
        self.apply_for(entry, Answer::Wanted)
    }

    /// As [`State::apply`], saying whether anyone waits for the answer.
    pub fn apply_for(&mut self, entry: &Entry, answer: Answer) -> Result<Applied> {
        if self.applied.index.checked_add(1) != Some(entry.index) {
            return Err(Error::Gap { applied: self.applied.index, got: entry.index });
        }
        let decoded = decode(entry)?;
        let id = decoded.id;
        let (ran, effects) = if entry.index <= self.store.applied().index {
            (Ok(None), self.replay(entry, decoded)?)
        } else {
            self.run(entry, decoded, answer)?
        };
        self.applied = EntryId { term: entry.term, index: entry.index };
        // A hash that the entry had no use for, because it was refused, has none any more.
        while self.live.hashes.first_key_value().is_some_and(|(index, _)| *index <= entry.index) {
            self.live.hashes.pop_first();
        }
        let outcome = ran.transpose();
        let revision = self.store.image().revision();
        Ok(Applied { index: entry.index, term: entry.term, id, outcome, revision, effects })
    }

    /// An entry whose effects the backend has: only the v2 tree and its membership are behind.
    fn replay(&mut self, entry: &Entry, decoded: Decoded) -> Result<Vec<Effect>> {
        let live = &mut self.live;
        match decoded.command {
            Command::ConfChange(change) => {
                return Ok(members::replay_conf_change(live, &self.rules, entry.index, &change));
            }
            Command::V2(request) => v2::replay(live, &self.rules, &request)?,
            Command::ClusterVersionSet(set) => versions::replay_cluster_version(live, self.rules.release, &set.ver)?,
            Command::ClusterMemberAttrSet(set) => {
                let attributes = set.member_attributes.unwrap_or_default().into();
                members::replay_attributes(live, set.member_id, attributes);
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    /// An entry that is new to the backend: one transaction, which records the entry's index whatever comes of it.
    fn run(&mut self, entry: &Entry, decoded: Decoded, answer: Answer) -> Result<(Ran, Vec<Effect>)> {
        let backend_bytes = self.store.image().size();
        let mut txn = self.store.begin(EntryId { term: entry.term, index: entry.index });
        let mut run = Run {
            txn: &mut txn,
            live: &mut self.live,
            rules: &self.rules,
            index: entry.index,
            term: entry.term,
            id: decoded.id,
            answer,
            backend_bytes,
            effects: Vec::new(),
        };
        run.catch_up()?;
        let ran = match decoded.command {
            Command::Empty => Ok(None),
            Command::ConfChange(change) => run.conf_change(&change),
            Command::V2(request) => run.v2(&request)?,
            command => run.request(decoded.caller, command)?,
        };
        let effects = run.effects;
        txn.commit();
        Ok((ran, effects))
    }

    /// Gives the bcrypt text for a plain password in the entry of this index ([`crate::auth::password::HashJob`]).
    /// Without it apply hashes by itself.
    pub fn offer_hash(&mut self, index: u64, text: String) {
        self.live.hashes.insert(index, text);
    }

    /// Makes everything applied so far visible to readers, and gives the events since the last call.
    pub fn publish(&mut self) -> Option<Arc<EventBatch>> {
        let events = self.store.publish();
        self.published = self.live.tables(self.applied);
        self.republish();
        events
    }

    /// Shows readers the last published moment on the newest file.
    pub(crate) fn republish(&mut self) {
        let published =
            Published { kv: self.store.reader().view(), tables: self.published.clone(), release: self.rules.release };
        self.reader.set(published);
    }

    /// Hands out views of what was published last, from any thread.
    pub fn reader(&self) -> StateReader {
        self.reader.clone()
    }

    /// The last entry whose effects are in keys and tables (the v3 state); above [`State::applied`] while a restart
    /// replays.
    pub fn consistent(&self) -> EntryId {
        self.store.applied()
    }

    /// The last entry given to [`State::apply`], or the snapshot's index with term 0 where none was.
    pub fn applied(&self) -> EntryId {
        self.applied
    }

    /// Raft's configuration as of now. At open it is that of the source of membership: below cluster version 3.6 the
    /// raft snapshot and its v2 tree, else the buckets. Raft starts with it.
    pub fn conf_state(&self) -> ConfState {
        self.live.conf.clone()
    }

    /// Conf changes at or below this index are part of [`State::conf_state`] as it was at open.
    pub fn conf_source_index(&self) -> u64 {
        self.live.source.index()
    }

    /// The v2 JSON for a snapshot at [`State::applied`].
    pub fn snapshot_json(&self) -> Bytes {
        v2::snapshot_json(&self.live).into()
    }

    /// The v2 tree, for reads and watchers of its door.
    pub fn v2_tree(&mut self) -> &mut crate::v2::Tree {
        &mut self.live.tree
    }

    /// Whether the v2 tree holds keys with a TTL, so that the leader proposes SYNC.
    pub fn has_v2_ttl_keys(&self) -> bool {
        self.live.tree.has_ttl_keys()
    }

    /// What waits for a commit.
    pub fn pending(&self) -> Pending {
        self.store.pending()
    }

    /// See [`Store::seal`].
    pub fn seal(&mut self, durable_commit: u64) -> Option<CommitJob> {
        self.store.seal(durable_commit)
    }

    /// See [`Store::committed`]. Readers see the same moment, on the new file.
    pub fn committed(&mut self, committed: Committed) {
        self.store.committed(committed);
        self.republish();
    }

    /// The last entry in the file.
    pub fn committed_entry(&self) -> EntryId {
        self.store.committed_entry()
    }

    /// See [`Store::snapshot`].
    pub fn snapshot(&self) -> Option<SnapshotSource> {
        self.store.snapshot()
    }

    /// See [`Store::sweep`]: a slice of what compactions left to do.
    pub fn sweep(&mut self, budget: usize) -> Result<SweepProgress> {
        Ok(self.store.sweep(budget)?)
    }

    /// See [`Store::swept_records`].
    pub fn swept_records(&self) -> u64 {
        self.store.swept_records()
    }

    /// See [`Store::shrink_step`].
    pub fn shrink_step(&mut self, pages_max: usize) -> Option<ShrinkJob> {
        self.store.shrink_step(pages_max as u64)
    }

    /// See [`Store::shrunk`]. Readers see the same moment, on the smaller file. True where another step would free more.
    pub fn shrunk(&mut self, shrunk: Shrunk) -> bool {
        let more = !shrunk.is_done();
        self.store.shrunk(shrunk);
        self.republish();
        more
    }

    /// The keys as they stand, published or not.
    pub fn image(&self) -> &mvcc::Image {
        self.store.image()
    }

    /// The store, for the offline tools.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The members as they stand, published or not.
    pub fn members(&self) -> &Arc<crate::members::Membership> {
        &self.live.members
    }

    /// The versions as they stand, published or not.
    pub fn versions(&self) -> crate::versions::Versions {
        self.live.versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_go_with_their_entries() {
        let disk = Arc::new(disk::MemDisk::new(0));
        let mut state = State::open(StateOptions::new(disk, "/db", 1)).unwrap();
        state.offer_hash(1, "of an entry that is refused".to_owned());
        state.offer_hash(2, "of the next one".to_owned());
        state.apply(&Entry { term: 1, index: 1, ..Entry::default() }).unwrap();
        assert_eq!(state.live.hashes.keys().collect::<Vec<_>>(), [&2]);
    }
}
