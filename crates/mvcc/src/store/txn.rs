//! The transaction of one entry.

use bytes::Bytes;
use proto::mvccpb::KeyValue;
use proto::raftpb::ConfState;

use crate::backend::{Bucket, MetaKey, RawScan};
use crate::error::{Error, Result};
use crate::event::{Event, EventKind};
use crate::index::{Entry, KeyMeta, KeyRange};
use crate::record;
use crate::revision::{RecordKey, Revision};
use crate::store::{EntryId, Store};
use crate::view::{Image, Range, RangeQuery};

/// The changes of one raft entry. Records the entry's index and term itself on [`Txn::commit`]; dropped without it,
/// nothing has happened.
pub struct Txn<'a> {
    store: &'a mut Store,
    entry: EntryId,
    /// As they were at the beginning.
    before: Before,
    /// The sub revision of the next change.
    sub: i64,
    compacted: bool,
    is_done: bool,
}

struct Before {
    revision: i64,
    compact_revision: i64,
    records: usize,
    events: usize,
}

/// Steps for which room is kept from entry to entry: more than most take, less than a great deletion.
const UNDO_KEPT_MAX: usize = 1024;

/// Keys that a deletion looks up at a time.
const DELETE_SLICE: usize = 512;

/// How a step is undone.
pub(super) enum Undo {
    Index { key: Bytes, entry: Option<Entry> },
    Raw { bucket: Bucket, key: Bytes, said: Option<Option<Bytes>> },
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutResult {
    pub revision: Revision,
    pub create_revision: i64,
    pub version: i64,
}

impl<'a> Txn<'a> {
    pub(super) fn new(store: &'a mut Store, entry: EntryId) -> Txn<'a> {
        let before = Before {
            revision: store.image.revision,
            compact_revision: store.image.compact_revision,
            records: store.image.layers.live.records().len(),
            events: store.events.len(),
        };
        store.undo.clear();
        Txn { store, entry, before, sub: 0, compacted: false, is_done: false }
    }

    /// The entry.
    pub fn entry(&self) -> EntryId {
        self.entry
    }

    /// The state with the changes made so far. Its [`Image::applied`] is still the entry before.
    pub fn image(&self) -> &Image {
        &self.store.image
    }

    /// The revision that a read sees now: that of this transaction once it has changed a key, else the current one.
    pub fn revision(&self) -> i64 {
        self.store.image.revision
    }

    /// Whether a key was changed.
    pub fn has_changes(&self) -> bool {
        self.sub > 0
    }

    /// Puts a key; the lease is the caller's to check.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> PutResult {
        let revision = self.next_revision();
        let (meta, entry) = self.store.image.index.put(key, revision);
        let (created, version) = (meta.create_revision, meta.version);
        let (record, kv) = record::encode(key, value, lease, created, revision.main, version);
        self.store.undo.push(Undo::Index { key: kv.key.clone(), entry });
        self.store.image.layers.live.append(RecordKey { revision, tombstone: false }, record.clone());
        self.store.events.push(Event { kind: EventKind::Put, revision, kv, record });
        PutResult { revision, create_revision: created, version }
    }

    /// Deletes the keys in the range, by etcd's rules for `range_end`, in key order; tells those that existed one by one,
    /// and gives their number.
    pub fn delete_range(&mut self, key: &[u8], range_end: &[u8], gone: &mut dyn FnMut(&Bytes)) -> usize {
        let end = match KeyRange::new(key, range_end) {
            one @ KeyRange::One(_) => return self.delete_slice(one, gone).0,
            KeyRange::From { end, .. } => end,
        };
        let (mut start, mut deleted) = (key.to_vec(), 0);
        // Slice by slice, so that a great deletion does not hold all its keys at once.
        loop {
            let (count, last) = self.delete_slice(KeyRange::From { start: &start, end }, gone);
            deleted += count;
            let (Some(last), DELETE_SLICE) = (last, count) else { return deleted };
            start = [&last[..], b"\0"].concat();
        }
    }

    /// Deletes the first keys of the range; gives their number and the last of them.
    fn delete_slice(&mut self, range: KeyRange<'_>, gone: &mut dyn FnMut(&Bytes)) -> (usize, Option<Bytes>) {
        let image = &self.store.image;
        let alive = image.index.alive(range, image.revision).take(DELETE_SLICE);
        let found: Vec<Entry> = alive.map(|(entry, _)| entry.clone()).collect();
        let count = found.len();
        let mut last = None;
        for entry in found {
            let key = self.delete(entry);
            gone(&key);
            last = Some(key);
        }
        (count, last)
    }

    fn delete(&mut self, entry: Entry) -> Bytes {
        let revision = self.next_revision();
        self.store.image.index.tombstone(entry.key(), revision);
        let (record, mut kv) = record::encode_tombstone(entry.key());
        kv.mod_revision = revision.main;
        let key = kv.key.clone();
        self.store.undo.push(Undo::Index { key: key.clone(), entry: Some(entry) });
        self.store.image.layers.live.append(RecordKey { revision, tombstone: true }, record.clone());
        self.store.events.push(Event { kind: EventKind::Delete, revision, kv, record });
        key
    }

    fn next_revision(&mut self) -> Revision {
        let revision = Revision { main: self.before.revision + 1, sub: self.sub };
        self.sub += 1;
        self.store.image.revision = revision.main;
        revision
    }

