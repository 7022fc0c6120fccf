//! Changes on their way to the file: puts and deletes for all buckets, cut only at entry boundaries.

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use crate::backend::log::RecordLog;
use crate::backend::schema::Bucket;
use crate::revision::RecordKey;

/// What an overlay costs beside the bytes of a key and a value, about.
const CHANGE_BYTES: usize = 96;

/// The changes of one bucket other than `key`; `None` = deleted.
pub type Table = OrdMap<Bytes, Option<Bytes>>;

/// Persistent: a clone is a snapshot in O(1).
#[derive(Clone, Default)]
pub struct Overlay {
    /// New records of the `key` bucket.
    records: RecordLog,
    /// Records that a sweep deletes, here or below.
    swept: OrdSet<RecordKey>,
    tables: [Table; Bucket::ALL.len()],
    changes: usize,
    bytes: usize,
}

/// What an overlay says of a key.
pub enum Said<T> {
    Put(T),
    Deleted,
    /// Ask the layer below.
    Nothing,
}

impl Overlay {
    /// Changes since the overlay began.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// Bytes that it holds, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn records(&self) -> &RecordLog {
        &self.records
    }

    pub fn swept(&self) -> &OrdSet<RecordKey> {
        &self.swept
    }

    pub fn table(&self, bucket: Bucket) -> &Table {
        &self.tables[bucket.position()]
    }

    pub fn append(&mut self, key: RecordKey, value: Bytes) {
        self.count(value.len());
        self.records.push((key, value));
    }

    pub fn record(&self, key: RecordKey) -> Said<Bytes> {
        if !self.swept.is_empty() && self.swept.contains(&key) {
            return Said::Deleted;
        }
        match self.records.find(key) {
            Some((_, value)) => Said::Put(value.clone()),
            None => Said::Nothing,
        }
    }

    /// Deletes a record for good.
    pub fn sweep(&mut self, key: RecordKey) {
        self.count(0);
        self.swept.insert(key);
    }

    /// Sets what the overlay says of a raw key; gives what it said before.
    pub fn set(&mut self, bucket: Bucket, key: Bytes, value: Option<Bytes>) -> Option<Option<Bytes>> {
        self.count(key.len() + value.as_ref().map_or(0, Bytes::len));
        self.tables[bucket.position()].insert(key, value)
    }

    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Said<Bytes> {
        match self.table(bucket).get(key) {
            Some(Some(value)) => Said::Put(value.clone()),
            Some(None) => Said::Deleted,
            None => Said::Nothing,
        }
    }

    /// Puts back what [`Overlay::set`] gave.
    pub fn restore(&mut self, bucket: Bucket, key: Bytes, before: Option<Option<Bytes>>) {
        let table = &mut self.tables[bucket.position()];
        match before {
            Some(said) => table.insert(key, said),
            None => table.remove(&key),
        };
    }

    /// Forgets the records from position `len` on.
    pub fn truncate_records(&mut self, len: usize) {
        self.records.truncate(len);
    }

    fn count(&mut self, bytes: usize) {
        self.changes += 1;
        self.bytes += bytes + CHANGE_BYTES;
    }
}
