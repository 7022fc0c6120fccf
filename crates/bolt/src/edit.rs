//! Applies sorted changes to a tree, copy on write: the pages that change and all above them get new ids.
//!
//! One pass from the root: a branch hands each child its share of the changes, joins what became sparse with a neighbour,
//! cuts what outgrew its page, binds the pieces to pages, and answers its own new elements to the level above. Pages of
//! the old tree are only ever read; what they took is collected in [`Editor::freed`].

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::freelist::FreeList;
use crate::node::{Entry, Item, Node};
use crate::page::{BUCKET_VALUE, BucketValue, DEPTH_MAX, Page};
use crate::source::Source;

/// What happens to one key. Changes of one tree are sorted by key, and only `Move` may share its key with others.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Bytes),
    Delete,
    /// The key names a bucket.
    Bucket(BucketChange),
    /// The page with this id, which lies on the way to the key, is to be written anew.
    Move(u64),
}

/// What happens to a bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketChange {
    /// An older bucket of this name goes first, with all it holds.
    pub(crate) drop: bool,
    /// There is a bucket afterwards, even if there was none.
    pub(crate) keep: bool,
    pub(crate) fill_percent: u8,
    pub(crate) changes: Vec<(Bytes, Change)>,
}

type Changes = [(Bytes, Change)];

/// The pages of one commit in the making.
pub(crate) struct Editor<'a> {
    source: &'a Source,
    /// Pages of the old state lie below.
    old_high_water: u64,
    pub(crate) high_water: u64,
    free: &'a mut FreeList,
    /// Runs taken from the free list, to be given back if the commit fails.
    pub(crate) taken: Vec<(u64, u64)>,
    /// Pages that the new state no longer reaches.
    pub(crate) freed: Vec<u64>,
    /// Page images to be written, in the order in which they were bound.
    pub(crate) written: Vec<(u64, Bytes)>,
}

/// A child of a branch that is being edited.
enum Slot {
    Kept(Entry),
    /// `lost` says that elements have gone from it: only then is sparseness a reason to join it with a neighbour.
    Edited {
        node: Node,
        lost: bool,
    },
}

/// A tree after its changes.
enum Tree {
    /// Its root is this page.
    Page(u64),
    /// It is this one node, not bound to a page yet.
    Node(Node),
}

