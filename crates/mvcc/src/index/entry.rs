//! What the index holds for one key: its name and its changes since the last compaction.
//!
//! A key with few changes is one block of bytes behind one counted pointer, which is replaced whole:
//!
//! ```text
//! length of the key | key | hidden | [origin] | change*
//! hidden   0, or 1 + the puts of the first change's generation that were compacted away
//! origin   main revision of the first change minus that of its generation's creation; present where hidden > 0
//! change   (distance to the main revision before) << 2 | tombstone << 1 | has sub | [sub]
//! ```
//!
//! all numbers as in `varint`. A key with many changes keeps them in a persistent vector, so that a put stays cheap.
//! A generation runs from a creation to a tombstone; versions count the puts in it from 1.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::index::{KeyMeta, varint};
use crate::revision::Revision;

/// Changes up to which a key stays one block.
const BLOCK_CHANGES_MAX: usize = 48;
/// Main revisions from which on a key does not fit into a block, whose numbers carry two more bits.
const BLOCK_MAIN_END: i64 = 1 << 60;

/// One change of a key. `version` 0 = tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: Revision,
    /// Main revision at which the generation was created.
    pub created: i64,
    pub version: i64,
}

impl Change {
    pub fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    fn meta(self) -> Option<KeyMeta> {
        let meta = KeyMeta { create_revision: self.created, revision: self.revision, version: self.version };
        (!self.is_tombstone()).then_some(meta)
    }
}

/// A key with its changes. Ordered by the key alone.
#[derive(Clone, Debug)]
pub enum Entry {
    Block(Arc<[u8]>),
    Long(Arc<Long>),
}

