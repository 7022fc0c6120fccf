//! Giving space back, in slices between commits.
//!
//! A slice looks at the pages that end the file, finds out where in the trees they hang, and writes them anew by an
//! ordinary commit; the free list hands out the lowest pages first, so they land further in front. Once no reader needs
//! the old copies, a later slice publishes a lower high-water mark, the next one the same in the other meta page, and
//! only then is the file cut. So at each moment both meta pages describe a state that is whole in the file.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::commit::{commit_with, release};
use crate::db::{Shared, Writer};
use crate::edit::{BucketChange, Change};
use crate::error::{During, Error, Result};
use crate::freelist::FreeList;
use crate::page::{DEPTH_MAX, Page};
use crate::plan::{Request, stored_list};
use crate::read::{ReadTx, Root};
use crate::write::WriteTx;

/// What one slice of shrinking did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shrink {
    /// Pages that were moved towards the beginning.
    pub moved: u64,
    /// High-water mark times page size after it.
    pub new_size: u64,
    /// It changed nothing, and neither would another slice now: there is no room in front, or a reader holds the rest.
    pub done: bool,
    /// The reader, by transaction id, for whom freed pages are kept.
    pub held_by: Option<u64>,
}

/// A page with more overflow pages than this is not looked for.
const RUN_PAGES_MAX: u64 = 1 << 16;

/// The moves of one slice.
#[derive(Default)]
struct Moves {
    /// By bucket; `None` is the tree of buckets itself.
    by_bucket: BTreeMap<Option<Bytes>, Vec<(Bytes, Change)>>,
    pages: u64,
    /// The lowest page that moves: copies must land below.
    lowest: u64,
}

pub(crate) fn shrink(mut tx: WriteTx, budget_pages: u64) -> Result<Shrink> {
    let shared = tx.shared().clone();
    let Some(mut writer) = tx.writer.take() else { return Err(Error::WriterBusy) };
    let outcome = slice(tx, &shared, &mut writer, budget_pages);
    shared.return_writer(writer);
    outcome
}

fn slice(tx: WriteTx, shared: &Shared, writer: &mut Writer, budget_pages: u64) -> Result<Shrink> {
    release(shared, writer);
    let base = *tx.base.meta();
    let moved = move_tail(&tx, writer, budget_pages)?;
    // The transaction's own pin would hold the tail.
    drop(tx);
    let cut = cut(shared, writer)?;
    let published = shared.published();
    Ok(Shrink {
        moved,
        new_size: published.meta.size(),
        done: published.meta.txid == base.txid && !cut,
        held_by: if writer.free.pending_pages() > 0 { published.pins.keys().next().copied() } else { None },
    })
}

/// Commits what can be moved, or at least a lower mark, or the same mark in the other meta page.
fn move_tail(tx: &WriteTx, writer: &mut Writer, budget_pages: u64) -> Result<u64> {
    let base = *tx.base.meta();
    let force = writer.metas.high_water_max() != Some(base.high_water);
    let mut budget = budget_pages;
    loop {
        let moves = find_moves(&tx.base, &writer.free, budget)?;
        let (pages, lowest) = (moves.pages, moves.lowest);
        let below = (pages > 0).then_some(lowest);
        let request = Request { changes: moves.into_changes(), trim: true, force, below };
        let commit = commit_with(tx, writer, &request)?;
        if commit.txid != base.txid || pages == 0 {
            return Ok(pages);
        }
        // The copies would not have fitted in front; fewer may.
        budget /= 4;
    }
}

/// Cuts the file where neither meta page nor any reader reaches; false if there is nothing to cut.
fn cut(shared: &Shared, writer: &mut Writer) -> Result<bool> {
    let Some(of_metas) = writer.metas.high_water_max() else { return Ok(false) };
    let of_readers = shared.published().pins.values().map(|pins| pins.high_water).max();
    let mark = of_metas.max(of_readers.unwrap_or(0));
    if writer.touched <= mark {
        return Ok(false);
    }
    let len = mark * shared.source.page_size as u64;
    shared.source.file.set_len(len).during("cut the database")?;
    writer.file_len = len;
    writer.touched = mark;
    shared.published().figures.file_len = len;
    Ok(true)
}

