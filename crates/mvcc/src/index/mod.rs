//! The key index: which revisions each key has, in memory, in key order, with snapshots in O(1).
//!
//! The index holds no values. What it says about a revision at or above the compacted one is the same before, during
//! and after a sweep.

mod entry;
mod varint;

use std::ops::Bound;

use imbl::OrdSet;

use crate::revision::Revision;

pub use entry::{Change, Compacted, Entry, is_kept};

/// What the index knows about a key at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMeta {
    pub create_revision: i64,
    /// Revision of the last change.
    pub revision: Revision,
    /// Counts the puts since the creation, from 1.
    pub version: i64,
}

impl KeyMeta {
    /// The main revision of the last change.
    pub fn mod_revision(&self) -> i64 {
        self.revision.main
    }
}

/// The keys that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRange<'a> {
    One(&'a [u8]),
    /// `end` `None` = no upper bound.
    From {
        start: &'a [u8],
        end: Option<&'a [u8]>,
    },
}

impl<'a> KeyRange<'a> {
    /// By etcd's rules: no end = one key; a single zero byte = no upper bound; else exclusive.
    pub fn new(key: &'a [u8], range_end: &'a [u8]) -> KeyRange<'a> {
        match range_end {
            [] => KeyRange::One(key),
            [0] => KeyRange::From { start: key, end: None },
            end => KeyRange::From { start: key, end: Some(end) },
        }
    }
}

/// Persistent: a clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Index {
    entries: OrdSet<Entry>,
}

type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

impl Index {
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The key as of main revision `at`.
    pub fn meta_at(&self, key: &[u8], at: i64) -> Option<KeyMeta> {
        self.get(key)?.meta_at(at)
    }

    /// The entries in the range, deleted ones too, in key order; may be walked from both ends.
    pub fn range(&self, range: KeyRange<'_>) -> impl DoubleEndedIterator<Item = &Entry> {
        let (one, bounds): (Option<&Entry>, Option<Bounds<'_>>) = match range {
            KeyRange::One(key) => (self.get(key), None),
            // The set's ranges must not be given upside down.
            KeyRange::From { start, end: Some(end) } if end <= start => (None, None),
            KeyRange::From { start, end: Some(end) } => (None, Some((Bound::Included(start), Bound::Excluded(end)))),
            KeyRange::From { start, end: None } => (None, Some((Bound::Included(start), Bound::Unbounded))),
        };
        one.into_iter().chain(bounds.into_iter().flat_map(|bounds| self.within(bounds)))
    }

    /// The entries within raw bounds, which must not be upside down.
    pub fn within(&self, bounds: Bounds<'_>) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range::<_, [u8]>(bounds)
    }

    /// The keys in the range that exist at main revision `at`, with what is known of them.
    pub fn alive(&self, range: KeyRange<'_>, at: i64) -> impl DoubleEndedIterator<Item = (&Entry, KeyMeta)> {
        self.range(range).filter_map(move |entry| Some((entry, entry.meta_at(at)?)))
    }

    /// Records a put; gives the entry that stood before.
    pub fn put(&mut self, key: &[u8], revision: Revision) -> (KeyMeta, Option<Entry>) {
        let first = Change { revision, created: revision.main, version: 1 };
        let (entry, change) = match self.get(key) {
            Some(entry) => entry.with(revision, false),
            None => (Entry::new(key, first), first),
        };
        let meta = KeyMeta { create_revision: change.created, revision, version: change.version };
        (meta, self.entries.insert(entry))
    }

    /// Records a deletion of a key that exists; gives the entry that stood before.
    pub fn tombstone(&mut self, key: &[u8], revision: Revision) -> Option<Entry> {
        let (entry, _) = self.get(key)?.with(revision, true);
        self.entries.insert(entry)
    }

    /// Adds a change as a record of the file tells it. Changes of a key must come in order.
    pub fn load(&mut self, key: &[u8], change: Change) {
        let entry = match self.get(key) {
            Some(entry) => entry.with_change(change),
            None => Entry::new(key, change),
        };
        self.entries.insert(entry);
    }

    /// Puts back what stood before a change.
    pub fn restore(&mut self, key: &[u8], before: Option<Entry>) {
        match before {
            Some(entry) => self.entries.insert(entry),
            None => self.entries.remove(key),
        };
    }

    /// Compacts up to `keys_max` entries from `from` on; gives the first key that was not looked at, `None` at the end.
    pub fn compact_slice(&mut self, at: i64, from: &[u8], keys_max: usize) -> Option<Vec<u8>> {
        let mut results = Vec::new();
        let mut next = None;
        for (position, entry) in self.within((Bound::Included(from), Bound::Unbounded)).enumerate() {
            if position == keys_max {
                next = Some(entry.key().to_vec());
                break;
            }
            match entry.compacted(at) {
                Compacted::Unchanged => {}
                Compacted::Left(left) => results.push((entry.clone(), Some(left))),
                Compacted::Gone => results.push((entry.clone(), None)),
            }
        }
        for (old, new) in results {
            self.restore(old.key(), new);
        }
        next
    }

    /// The number of keys, deleted ones that are not compacted too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests;
