//! The bolt file as this room uses it: a pinned root with its buckets at hand.

use std::sync::Arc;

use bolt::Db;
use bytes::Bytes;

use crate::backend::schema::{Bucket, MetaKey};
use crate::error::{Error, Result};
use crate::store::EntryId;

/// What was committed last when it was taken. Clones share one pin.
#[derive(Clone)]
pub struct Root(Arc<Inner>);

struct Inner {
    tx: bolt::ReadTx,
    /// In the order of [`Bucket::ALL`].
    buckets: [Option<bolt::Bucket>; Bucket::ALL.len()],
    last: EntryId,
    size: u64,
    size_in_use: u64,
}

impl Root {
    /// Pins the last commit. Nothing else may commit meanwhile.
    pub fn pin(db: &Db) -> Result<Root> {
        let tx = db.read();
        let stats = db.stats();
        let mut buckets = [const { None }; Bucket::ALL.len()];
        for (place, bucket) in buckets.iter_mut().zip(Bucket::ALL) {
            *place = tx.bucket(bucket.name().as_bytes())?;
        }
        let mut inner = Inner { tx, buckets, last: EntryId::default(), size: stats.size, size_in_use: stats.in_use };
        inner.last = EntryId { term: number(&inner, MetaKey::Term)?, index: number(&inner, MetaKey::ConsistentIndex)? };
        Ok(Root(Arc::new(inner)))
    }

    /// Consistent index and term, zero where absent.
    pub fn last(&self) -> EntryId {
        self.0.last
    }

    pub fn size(&self) -> u64 {
        self.0.size
    }

    pub fn size_in_use(&self) -> u64 {
        self.0.size_in_use
    }

    pub fn tx(&self) -> &bolt::ReadTx {
        &self.0.tx
    }

    /// The names of all buckets of the file, sorted.
    pub fn buckets(&self) -> Result<Vec<Bytes>> {
        Ok(self.0.tx.buckets()?)
    }

    /// A cursor over a bucket that is none of etcd's.
    pub fn foreign_cursor(&self, name: &[u8]) -> Result<bolt::Cursor> {
        Ok(self.0.tx.bucket(name)?.ok_or(bolt::Error::BucketNotFound)?.cursor())
    }

    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>> {
        match self.0.bucket(bucket) {
            Some(bucket) => Ok(bucket.get(key)?),
            None => Ok(None),
        }
    }

    pub fn cursor(&self, bucket: Bucket) -> Option<bolt::Cursor> {
        self.0.bucket(bucket).map(bolt::Bucket::cursor)
    }
}

impl Inner {
    fn bucket(&self, bucket: Bucket) -> Option<&bolt::Bucket> {
        self.buckets[bucket.position()].as_ref()
    }
}

fn number(root: &Inner, key: MetaKey) -> Result<u64> {
    let Some(meta) = root.bucket(Bucket::Meta) else { return Ok(0) };
    let Some(value) = meta.get(key.bytes())? else { return Ok(0) };
    let bytes: [u8; 8] = value[..].try_into().map_err(|_| Error::Corrupt {
        bucket: Bucket::Meta.name(),
        what: format!("{} has {} bytes, not 8", key.name(), value.len()),
    })?;
    Ok(u64::from_be_bytes(bytes))
}