/// Chooses pages from the end of the file downwards, as many as the budget and the room in front allow.
fn find_moves(base: &ReadTx, free: &FreeList, budget: u64) -> Result<Moves> {
    let mut moves = Moves::default();
    if budget == 0 {
        return Ok(moves);
    }
    let trees = Trees::of(base)?;
    let mut pending = free.pending_ids();
    pending.extend(stored_list(&base.shared().source, base.meta())?);
    pending.sort_unstable();
    let mut room = free.clone();
    let mut end = base.meta().high_water;
    while moves.pages < budget && end > 2 {
        let last = end - 1;
        if free.is_free(last) || pending.binary_search(&last).is_ok() {
            end = last;
            continue;
        }
        let Some(found) = trees.page_ending_at(last)? else { break };
        if !found.fits_in_front(&mut room) {
            break;
        }
        end = found.id;
        moves.add(found);
    }
    Ok(moves)
}

impl Moves {
    fn add(&mut self, found: Found) {
        self.pages += found.pages;
        self.lowest = found.id;
        self.by_bucket.entry(found.bucket).or_default().push((found.key, Change::Move(found.id)));
    }

    fn into_changes(self) -> Vec<(Bytes, Change)> {
        let mut top = Vec::new();
        for (bucket, mut moves) in self.by_bucket {
            moves.sort_by(|a, b| a.0.cmp(&b.0));
            match bucket {
                None => top.extend(moves),
                Some(name) => {
                    let change = BucketChange { drop: false, keep: true, fill_percent: 100, changes: moves };
                    top.push((name, Change::Bucket(change)));
                }
            }
        }
        top.sort_by(|a, b| a.0.cmp(&b.0));
        top
    }
}

/// A page of a tree, and the way to it.
struct Found {
    id: u64,
    pages: u64,
    /// Levels above it, those of the tree of buckets included.
    above: u64,
    bucket: Option<Bytes>,
    key: Bytes,
}

impl Found {
    /// Takes room for its copy and for those of the pages above it, if there is enough in front of it.
    fn fits_in_front(&self, room: &mut FreeList) -> bool {
        let mut take = |pages| room.allocate(pages).is_some_and(|id| id < self.id);
        take(self.pages) && (0..self.above).all(|_| take(1))
    }
}

/// All trees of a state that can be reached by name: that of buckets and those of the top-level buckets.
struct Trees<'a> {
    base: &'a ReadTx,
    /// Name and root.
    roots: Vec<(Option<Bytes>, u64)>,
    /// Levels of the tree of buckets.
    top_depth: u64,
}

impl<'a> Trees<'a> {
    fn of(base: &'a ReadTx) -> Result<Trees<'a>> {
        let mut roots = vec![(None, base.meta().root)];
        for name in base.buckets()? {
            if let Some(bucket) = base.bucket(&name)?
                && let Root::Page(id) = bucket.root()
            {
                roots.push((Some(name), *id));
            }
        }
        let mut trees = Trees { base, roots, top_depth: 1 };
        let mut page = base.page(base.meta().root)?;
        while !page.is_leaf() && trees.top_depth < DEPTH_MAX as u64 {
            page = base.page(page.child(0))?;
            trees.top_depth += 1;
        }
        Ok(trees)
    }

    /// The page whose run of pages ends with `last`. `None` if it hangs in a nested bucket, or in none.
    fn page_ending_at(&self, last: u64) -> Result<Option<Found>> {
        // Where the run begins is not known. What looks like a beginning may be user data, so the trees decide.
        let lowest = last.saturating_sub(RUN_PAGES_MAX).max(2);
        for id in (lowest..=last).rev() {
            let header = self.base.shared().source.read_header(id)?;
            if header.id != id || header.pages() != last - id + 1 {
                continue;
            }
            match self.base.shared().source.read_page(id, self.base.meta().high_water) {
                Ok(page) => {
                    if let Some(found) = self.locate(&page)? {
                        return Ok(Some(found));
                    }
                }
                Err(Error::Corrupt { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(None)
    }

    fn locate(&self, page: &Page) -> Result<Option<Found>> {
        let key = if page.count() == 0 { Bytes::new() } else { page.key_bytes(0) };
        for (bucket, root) in &self.roots {
            if let Some(depth) = self.depth_of(page.id(), *root, &key)? {
                let above = depth + if bucket.is_some() { self.top_depth } else { 0 };
                // A tree of one empty page has no key; any does.
                let pages = page.header().pages();
                return Ok(Some(Found { id: page.id(), pages, above, bucket: bucket.clone(), key }));
            }
        }
        Ok(None)
    }

    /// How many levels below `root` the way to `key` meets the page `id`.
    fn depth_of(&self, id: u64, root: u64, key: &[u8]) -> Result<Option<u64>> {
        let mut at = root;
        for depth in 0..DEPTH_MAX as u64 {
            if at == id {
                return Ok(Some(depth));
            }
            let page = self.base.page(at)?;
            if page.is_leaf() {
                break;
            }
            at = page.child(page.child_for(key));
        }
        Ok(None)
    }
}