impl<'a> Editor<'a> {
    /// `old_high_water` bounds the pages of the old state; new ones are taken from `high_water` on.
    pub(crate) fn new(source: &'a Source, old_high_water: u64, high_water: u64, free: &'a mut FreeList) -> Editor<'a> {
        Editor { source, old_high_water, high_water, free, taken: Vec::new(), freed: Vec::new(), written: Vec::new() }
    }

    /// Applies changes to the tree of buckets; answers its new root page.
    pub(crate) fn edit_top(&mut self, root: u64, changes: &Changes) -> Result<u64> {
        let page = self.load(root)?;
        match self.edit_tree(&page, changes, 50)? {
            None => Ok(root),
            Some(Tree::Page(id)) => Ok(id),
            Some(Tree::Node(node)) => self.bind(node),
        }
    }

    fn load(&self, id: u64) -> Result<Page> {
        self.source.page(id, self.old_high_water)
    }

    /// Applies changes to the tree under `root`; `None` if nothing changes.
    fn edit_tree(&mut self, root: &Page, changes: &Changes, fill: u8) -> Result<Option<Tree>> {
        let Some(mut node) = self.edit_page(root, changes, fill, 1)? else { return Ok(None) };
        loop {
            if let Node::Branch(entries) = &node {
                match entries.as_slice() {
                    [] => node = Node::Leaf(Vec::new()),
                    [only] => return Ok(Some(Tree::Page(only.child))),
                    _ => {}
                }
            }
            let mut pieces = node.split(self.source.page_size, fill);
            if pieces.len() == 1 {
                return Ok(pieces.pop().map(Tree::Node));
            }
            node = Node::Branch(self.bind_all(pieces)?);
        }
    }

    /// Applies changes below `page`; `None` if nothing changes, else its elements, however many.
    fn edit_page(&mut self, page: &Page, changes: &Changes, fill: u8, depth: usize) -> Result<Option<Node>> {
        if depth > DEPTH_MAX {
            return Err(Error::corrupt(page.id(), "the tree is too deep"));
        }
        let moved =
            page.id() != 0 && changes.iter().any(|(_, change)| matches!(change, Change::Move(id) if *id == page.id()));
        let edited =
            if page.is_leaf() { self.edit_leaf(page, changes)? } else { self.edit_branch(page, changes, fill, depth)? };
        let edited = if moved { edited.or_else(|| Some(Node::of(page))) } else { edited };
        if edited.is_some() {
            self.free_page(page);
        }
        Ok(edited)
    }

    fn free_page(&mut self, page: &Page) {
        // Inline pages have no id of their own.
        if page.id() != 0 {
            self.freed.extend(page.id()..page.id() + page.header().pages());
        }
    }

    fn edit_leaf(&mut self, page: &Page, changes: &Changes) -> Result<Option<Node>> {
        let mut items = Vec::with_capacity(page.count() + changes.len());
        let mut changed = false;
        let mut i = 0;
        for (key, change) in changes {
            let (at, found) = page.search(key);
            items.extend((i..at).map(|i| Item::of(page, i)));
            i = at;
            let old = found.then(|| Item::of(page, i));
            let is_bucket = old.as_ref().is_some_and(|item| item.flags & BUCKET_VALUE != 0);
            let new = match change {
                Change::Move(_) => continue,
                Change::Put(_) | Change::Delete if is_bucket => return Err(Error::IncompatibleValue),
                Change::Put(value) => Some(Item { flags: 0, key: key.clone(), value: value.clone() }),
                Change::Delete => None,
                Change::Bucket(_) if found && !is_bucket => return Err(Error::IncompatibleValue),
                Change::Bucket(bucket) => match self.edit_bucket(page.id(), old.as_ref(), bucket)? {
                    BucketOutcome::Unchanged => continue,
                    BucketOutcome::Gone => None,
                    BucketOutcome::Value(value) => Some(Item { flags: BUCKET_VALUE, key: key.clone(), value }),
                },
            };
            changed |= found || new.is_some();
            items.extend(new);
            i += usize::from(found);
        }
        if !changed {
            return Ok(None);
        }
        items.extend((i..page.count()).map(|i| Item::of(page, i)));
        Ok(Some(Node::Leaf(items)))
    }

    fn edit_bucket(&mut self, holder: u64, old: Option<&Item>, change: &BucketChange) -> Result<BucketOutcome> {
        let mut old = old.map(|item| BucketValue::decode(holder, &item.value)).transpose()?;
        let dropped = change.drop && old.is_some();
        if change.drop
            && let Some(value) = old.take()
        {
            self.free_bucket(holder, &value, 1)?;
        }
        if !change.keep && old.is_none() {
            return Ok(if dropped { BucketOutcome::Gone } else { BucketOutcome::Unchanged });
        }
        let sequence = old.as_ref().map_or(0, |value| value.sequence);
        let is_new = old.is_none();
        let root = match &old {
            None => empty_leaf()?,
            Some(BucketValue { inline: Some(image), .. }) => BucketValue::inline_page(holder, image.clone())?,
            Some(value) => self.load(value.root)?,
        };
        match self.edit_tree(&root, &change.changes, change.fill_percent)? {
            None if is_new => Ok(BucketOutcome::Value(inline_value(&Node::Leaf(Vec::new()), 0))),
            None => Ok(BucketOutcome::Unchanged),
            Some(Tree::Page(id)) => Ok(BucketOutcome::Value(BucketValue::encode_root(id, sequence))),
            Some(Tree::Node(node)) if self.fits_inline(&node) => {
                Ok(BucketOutcome::Value(inline_value(&node, sequence)))
            }
            Some(Tree::Node(node)) => {
                let id = self.bind(node)?;
                Ok(BucketOutcome::Value(BucketValue::encode_root(id, sequence)))
            }
        }
    }

    /// One leaf, no bucket in it, at most a quarter of a page.
    fn fits_inline(&self, node: &Node) -> bool {
        let no_buckets = matches!(node, Node::Leaf(items) if items.iter().all(|item| item.flags & BUCKET_VALUE == 0));
        no_buckets && node.size() <= self.source.page_size / 4
    }

    /// Frees all pages of a bucket and of those nested in it.
    fn free_bucket(&mut self, holder: u64, value: &BucketValue, depth: usize) -> Result<()> {
        match &value.inline {
            Some(image) => self.free_tree(&BucketValue::inline_page(holder, image.clone())?, depth),
            None => {
                let root = self.load(value.root)?;
                self.free_tree(&root, depth)
            }
        }
    }

    fn free_tree(&mut self, page: &Page, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Error::corrupt(page.id(), "the tree is too deep"));
        }
        if self.freed.len() as u64 > self.old_high_water {
            return Err(Error::corrupt(page.id(), "a bucket has more pages than the file"));
        }
        self.free_page(page);
        for i in 0..page.count() {
            if !page.is_leaf() {
                let child = self.load(page.child(i))?;
                self.free_tree(&child, depth + 1)?;
            } else if page.is_bucket(i) {
                let value = BucketValue::decode(page.id(), &page.value_bytes(i))?;
                self.free_bucket(page.id(), &value, depth + 1)?;
            }
        }
        Ok(())
    }

    fn edit_branch(&mut self, page: &Page, changes: &Changes, fill: u8, depth: usize) -> Result<Option<Node>> {
        let mut slots: Vec<Slot> = Vec::with_capacity(page.count() + 1);
        let mut changed = false;
        let mut rest = changes;
        for i in 0..page.count() {
            let mine = if rest.is_empty() || i + 1 == page.count() {
                std::mem::take(&mut rest)
            } else {
                let (mine, others) = rest.split_at(rest.partition_point(|(key, _)| **key < *page.key(i + 1)));
                rest = others;
                mine
            };
            let edited = if mine.is_empty() {
                None
            } else {
                let child = self.load(page.child(i))?;
                self.edit_page(&child, mine, fill, depth + 1)?.map(|node| (child.count(), node))
            };
            changed |= edited.is_some();
            let slot = match edited {
                None => Slot::Kept(Entry::of(page, i)),
                Some((old_len, node)) => Slot::Edited { lost: node.len() < old_len, node },
            };
            self.push_slot(&mut slots, slot)?;
        }
        if !changed {
            return Ok(None);
        }
        self.finish_branch(slots, fill, depth).map(Some)
    }

    /// Adds a child to those before it, joined with the last of them if either is sparse.
    fn push_slot(&mut self, slots: &mut Vec<Slot>, slot: Slot) -> Result<()> {
        if matches!(&slot, Slot::Edited { node, .. } if node.is_empty()) {
            return Ok(());
        }
        // A first child that is sparse waits for its right neighbour.
        let join = slots.last().is_some_and(|before| self.wants_company(before) || self.wants_company(&slot));
        let Some(before) = (if join { slots.pop() } else { None }) else {
            slots.push(slot);
            return Ok(());
        };
        let mut node = self.open_slot(before)?;
        let next = self.open_slot(slot)?;
        if !node.append(next) {
            return Err(Error::corrupt(0, "neighbours of one level are a branch and a leaf"));
        }
        slots.push(Slot::Edited { node, lost: true });
        Ok(())
    }

    fn wants_company(&self, slot: &Slot) -> bool {
        matches!(slot, Slot::Edited { node, lost: true } if node.is_sparse(self.source.page_size))
    }

    fn open_slot(&mut self, slot: Slot) -> Result<Node> {
        match slot {
            Slot::Edited { node, .. } => Ok(node),
            Slot::Kept(entry) => {
                let page = self.load(entry.child)?;
                self.free_page(&page);
                Ok(Node::of(&page))
            }
        }
    }

    fn finish_branch(&mut self, mut slots: Vec<Slot>, fill: u8, depth: usize) -> Result<Node> {
        // A root with one changed child is replaced by it.
        if depth == 1 && slots.len() == 1 && matches!(slots[0], Slot::Edited { .. }) {
            let only = slots.remove(0);
            return self.open_slot(only);
        }
        let mut entries = Vec::with_capacity(slots.len());
        for slot in slots {
            match slot {
                Slot::Kept(entry) => entries.push(entry),
                Slot::Edited { node, .. } => entries.extend(self.bind_all(node.split(self.source.page_size, fill))?),
            }
        }
        Ok(Node::Branch(entries))
    }

    fn bind_all(&mut self, pieces: Vec<Node>) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(pieces.len());
        for piece in pieces {
            // Splitting leaves no piece empty.
            let Some(key) = piece.first_key().cloned() else { continue };
            entries.push(Entry { key, child: self.bind(piece)? });
        }
        Ok(entries)
    }

    /// Gives a node, which fits, its page.
    fn bind(&mut self, node: Node) -> Result<u64> {
        let page_size = self.source.page_size;
        let pages = node.size().div_ceil(page_size) as u64;
        let id = self.allocate(pages);
        let image = node.encode(id, (pages - 1) as u32, pages as usize * page_size);
        self.written.push((id, image));
        Ok(id)
    }

    /// How many pages the free list names.
    pub(crate) fn free_and_pending(&self) -> u64 {
        self.free.free_pages() + self.free.pending_pages()
    }

    /// Takes a run of pages from the free list, or else from the end of the file.
    pub(crate) fn allocate(&mut self, pages: u64) -> u64 {
        if let Some(id) = self.free.allocate(pages) {
            self.taken.push((id, pages));
            return id;
        }
        let id = self.high_water;
        self.high_water += pages;
        id
    }
}

enum BucketOutcome {
    Unchanged,
    Gone,
    Value(Bytes),
}

fn inline_value(node: &Node, sequence: u64) -> Bytes {
    let mut value = BytesMut::new();
    value.extend_from_slice(&BucketValue::encode_root(0, sequence));
    node.encode_into(&mut value, 0, 0);
    value.freeze()
}

/// The root of a bucket that does not exist yet.
fn empty_leaf() -> Result<Page> {
    Page::decode(0, inline_value(&Node::Leaf(Vec::new()), 0).slice(crate::page::BUCKET_HEADER..))
}
