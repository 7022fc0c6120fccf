//! Copies a database into a fresh file without free pages.

use crate::db::Db;
use crate::error::{Error, Result};
use crate::read::{Bucket, ReadTx};
use crate::write::WriteTx;

/// A transaction of the copy holds about this much.
const BATCH_BYTES: usize = 8 << 20;
const BATCH_KEYS: usize = 10_000;
/// Keys come in rising order.
const FILL_PERCENT: u8 = 90;

/// Copies all top-level buckets of `from` in name order into `to`, which should be fresh, and commits.
///
/// Nested buckets are refused with `IncompatibleValue`; etcd has none.
pub fn compact_into(from: &ReadTx, to: &Db) -> Result<()> {
    let mut tx = to.write()?;
    for name in from.buckets()? {
        if let Some(bucket) = from.bucket(&name)? {
            tx = copy_bucket(&name, &bucket, to, tx)?;
        }
    }
    tx.commit()?;
    Ok(())
}

fn copy_bucket(name: &[u8], bucket: &Bucket, to: &Db, mut tx: WriteTx) -> Result<WriteTx> {
    tx.create_bucket_if_missing(name)?;
    tx.set_fill_percent(name, FILL_PERCENT)?;
    let (mut keys, mut bytes) = (0, 0);
    let mut cursor = bucket.cursor();
    let mut at = cursor.first()?;
    while let Some((key, value)) = at {
        if cursor.is_bucket() {
            return Err(Error::IncompatibleValue);
        }
        keys += 1;
        bytes += key.len() + value.len();
        tx.put(name, key, value)?;
        if keys >= BATCH_KEYS || bytes >= BATCH_BYTES {
            tx.commit()?;
            tx = to.write()?;
            tx.set_fill_percent(name, FILL_PERCENT)?;
            (keys, bytes) = (0, 0);
        }
        at = cursor.next()?;
    }
    Ok(tx)
}
