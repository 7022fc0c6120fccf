//! The write transaction: changes gathered in memory over a pinned state, until [`WriteTx::commit`] applies them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::db::{Shared, Writer};
use crate::edit::{BucketChange, Change};
use crate::error::{Error, Result};
use crate::plan::Request;
use crate::read::{Bucket, ReadTx};
use crate::tx_cursor::TxCursor;
use crate::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// bbolt's, for pages that are written in no order.
const FILL_PERCENT: u8 = 50;

/// The one write transaction. Dropping it without a commit undoes everything.
///
/// It sees its own changes; readers see them after the commit.
pub struct WriteTx {
    pub(crate) base: ReadTx,
    /// `None` once it has been given back.
    pub(crate) writer: Option<Writer>,
    buckets: BTreeMap<Bytes, Edited>,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The transaction's id; that of the commit before if nothing had changed.
    pub txid: u64,
    /// Pages written, without the meta page.
    pub pages: u64,
}

/// The changes to a bucket.
#[derive(Default)]
struct Edited {
    /// The bucket as it was before is gone.
    drop: bool,
    /// There is a bucket of this name now.
    keep: bool,
    fill_percent: Option<u8>,
    /// `None` deletes.
    changes: BTreeMap<Bytes, Option<Bytes>>,
}

impl WriteTx {
    pub(crate) fn new(base: ReadTx, writer: Writer) -> WriteTx {
        WriteTx { base, writer: Some(writer), buckets: BTreeMap::new() }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.base.shared()
    }

    /// The id that the commit will have.
    pub fn txid(&self) -> u64 {
        self.base.txid() + 1
    }

    /// Makes sure that the bucket exists.
    pub fn create_bucket_if_missing(&mut self, name: &[u8]) -> Result<()> {
        if name.is_empty() {
            return Err(Error::BucketNameRequired);
        }
        if name.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLarge);
        }
        if self.edited(name)?.is_none() {
            self.buckets.entry(Bytes::copy_from_slice(name)).or_default().keep = true;
        }
        Ok(())
    }

    /// Deletes the bucket with all it holds; errs if there is none.
    pub fn delete_bucket(&mut self, name: &[u8]) -> Result<()> {
        if self.edited(name)?.is_none() {
            return Err(Error::BucketNotFound);
        }
        let gone = Edited { drop: true, ..Edited::default() };
        self.buckets.insert(Bytes::copy_from_slice(name), gone);
        Ok(())
    }

    /// How full pages are made when a bucket's pages are cut, in percent; 50 unless set, 90 suits rising keys.
    pub fn set_fill_percent(&mut self, bucket: &[u8], percent: u8) -> Result<()> {
        self.require(bucket)?.fill_percent = Some(percent);
        Ok(())
    }

    /// Sets the value of a key. The commit errs with `IncompatibleValue` if the key names a nested bucket.
    pub fn put(&mut self, bucket: &[u8], key: Bytes, value: Bytes) -> Result<()> {
        check_put(&key, &value)?;
        self.require(bucket)?.changes.insert(key, Some(value));
        Ok(())
    }

    /// Removes a key; an absent one is fine.
    pub fn delete(&mut self, bucket: &[u8], key: Bytes) -> Result<()> {
        self.require(bucket)?.changes.insert(key, None);
        Ok(())
    }

    /// Puts (`Some`) and deletes (`None`) many keys, which come in rising order, at less cost than one by one. A later
    /// change of a key counts.
    pub fn apply_sorted(
        &mut self,
        bucket: &[u8],
        changes: impl IntoIterator<Item = (Bytes, Option<Bytes>)>,
    ) -> Result<()> {
        let mut checked = Vec::new();
        for (key, value) in changes {
            if let Some(value) = &value {
                check_put(&key, value)?;
            }
            checked.push((key, value));
        }
        let changes = &mut self.require(bucket)?.changes;
        if changes.is_empty() {
            // Built from the bottom, without a search for each key.
            *changes = checked.into_iter().collect();
        } else {
            changes.extend(checked);
        }
        Ok(())
    }

    /// The value of `key` with this transaction's changes.
    pub fn get(&self, bucket: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        let (edited, base) = self.layers(bucket)?;
        match edited.and_then(|edited| edited.changes.get(key)) {
            Some(change) => Ok(change.clone()),
            None => base.map_or(Ok(None), |base| base.get(key)),
        }
    }

    /// A cursor over the bucket with this transaction's changes.
    pub fn cursor(&self, bucket: &[u8]) -> Result<TxCursor<'_>> {
        let (edited, base) = self.layers(bucket)?;
        Ok(TxCursor::new(edited.map(|edited| &edited.changes), base.map(|base| base.cursor())))
    }

    /// The names of the top-level buckets with this transaction's changes, sorted.
    pub fn buckets(&self) -> Result<Vec<Bytes>> {
        let mut names: Vec<Bytes> = self.base.buckets()?;
        names.retain(|name| self.buckets.get(name).is_none_or(|edited| edited.keep));
        names.extend(self.buckets.iter().filter(|(_, edited)| edited.keep).map(|(name, _)| name.clone()));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Makes the changes durable and then visible. A commit without changes does nothing.
    ///
    /// If it fails before anything of it could be taken for durable (the disk was full, say), the database is as before
    /// and a later transaction may succeed; else it is poisoned.
    pub fn commit(mut self) -> Result<Commit> {
        let changes = self.take_changes();
        crate::commit::commit(self, Request { changes, trim: false, force: false, below: None })
    }

    /// The changes as the tree of buckets takes them.
    fn take_changes(&mut self) -> Vec<(Bytes, Change)> {
        let bucket_change = |edited: Edited| BucketChange {
            drop: edited.drop,
            keep: edited.keep,
            fill_percent: edited.fill_percent.unwrap_or(FILL_PERCENT),
            changes: edited
                .changes
                .into_iter()
                .map(|(key, change)| (key, change.map_or(Change::Delete, Change::Put)))
                .collect(),
        };
        let buckets = std::mem::take(&mut self.buckets);
        buckets.into_iter().map(|(name, edited)| (name, Change::Bucket(bucket_change(edited)))).collect()
    }

    /// The bucket's changes, if it exists with them.
    fn edited(&mut self, name: &[u8]) -> Result<Option<&mut Edited>> {
        if !self.buckets.contains_key(name) {
            if self.base.bucket(name)?.is_none() {
                return Ok(None);
            }
            let untouched = Edited { keep: true, ..Edited::default() };
            self.buckets.insert(Bytes::copy_from_slice(name), untouched);
        }
        Ok(self.buckets.get_mut(name).filter(|edited| edited.keep))
    }

    fn require(&mut self, bucket: &[u8]) -> Result<&mut Edited> {
        self.edited(bucket)?.ok_or(Error::BucketNotFound)
    }

    /// The bucket's changes, and what lies beneath them.
    fn layers(&self, bucket: &[u8]) -> Result<(Option<&Edited>, Option<Bucket>)> {
        let edited = self.buckets.get(bucket);
        let base = match edited {
            Some(edited) if !edited.keep => return Err(Error::BucketNotFound),
            Some(edited) if edited.drop => None,
            _ => self.base.bucket(bucket)?,
        };
        if edited.is_none() && base.is_none() { Err(Error::BucketNotFound) } else { Ok((edited, base)) }
    }
}

impl Drop for WriteTx {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.shared().return_writer(writer);
        }
    }
}

fn check_put(key: &[u8], value: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(Error::KeyRequired);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLarge);
    }
    if value.len() > VALUE_BYTES_MAX { Err(Error::ValueTooLarge) } else { Ok(()) }
}
