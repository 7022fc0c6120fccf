//! The write transaction: changes gathered in memory over a pinned state, until [`WriteTx::commit`] applies them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::commit::Request;
use crate::cursor::Cursor;
use crate::db::{Shared, Writer};
use crate::edit::{BucketChange, Change};
use crate::error::{Error, Result};
use crate::read::{Bucket, ReadTx};
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
        Ok(TxCursor { changes: edited.map(|edited| &edited.changes), base: base.map(|base| base.cursor()), at: None })
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

/// A cursor of a write transaction: its changes over the state that it began with.
pub struct TxCursor<'tx> {
    changes: Option<&'tx BTreeMap<Bytes, Option<Bytes>>>,
    base: Option<Cursor>,
    at: Option<Bytes>,
}

type Pair = (Bytes, Bytes);

impl TxCursor<'_> {
    pub fn first(&mut self) -> Result<Option<Pair>> {
        self.forward(Bound::Unbounded)
    }

    pub fn last(&mut self) -> Result<Option<Pair>> {
        self.backward(Bound::Unbounded)
    }

    /// Moves to the first key that is not less than `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Pair>> {
        self.forward(Bound::Included(key))
    }

    /// Moves to the next key; `None` past the last one, or if the cursor is nowhere.
    #[expect(clippy::should_implement_trait, reason = "a cursor also goes back, and its steps can fail")]
    pub fn next(&mut self) -> Result<Option<Pair>> {
        match self.at.take() {
            Some(at) => self.forward(Bound::Excluded(&at)),
            None => Ok(None),
        }
    }

    /// Moves to the key before; `None` before the first one, or if the cursor is nowhere.
    pub fn prev(&mut self) -> Result<Option<Pair>> {
        match self.at.take() {
            Some(at) => self.backward(Bound::Excluded(&at)),
            None => Ok(None),
        }
    }

    fn forward(&mut self, from: Bound<&[u8]>) -> Result<Option<Pair>> {
        let mut beneath = match &mut self.base {
            None => None,
            Some(base) => match from {
                Bound::Unbounded => base.first()?,
                Bound::Included(key) => base.seek(key)?,
                Bound::Excluded(key) => match base.current() {
                    // The usual step: the base stands on the key, or already beyond.
                    Some((at, _)) if at == key => base.next()?,
                    _ => base
                        .seek(key)?
                        .map_or(Ok(None), |found| if found.0 == key { base.next() } else { Ok(Some(found)) })?,
                },
            },
        };
        let mut above =
            self.changes.map(|changes| changes.range::<[u8], _>((from, Bound::Unbounded))).into_iter().flatten();
        let mut change = above.next();
        loop {
            match (change, &beneath) {
                (None, _) => return Ok(self.stand(beneath)),
                (Some((key, value)), under) if under.as_ref().is_none_or(|under| *key <= under.0) => {
                    let hides = under.as_ref().is_some_and(|under| *key == under.0);
                    if let Some(value) = value {
                        return Ok(self.stand(Some((key.clone(), value.clone()))));
                    }
                    if hides && let Some(base) = &mut self.base {
                        beneath = base.next()?;
                    }
                    change = above.next();
                }
                (Some(_), _) => return Ok(self.stand(beneath)),
            }
        }
    }

    fn backward(&mut self, to: Bound<&[u8]>) -> Result<Option<Pair>> {
        let mut beneath = match &mut self.base {
            None => None,
            Some(base) => match to {
                Bound::Unbounded => base.last()?,
                Bound::Included(key) | Bound::Excluded(key) => match base.seek(key)? {
                    Some(_) => base.prev()?,
                    None => base.last()?,
                },
            },
        };
        let below = self.changes.map(|changes| changes.range::<[u8], _>((Bound::Unbounded, to)).rev());
        let mut above = below.into_iter().flatten();
        let mut change = above.next();
        loop {
            match (change, &beneath) {
                (None, _) => return Ok(self.stand(beneath)),
                (Some((key, value)), under) if under.as_ref().is_none_or(|under| *key >= under.0) => {
                    let hides = under.as_ref().is_some_and(|under| *key == under.0);
                    if let Some(value) = value {
                        return Ok(self.stand(Some((key.clone(), value.clone()))));
                    }
                    if hides && let Some(base) = &mut self.base {
                        beneath = base.prev()?;
                    }
                    change = above.next();
                }
                (Some(_), _) => return Ok(self.stand(beneath)),
            }
        }
    }

    fn stand(&mut self, found: Option<Pair>) -> Option<Pair> {
        self.at = found.as_ref().map(|(key, _)| key.clone());
        found
    }
}
