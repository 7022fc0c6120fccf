//! The records that an overlay adds to the `key` bucket: only ever appended, in revision order.
//!
//! A clone is a snapshot in O(1): snapshots share the chunks, and each sees as many slots as were filled when it was
//! taken. A slot is filled once. Appending after a [`RecordLog::truncate`], or to two clones, finds the slot taken and
//! goes on in a copy of the chunk, so that no snapshot changes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::revision::RecordKey;

const CHUNK: usize = 128;

/// A record: its key and its value.
pub type Record = (RecordKey, Bytes);

type Chunk = [OnceLock<Record>; CHUNK];

/// See the head of this file.
#[derive(Clone, Default)]
pub struct RecordLog {
    /// All but the last of the chunks in use; each is full.
    full: Arc<Vec<Arc<Chunk>>>,
    tail: Option<Arc<Chunk>>,
    tail_len: usize,
}

impl RecordLog {
    pub fn len(&self) -> usize {
        self.full.len() * CHUNK + self.tail_len
    }

    /// The record at a position below `len()`.
    pub fn get(&self, position: usize) -> Option<&Record> {
        let chunk = match self.full.get(position / CHUNK) {
            Some(chunk) => chunk,
            None if position < self.len() => self.tail.as_ref()?,
            None => return None,
        };
        chunk[position % CHUNK].get()
    }

    /// Appends a record whose key is above all before.
    pub fn push(&mut self, record: Record) {
        let last = self.len().checked_sub(1).and_then(|last| self.get(last));
        assert!(last.is_none_or(|last| last.0 < record.0), "records grow: {:?}", record.0);
        if self.tail_len == CHUNK
            && let Some(tail) = self.tail.take()
        {
            Arc::make_mut(&mut self.full).push(tail);
            self.tail_len = 0;
        }
        let tail = self.tail.get_or_insert_with(new_chunk);
        if let Err(record) = tail[self.tail_len].set(record) {
            let copy = new_chunk();
            for (to, from) in copy.iter().zip(tail.iter()).take(self.tail_len) {
                if let Some(record) = from.get() {
                    to.set(record.clone()).expect("invariant: the chunk is new");
                }
            }
            copy[self.tail_len].set(record).expect("invariant: the chunk is new");
            *tail = copy;
        }
        self.tail_len += 1;
    }

    /// Forgets all records from position `len` on.
    pub fn truncate(&mut self, len: usize) {
        while self.len() > len && self.len() - self.tail_len >= len && !self.full.is_empty() {
            self.tail = Arc::make_mut(&mut self.full).pop();
            self.tail_len = CHUNK;
        }
        self.tail_len -= self.len().saturating_sub(len);
    }

    /// The number of records with a key below this.
    pub fn position(&self, key: RecordKey) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(record) if record.0 < key => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The record with exactly this key.
    pub fn find(&self, key: RecordKey) -> Option<&Record> {
        self.get(self.position(key)).filter(|record| record.0 == key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        (0..self.len()).filter_map(|position| self.get(position))
    }
}

fn new_chunk() -> Arc<Chunk> {
    Arc::new(std::array::from_fn(|_| OnceLock::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision;

    fn record(main: i64) -> Record {
        (RecordKey { revision: Revision::first_of(main), tombstone: false }, Bytes::from(main.to_string()))
    }

    fn mains(log: &RecordLog) -> Vec<i64> {
        log.iter().map(|(key, _)| key.revision.main).collect()
    }

    #[test]
    fn snapshots_stay_through_appending_and_truncating() {
        let mut log = RecordLog::default();
        let mut snapshots = Vec::new();
        for main in 0..600 {
            snapshots.push(log.clone());
            log.push(record(main));
        }
        for len in [599, 513, 512, 511, 256, 100, 0] {
            let mut cut = log.clone();
            cut.truncate(len);
            assert_eq!(cut.len(), len);
            cut.push(record(1000));
            cut.push(record(1001));
            let expected: Vec<i64> = (0..len as i64).chain([1000, 1001]).collect();
            assert_eq!(mains(&cut), expected);
        }
        for (len, snapshot) in snapshots.iter().enumerate() {
            assert_eq!(mains(snapshot), (0..len as i64).collect::<Vec<_>>());
        }
        assert_eq!(log.find(record(300).0).map(|r| r.1.clone()), Some(Bytes::from("300")));
        assert_eq!(log.find(record(600).0), None);
        assert_eq!(log.position(record(77).0), 77);
    }
}