#[derive(Clone, Debug)]
pub struct Long {
    key: Arc<[u8]>,
    changes: imbl::Vector<Change>,
}

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    /// A key whose first known change is this one.
    pub fn new(key: &[u8], first: Change) -> Entry {
        Entry::from_changes(key, [first].into_iter())
    }

    fn from_changes(key: &[u8], changes: impl ExactSizeIterator<Item = Change> + Clone) -> Entry {
        let too_long = changes.len() > BLOCK_CHANGES_MAX;
        if too_long || !are_expressible(changes.clone()) {
            return Entry::Long(Arc::new(Long { key: key.into(), changes: changes.collect() }));
        }
        let mut bytes = Vec::with_capacity(key.len() + 16 + 6 * changes.len());
        varint::push(&mut bytes, key.len() as u64);
        bytes.extend_from_slice(key);
        let mut main = None;
        for change in changes {
            if main.is_none() {
                push_head(&mut bytes, change);
            }
            push_change(&mut bytes, main.unwrap_or(0), change);
            main = Some(change.revision.main);
        }
        Entry::Block(bytes.into())
    }

    pub fn key(&self) -> &[u8] {
        match self {
            Entry::Block(bytes) => {
                // Most keys are shorter than 128 bytes; this is the inner loop of every search.
                if let [length @ 0..0x80, rest @ ..] = &bytes[..] {
                    return &rest[..usize::from(*length)];
                }
                let mut rest = &bytes[..];
                let length = varint::take(&mut rest) as usize;
                &rest[..length]
            }
            Entry::Long(long) => &long.key,
        }
    }

    /// All changes, oldest first.
    pub fn changes(&self) -> Changes<'_> {
        match self {
            Entry::Block(bytes) => Changes::Block(BlockChanges::new(bytes)),
            Entry::Long(long) => Changes::Long(long.changes.iter()),
        }
    }

    /// The newest change at or before main revision `at`.
    pub fn change_at(&self, at: i64) -> Option<Change> {
        match self {
            Entry::Block(bytes) => BlockChanges::new(bytes).take_while(|change| change.revision.main <= at).last(),
            Entry::Long(long) => {
                // Most reads are of the present.
                if let Some(last) = long.changes.last().filter(|last| last.revision.main <= at) {
                    return Some(*last);
                }
                long.changes.get(long.position_after(at).checked_sub(1)?).copied()
            }
        }
    }

    /// The newest change.
    pub fn last(&self) -> Change {
        self.change_at(i64::MAX).expect("invariant: an entry holds at least one change")
    }

    /// The key as of main revision `at`; `None` if it did not exist then.
    pub fn meta_at(&self, at: i64) -> Option<KeyMeta> {
        self.change_at(at)?.meta()
    }

    /// With a put or a tombstone on top; gives that change too.
    pub fn with(&self, revision: Revision, tombstone: bool) -> (Entry, Change) {
        let (count, last) = self.count_and_last();
        assert!(last.revision < revision, "revisions of a key grow: {last:?}, {revision:?}");
        let change = follow(last, revision, tombstone);
        (self.on_top(count, last, change), change)
    }

    /// With a change on top as a record tells it.
    pub fn with_change(&self, change: Change) -> Entry {
        let (count, last) = self.count_and_last();
        self.on_top(count, last, change)
    }

    /// The number of changes, and the newest: one walk through a block tells both.
    fn count_and_last(&self) -> (usize, Change) {
        let (count, last) = match self {
            Entry::Block(block) => {
                BlockChanges::new(block).fold((0, None), |(count, _), change| (count + 1, Some(change)))
            }
            Entry::Long(long) => (long.changes.len(), long.changes.last().copied()),
        };
        (count, last.expect("invariant: an entry holds at least one change"))
    }

    fn on_top(&self, count: usize, last: Change, change: Change) -> Entry {
        match self {
            Entry::Block(block) => {
                // A block can express a change only as the rules of a generation make it from the one before; what
                // else a foreign file holds goes the long way.
                let expressible = are_expressible([last, change].into_iter());
                if count >= BLOCK_CHANGES_MAX || !expressible {
                    let mut changes: imbl::Vector<Change> = BlockChanges::new(block).collect();
                    changes.push_back(change);
                    return Entry::Long(Arc::new(Long { key: self.key().into(), changes }));
                }
                let mut bytes = Vec::with_capacity(block.len() + 8);
                bytes.extend_from_slice(block);
                push_change(&mut bytes, last.revision.main, change);
                Entry::Block(bytes.into())
            }
            Entry::Long(long) => {
                let mut changes = long.changes.clone();
                changes.push_back(change);
                Entry::Long(Arc::new(Long { key: long.key.clone(), changes }))
            }
        }
    }

    /// What compaction at `at` leaves of the entry: the newest change at or before it stays, unless it is a tombstone
    /// older than `at`, and everything above.
    pub fn compacted(&self, at: i64) -> Compacted {
        let (older, len) = match self {
            Entry::Block(bytes) => {
                let older = |change: &Change| change.revision.main <= at;
                (BlockChanges::new(bytes).take_while(older).count(), BlockChanges::new(bytes).count())
            }
            Entry::Long(long) => (long.position_after(at), long.changes.len()),
        };
        let Some(newest) = self.change_at(at) else { return Compacted::Unchanged };
        let drop = if is_kept(&newest, at) { older - 1 } else { older };
        match (self, len - drop) {
            _ if drop == 0 => Compacted::Unchanged,
            (_, 0) => Compacted::Gone,
            (Entry::Long(long), rest) if rest > BLOCK_CHANGES_MAX => {
                let changes = long.changes.clone().split_off(drop);
                Compacted::Left(Entry::Long(Arc::new(Long { key: long.key.clone(), changes })))
            }
            (_, _) => {
                let rest: Vec<Change> = self.changes().skip(drop).collect();
                Compacted::Left(Entry::from_changes(self.key(), rest.into_iter()))
            }
        }
    }

    /// Bytes that the entry holds outside the tree.
    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Entry::Block(bytes) => 16 + bytes.len(),
            Entry::Long(long) => 64 + long.key.len() + long.changes.len() * size_of::<Change>(),
        }
    }
}

/// What [`Entry::compacted`] leaves.
#[derive(Debug)]
pub enum Compacted {
    Unchanged,
    Left(Entry),
    Gone,
}

