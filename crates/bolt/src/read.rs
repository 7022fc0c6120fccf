//! Read transactions: one committed state, for as long as it is held.

use std::sync::Arc;

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::db::Shared;
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::page::{BucketValue, DEPTH_MAX, Page};
use crate::stream::SnapshotStream;

/// One committed state. While any clone lives, no page of it is written to. Opening and cloning take O(1).
#[derive(Clone)]
pub struct ReadTx {
    pin: Arc<Pin>,
}

/// Counted among the open readers until it is dropped.
struct Pin {
    shared: Arc<Shared>,
    meta: Meta,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.shared.unpin(&self.meta);
    }
}

/// Where a tree begins.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    Page(u64),
    /// The one leaf of an inline bucket.
    Inline(Page),
}

impl ReadTx {
    /// `meta` has been counted as pinned.
    pub(crate) fn pinned(shared: Arc<Shared>, meta: Meta) -> ReadTx {
        ReadTx { pin: Arc::new(Pin { shared, meta }) }
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.pin.meta
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.pin.shared
    }

    /// Id of the commit that made this state.
    pub fn txid(&self) -> u64 {
        self.meta().txid
    }

    /// High-water mark times page size: the length of [`ReadTx::stream`].
    pub fn size(&self) -> u64 {
        self.meta().size()
    }

    /// Open readers of the database, this one among them (clones count once).
    pub fn open_readers(&self) -> u64 {
        self.shared().published().pins.values().map(|pins| pins.count).sum()
    }

    /// The bucket of this name, `None` if there is none.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket>> {
        self.top().nested(name)
    }

    /// The names of the top-level buckets, sorted.
    pub fn buckets(&self) -> Result<Vec<Bytes>> {
        let mut names = Vec::new();
        let mut cursor = self.top().cursor();
        let mut at = cursor.first()?;
        while let Some((name, _)) = at {
            if cursor.is_bucket() {
                names.push(name);
            }
            at = cursor.next()?;
        }
        Ok(names)
    }

    /// The state as a file: a stream of exactly [`ReadTx::size`] bytes in chunks.
    pub fn stream(&self) -> SnapshotStream {
        SnapshotStream::new(self.clone())
    }

    /// Hands the state as a file to `sink`, chunk by chunk.
    pub fn copy_to(&self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut stream = self.stream();
        while let Some(chunk) = stream.next_chunk()? {
            sink(&chunk)?;
        }
        Ok(())
    }

    /// The tree of top-level buckets.
    pub(crate) fn top(&self) -> Bucket {
        Bucket { tx: self.clone(), root: Root::Page(self.meta().root), sequence: self.meta().sequence }
    }

    pub(crate) fn page(&self, id: u64) -> Result<Page> {
        self.shared().source.page(id, self.meta().high_water)
    }
}

/// One bucket of a read transaction, which it keeps open.
#[derive(Clone)]
pub struct Bucket {
    tx: ReadTx,
    root: Root,
    sequence: u64,
}

impl Bucket {
    /// The value of `key`, a slice of a cached page. `None` if it is absent or names a nested bucket.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let (leaf, i, found) = self.find(key)?;
        Ok((found && !leaf.is_bucket(i)).then(|| leaf.value_bytes(i)))
    }

    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.tx.clone(), self.root.clone())
    }

    /// The nested bucket of this name.
    pub fn nested(&self, name: &[u8]) -> Result<Option<Bucket>> {
        let (leaf, i, found) = self.find(name)?;
        if !found || !leaf.is_bucket(i) {
            return Ok(None);
        }
        Bucket::open(&self.tx, leaf.id(), &leaf.value_bytes(i)).map(Some)
    }

    /// The bucket that `value`, found on page `holder`, stands for.
    pub(crate) fn open(tx: &ReadTx, holder: u64, value: &Bytes) -> Result<Bucket> {
        let value = BucketValue::decode(holder, value)?;
        let root = match value.inline {
            Some(image) => Root::Inline(BucketValue::inline_page(holder, image)?),
            None => Root::Page(value.root),
        };
        Ok(Bucket { tx: tx.clone(), root, sequence: value.sequence })
    }

    /// The sequence number that bbolt keeps for the bucket's users; etcd leaves it 0.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The leaf where `key` is or would be, the element at or after it, and whether it is equal.
    fn find(&self, key: &[u8]) -> Result<(Page, usize, bool)> {
        let mut page = match &self.root {
            Root::Page(id) => self.tx.page(*id)?,
            Root::Inline(page) => page.clone(),
        };
        for _ in 0..DEPTH_MAX {
            if page.is_leaf() {
                let (i, found) = page.search(key);
                return Ok((page, i, found));
            }
            page = self.tx.page(page.child(page.child_for(key)))?;
        }
        Err(Error::corrupt(page.id(), "the tree is too deep"))
    }
}
