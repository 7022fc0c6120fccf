//! Changes that the offline tools make, outside any entry.

use crate::backend::Bucket;
use crate::store::{EntryId, Store};

/// Changes to a store that does not serve: restoring a snapshot, migration. To be sealed and committed like any other.
pub struct OfflineEdit<'a> {
    _store: &'a mut Store,
}

impl OfflineEdit<'_> {
    /// Removes all pairs of a bucket other than [`Bucket::Key`].
    pub fn clear(&mut self, _bucket: Bucket) {
        todo!()
    }

    /// Writes a raw pair, in any bucket but [`Bucket::Key`].
    pub fn put_raw(&mut self, _bucket: Bucket, _key: &[u8], _value: &[u8]) {
        todo!()
    }

    /// Raises the revision by `by` with an empty record; with `mark_compacted`, everything older counts as compacted.
    pub fn bump_revision(&mut self, _by: i64, _mark_compacted: bool) {
        todo!()
    }

    /// Sets consistent index and term, also backwards.
    pub fn force_applied(&mut self, _entry: EntryId) {
        todo!()
    }
}