/// Whether compaction at `at` keeps this change, the newest of its key at or before it (facts: disk-formats, 6.3).
pub fn is_kept(change: &Change, at: i64) -> bool {
    !change.is_tombstone() || change.revision.main == at
}

/// Whether a block can hold these changes: each follows from the one before by the rules of a generation.
fn are_expressible(mut changes: impl Iterator<Item = Change>) -> bool {
    let Some(mut before) = changes.next() else { return true };
    let fits = |change: &Change| (0..BLOCK_MAIN_END).contains(&change.revision.main);
    fits(&before)
        && changes.all(|change| {
            let expected = follow(before, change.revision, change.is_tombstone());
            before = change;
            fits(&change) && change == expected
        })
}

/// The change that the rules of a generation make on top of `last`.
fn follow(last: Change, revision: Revision, tombstone: bool) -> Change {
    match (tombstone, last.is_tombstone()) {
        (true, _) => Change { revision, created: last.created, version: 0 },
        (false, true) => Change { revision, created: revision.main, version: 1 },
        (false, false) => Change { revision, created: last.created, version: last.version.wrapping_add(1) },
    }
}

impl Long {
    /// The number of changes at or before main revision `at`.
    fn position_after(&self, at: i64) -> usize {
        let order = |change: &Change| if change.revision.main <= at { Ordering::Less } else { Ordering::Greater };
        match self.changes.binary_search_by(order) {
            Ok(position) | Err(position) => position,
        }
    }
}

fn push_head(bytes: &mut Vec<u8>, first: Change) {
    let hidden = first.version.max(1) - 1;
    let origin = first.revision.main.wrapping_sub(first.created);
    // A tombstone alone has lost its generation's versions; its origin matters to nobody.
    if first.is_tombstone() || (hidden == 0 && origin == 0) {
        bytes.push(0);
        return;
    }
    varint::push(bytes, hidden as u64 + 1);
    varint::push(bytes, origin as u64);
}

fn push_change(bytes: &mut Vec<u8>, main_before: i64, change: Change) {
    let sub = change.revision.sub;
    let distance = (change.revision.main - main_before) as u64;
    varint::push(bytes, distance << 2 | u64::from(change.is_tombstone()) << 1 | u64::from(sub != 0));
    if sub != 0 {
        varint::push(bytes, sub as u64);
    }
}

/// See [`Entry::changes`].
pub enum Changes<'a> {
    Block(BlockChanges<'a>),
    Long(imbl::vector::Iter<'a, Change, imbl::shared_ptr::DefaultSharedPtr>),
}

impl Iterator for Changes<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        match self {
            Changes::Block(changes) => changes.next(),
            Changes::Long(changes) => changes.next().copied(),
        }
    }
}

/// Reads the changes of a block.
pub struct BlockChanges<'a> {
    bytes: &'a [u8],
    before: Option<Change>,
    hidden: u64,
    origin: u64,
}

impl<'a> BlockChanges<'a> {
    fn new(block: &'a [u8]) -> BlockChanges<'a> {
        let mut bytes = block;
        let length = varint::take(&mut bytes) as usize;
        bytes = &bytes[length..];
        let head = varint::take(&mut bytes);
        let (hidden, origin) = if head == 0 { (0, 0) } else { (head - 1, varint::take(&mut bytes)) };
        BlockChanges { bytes, before: None, hidden, origin }
    }
}

impl Iterator for BlockChanges<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        if self.bytes.is_empty() {
            return None;
        }
        let head = varint::take(&mut self.bytes);
        let (distance, tombstone) = ((head >> 2) as i64, head & 2 != 0);
        let sub = if head & 1 != 0 { varint::take(&mut self.bytes) as i64 } else { 0 };
        let change = match self.before {
            Some(before) => follow(before, Revision { main: before.revision.main + distance, sub }, tombstone),
            None => Change {
                revision: Revision { main: distance, sub },
                created: distance.wrapping_sub(self.origin as i64),
                version: if tombstone { 0 } else { self.hidden as i64 + 1 },
            },
        };
        self.before = Some(change);
        Some(change)
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.key().cmp(other.key())
    }
}
