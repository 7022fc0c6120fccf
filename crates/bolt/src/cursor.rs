//! A place in a bucket, moved in key order.
//!
//! In a damaged tree pages may be shared or form circles; so each step checks that keys rise (or fall, backwards), which
//! makes every walk finite.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::page::{DEPTH_MAX, Page};
use crate::read::{ReadTx, Root};

/// Leaves without elements that a walk passes before it gives up. No writer leaves them but as a root.
const EMPTY_LEAVES_MAX: usize = 1024;

/// A cursor over one bucket. Keys and values are slices of cached pages, never copies. A nested bucket appears as its
/// name with an empty value; [`Cursor::is_bucket`] tells.
#[derive(Clone)]
pub struct Cursor {
    tx: ReadTx,
    root: Root,
    /// From the root to the leaf: the page and the element in it. Empty while the cursor is nowhere.
    path: Vec<(Page, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

impl Cursor {
    pub(crate) fn new(tx: ReadTx, root: Root) -> Cursor {
        Cursor { tx, root, path: Vec::new() }
    }

    /// Moves to the first key.
    pub fn first(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        self.start()?;
        self.descend(Way::Forward)?;
        self.settle(Way::Forward)
    }

    /// Moves to the last key.
    pub fn last(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        self.start()?;
        self.descend(Way::Backward)?;
        self.settle(Way::Backward)
    }

    /// Moves to the first key that is not less than `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<(Bytes, Bytes)>> {
        self.start()?;
        while let Some((page, i)) = self.path.last_mut() {
            if page.is_leaf() {
                *i = page.search(key).0;
                break;
            }
            *i = page.child_for(key);
            let child = page.child(*i);
            self.push(child, 0)?;
        }
        self.settle(Way::Forward)
    }

    /// Moves to the next key; `None` past the last one, or if the cursor is nowhere.
    #[expect(clippy::should_implement_trait, reason = "a cursor also goes back, and its steps can fail")]
    pub fn next(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        let Some((page, i)) = self.path.last_mut() else { return Ok(None) };
        *i += 1;
        if *i < page.count() {
            return Ok(Some(pair(page, *i)));
        }
        self.settle(Way::Forward)
    }

    /// Moves to the key before; `None` before the first one, or if the cursor is nowhere.
    pub fn prev(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        let Some((page, i)) = self.path.last_mut() else { return Ok(None) };
        if *i > 0 {
            *i -= 1;
            return Ok(Some(pair(page, *i)));
        }
        // One before the first element: settle goes to the leaf before.
        *i = usize::MAX;
        self.settle(Way::Backward)
    }

    /// The key and value that the cursor stands on.
    pub fn current(&self) -> Option<(Bytes, Bytes)> {
        let (page, i) = self.path.last()?;
        (*i < page.count()).then(|| pair(page, *i))
    }

    /// Whether the cursor stands on a nested bucket.
    pub fn is_bucket(&self) -> bool {
        self.path.last().is_some_and(|(page, i)| *i < page.count() && page.is_bucket(*i))
    }

    fn start(&mut self) -> Result<()> {
        self.path.clear();
        match &self.root {
            Root::Inline(page) => self.path.push((page.clone(), 0)),
            Root::Page(id) => self.push(*id, 0)?,
        }
        Ok(())
    }

    fn push(&mut self, id: u64, i: usize) -> Result<()> {
        if self.path.len() >= DEPTH_MAX {
            return Err(Error::corrupt(id, "the tree is too deep"));
        }
        let page = self.tx.page(id)?;
        self.path.push((page, i));
        Ok(())
    }

    /// From the top of the path down to the outermost leaf.
    fn descend(&mut self, way: Way) -> Result<()> {
        while let Some((page, i)) = self.path.last_mut() {
            if way == Way::Backward {
                *i = page.count().wrapping_sub(1);
            }
            if page.is_leaf() {
                break;
            }
            let child = page.child(*i);
            self.push(child, 0)?;
        }
        Ok(())
    }

    /// If the cursor stands beside the elements of its leaf, goes to the nearest leaf that has one.
    fn settle(&mut self, way: Way) -> Result<Option<(Bytes, Bytes)>> {
        let mut left_behind: Option<Bytes> = None;
        for _ in 0..EMPTY_LEAVES_MAX {
            let Some((page, i)) = self.path.last() else { return Ok(None) };
            if *i < page.count() {
                let found = pair(page, *i);
                return match left_behind {
                    Some(edge) if !in_order(&edge, &found.0, way) => {
                        Err(Error::corrupt(page.id(), "its keys do not follow those of the page before"))
                    }
                    _ => Ok(Some(found)),
                };
            }
            if let Some(edge) = outermost_key(page, way) {
                left_behind = Some(edge);
            }
            if !self.leave_leaf(way)? {
                self.path.clear();
                return Ok(None);
            }
        }
        let stuck = self.path.last().map_or(0, |(page, _)| page.id());
        Err(Error::corrupt(stuck, "too many empty pages"))
    }

    /// Goes on to the leaf beside; false where there is none.
    fn leave_leaf(&mut self, way: Way) -> Result<bool> {
        self.path.pop();
        while let Some((page, i)) = self.path.last_mut() {
            let beside = match way {
                Way::Forward => *i + 1,
                Way::Backward => i.wrapping_sub(1),
            };
            if beside < page.count() {
                *i = beside;
                let child = page.child(beside);
                self.push(child, 0)?;
                self.descend(way)?;
                return Ok(true);
            }
            self.path.pop();
        }
        Ok(false)
    }
}

/// The key at the end of a leaf that a walk leaves last.
fn outermost_key(leaf: &Page, way: Way) -> Option<Bytes> {
    let last = leaf.count().checked_sub(1)?;
    Some(leaf.key_bytes(if way == Way::Forward { last } else { 0 }))
}

fn in_order(edge: &[u8], found: &[u8], way: Way) -> bool {
    match way {
        Way::Forward => edge < found,
        Way::Backward => edge > found,
    }
}

fn pair(leaf: &Page, i: usize) -> (Bytes, Bytes) {
    let value = if leaf.is_bucket(i) { Bytes::new() } else { leaf.value_bytes(i) };
    (leaf.key_bytes(i), value)
}
