//! Changes that the offline tools make, outside any entry.

use bytes::Bytes;

use crate::backend::{Bucket, MetaKey};
use crate::error::{Error, Result};
use crate::index::Change;
use crate::revision::{RecordKey, Revision};
use crate::store::load::REVISION_MAX;
use crate::store::{EntryId, Store};

/// Changes to a store that does not serve: restoring a snapshot, migration. To be sealed and committed like any other.
pub struct OfflineEdit<'a> {
    store: &'a mut Store,
}

impl<'a> OfflineEdit<'a> {
    pub(super) fn new(store: &'a mut Store) -> OfflineEdit<'a> {
        OfflineEdit { store }
    }

    /// Removes all pairs of a bucket other than [`Bucket::Key`].
    pub fn clear(&mut self, bucket: Bucket) -> Result<()> {
        for pair in self.store.image.scan(bucket, b"", None).collect::<Result<Vec<_>>>()? {
            self.store.image.layers.live.set(bucket, pair.0, None);
        }
        Ok(())
    }

    /// Writes a raw pair, in any bucket but [`Bucket::Key`].
    pub fn put_raw(&mut self, bucket: Bucket, key: &[u8], value: &[u8]) {
        assert!(bucket != Bucket::Key, "records are written by puts and deletes");
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.store.image.layers.live.set(bucket, key, Some(value));
    }

    /// Deletes a raw pair, in any bucket but [`Bucket::Key`].
    pub fn delete_raw(&mut self, bucket: Bucket, key: &[u8]) {
        assert!(bucket != Bucket::Key, "records are written by puts and deletes");
        self.store.image.layers.live.set(bucket, Bytes::copy_from_slice(key), None);
    }

    /// Raises the revision by `by` (at least 1) with a record of no key; gives the new revision. With `mark_compacted`
    /// everything older counts as compacted, and is swept by the server that opens the file.
    pub fn bump_revision(&mut self, by: i64, mark_compacted: bool) -> Result<i64> {
        let image = &mut self.store.image;
        let bumped = image.revision.checked_add(by).filter(|main| (image.revision + 1..=REVISION_MAX).contains(main));
        let Some(main) = bumped else {
            return Err(Error::Corrupt {
                bucket: "key",
                what: format!("revision {} can't be raised by {by}", image.revision),
            });
        };
        let revision = Revision::first_of(main);
        image.layers.live.append(RecordKey { revision, tombstone: false }, Bytes::new());
        image.index.load(b"", Change { revision, created: 0, version: 1 });
        image.revision = main;
        if mark_compacted {
            let before = std::mem::replace(&mut image.compact_revision, main);
            let key = Bytes::from_static(MetaKey::ScheduledCompact.bytes());
            let mark = Bytes::copy_from_slice(&revision.to_bytes());
            image.layers.live.set(Bucket::Meta, key, Some(mark));
            self.store.sweeper.schedule(main, before);
        }
        self.store.unpublished = true;
        Ok(main)
    }

    /// Sets consistent index and term, also backwards.
    pub fn force_applied(&mut self, entry: EntryId) {
        self.store.image.applied = entry;
        self.store.unpublished = true;
    }
}