    /// See [`Image::range`].
    pub fn range(&self, query: &RangeQuery) -> Result<Range<&Image>> {
        self.store.image.range(query)
    }

    /// The key as it stands now.
    pub fn get_kv(&self, key: &[u8]) -> Result<Option<KeyValue>> {
        self.store.image.get_kv(key, 0)
    }

    /// What the index knows about the key now; reads no record.
    pub fn key_meta(&self, key: &[u8]) -> Option<KeyMeta> {
        self.store.image.key_meta(key)
    }

    /// Marks everything older than `revision` compacted, visible at once; [`Store::sweep`] does the rest.
    /// Errs with `Compacted` at or below the last compaction, with `FutureRevision` above the current revision.
    pub fn compact(&mut self, revision: i64) -> Result<()> {
        assert!(!self.compacted && self.sub == 0, "a compaction stands alone in its entry");
        if revision <= self.store.image.compact_revision {
            return Err(Error::Compacted);
        }
        if revision > self.store.image.revision {
            return Err(Error::FutureRevision);
        }
        self.compacted = true;
        self.store.image.compact_revision = revision;
        let mark = Revision::first_of(revision).to_bytes();
        self.set(Bucket::Meta, MetaKey::ScheduledCompact.bytes(), Some(&mark));
        Ok(())
    }

    /// A raw pair. Of `meta`, `consistent_index` and `term` are asked through [`Image::applied`].
    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>> {
        self.store.image.get(bucket, key)
    }

    /// Writes a raw pair. Not for [`Bucket::Key`], nor for what the store itself keeps in [`Bucket::Meta`].
    pub fn put_raw(&mut self, bucket: Bucket, key: &[u8], value: &[u8]) {
        assert_may_write(bucket, key);
        self.set(bucket, key, Some(value));
    }

    /// Deletes a raw pair; nothing happens where there is none. Bounds as [`Txn::put_raw`].
    pub fn delete_raw(&mut self, bucket: Bucket, key: &[u8]) {
        assert_may_write(bucket, key);
        self.set(bucket, key, None);
    }

    fn set(&mut self, bucket: Bucket, key: &[u8], value: Option<&[u8]>) {
        let key = Bytes::copy_from_slice(key);
        let said = self.store.image.layers.live.set(bucket, key.clone(), value.map(Bytes::copy_from_slice));
        self.store.undo.push(Undo::Raw { bucket, key, said });
    }

    /// See [`Image::scan`].
    pub fn scan(&self, bucket: Bucket, start: &[u8], end: Option<&[u8]>) -> RawScan {
        self.store.image.scan(bucket, start, end)
    }

    /// Records the raft configuration.
    pub fn set_conf_state(&mut self, conf_state: &ConfState) {
        let json = conf_state_json(conf_state);
        self.set(Bucket::Meta, MetaKey::ConfState.bytes(), Some(json.as_bytes()));
    }

    /// Ends the entry: its changes and its index stand. Gives the store's revision.
    pub fn commit(mut self) -> i64 {
        self.is_done = true;
        let store = &mut *self.store;
        store.undo.clear();
        store.undo.shrink_to(UNDO_KEPT_MAX);
        store.image.applied = self.entry;
        store.unpublished = true;
        if self.compacted {
            store.sweeper.schedule(store.image.compact_revision, self.before.compact_revision);
        }
        store.image.revision
    }
}

impl Drop for Txn<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let store = &mut *self.store;
        let image = &mut store.image;
        while let Some(step) = store.undo.pop() {
            match step {
                Undo::Index { key, entry } => image.index.restore(&key, entry),
                Undo::Raw { bucket, key, said } => image.layers.live.restore(bucket, key, said),
            }
        }
        image.layers.live.truncate_records(self.before.records);
        image.revision = self.before.revision;
        image.compact_revision = self.before.compact_revision;
        store.events.truncate(self.before.events);
    }
}

/// Raw writes reach neither records nor the store's own marks.
fn assert_may_write(bucket: Bucket, key: &[u8]) {
    assert!(bucket != Bucket::Key, "records are written by puts and deletes");
    let own = [MetaKey::ConsistentIndex, MetaKey::Term, MetaKey::ScheduledCompact, MetaKey::FinishedCompact];
    assert!(bucket != Bucket::Meta || own.iter().all(|own| own.bytes() != key), "the store keeps this key itself");
}

/// As etcd writes it: voters and learners in decimal, lists left out where empty (facts: disk-formats, 6.2).
fn conf_state_json(conf_state: &ConfState) -> String {
    let lists = [
        ("voters", &conf_state.voters),
        ("learners", &conf_state.learners),
        ("voters_outgoing", &conf_state.voters_outgoing),
        ("learners_next", &conf_state.learners_next),
    ];
    let mut json = String::from("{");
    for (name, ids) in lists.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        json.push_str(&format!("\"{name}\":[{}],", ids.join(",")));
    }
    json.push_str(&format!("\"auto_leave\":{}}}", conf_state.auto_leave));
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conf_state_is_etcds_json() {
        let mut conf_state = ConfState { voters: vec![1, u64::MAX], ..ConfState::default() };
        assert_eq!(conf_state_json(&conf_state), r#"{"voters":[1,18446744073709551615],"auto_leave":false}"#);
        conf_state.learners = vec![3];
        assert_eq!(
            conf_state_json(&conf_state),
            r#"{"voters":[1,18446744073709551615],"learners":[3],"auto_leave":false}"#
        );
    }
}
