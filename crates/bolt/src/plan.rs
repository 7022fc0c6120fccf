//! What a commit will do: its pages, its meta page, what becomes free. Nothing is written here.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::edit::{Change, Editor};
use crate::error::{Error, Result};
use crate::freelist::FreeList;
use crate::meta::{Meta, NO_FREE_LIST};
use crate::page::{FREE_LIST, HEADER, Header};
use crate::source::Source;
use crate::write::WriteTx;

/// What is asked of a commit.
pub(crate) struct Request {
    /// Changes to the tree of buckets, sorted.
    pub(crate) changes: Vec<(Bytes, Change)>,
    /// Gives up the free pages that end the file.
    pub(crate) trim: bool,
    /// Writes a meta page even if nothing changes.
    pub(crate) force: bool,
    /// Does nothing if a page of a tree would have to be taken here or beyond.
    pub(crate) below: Option<u64>,
}

pub(crate) struct Plan {
    pub(crate) meta: Meta,
    /// Page images by rising id.
    pub(crate) written: Vec<(u64, Bytes)>,
    /// Pages that the new state does not reach, by rising id.
    pub(crate) freed: Vec<u64>,
    pub(crate) undo: Undo,
}

/// How to put the free list back as it was.
pub(crate) struct Undo {
    taken: Vec<(u64, u64)>,
    /// Free pages that were given up with the end of the file.
    pub(crate) trimmed: Range<u64>,
}

impl Undo {
    pub(crate) fn undo(self, free: &mut FreeList) {
        for (id, count) in self.taken {
            free.add(id, count);
        }
        free.add(self.trimmed.start, self.trimmed.end - self.trimmed.start);
    }
}

impl Plan {
    /// Takes the pages that the commit needs from `free`. `None` if there is nothing to do; then, and after an error,
    /// `free` is as it was.
    pub(crate) fn make(tx: &WriteTx, free: &mut FreeList, request: &Request) -> Result<Option<Plan>> {
        let base = tx.base.meta();
        let start = if request.trim { free.trim(base.high_water) } else { base.high_water };
        let mut editor = Editor::new(&tx.shared().source, base.high_water, start, free);
        let outcome = edit(tx, &mut editor, request, start < base.high_water);
        let (written, mut freed) = (std::mem::take(&mut editor.written), std::mem::take(&mut editor.freed));
        let high_water = editor.high_water;
        let undo = Undo { taken: editor.taken, trimmed: start..base.high_water };
        freed.sort_unstable();
        let checked = match outcome {
            Ok(Some(outcome)) => check_freed(&freed, free, base.high_water).map(|()| Some(outcome)),
            other => other,
        };
        let Edit { root, list_run } = match checked {
            Ok(Some(edit)) => edit,
            other => {
                undo.undo(free);
                return other.map(|_| None);
            }
        };
        let mut plan = Plan {
            meta: Meta { root, free_list: NO_FREE_LIST, high_water, txid: base.txid + 1, ..*base },
            written,
            freed,
            undo,
        };
        if let Some(run) = list_run {
            plan.meta.free_list = run.start;
            let image = free_list_page(run.clone(), base.page_size, free, &plan.freed);
            plan.written.push((run.start, image));
        }
        plan.written.sort_unstable_by_key(|(id, _)| *id);
        Ok(Some(plan))
    }
}

/// What the editing came to.
struct Edit {
    root: u64,
    /// Pages for the free list, if it is to be stored.
    list_run: Option<Range<u64>>,
}

fn edit(tx: &WriteTx, editor: &mut Editor<'_>, request: &Request, trimmed: bool) -> Result<Option<Edit>> {
    let base = tx.base.meta();
    let root = editor.edit_top(base.root, &request.changes)?;
    let fits = request.below.is_none_or(|below| editor.written.iter().all(|(id, _)| *id < below));
    let changed = root != base.root || trimmed || request.force;
    if !changed || !fits {
        return Ok(None);
    }
    editor.freed.extend(stored_list(&tx.shared().source, base)?);
    let list_run = tx.shared().options.freelist_sync.then(|| {
        let ids = editor.free_and_pending() + editor.freed.len() as u64 + 1;
        let pages = (HEADER as u64 + 8 * ids).div_ceil(u64::from(base.page_size));
        let id = editor.allocate(pages);
        id..id + pages
    });
    Ok(Some(Edit { root, list_run }))
}

/// The pages of the stored free list of a state, which every commit writes anew.
pub(crate) fn stored_list(source: &Source, meta: &Meta) -> Result<Range<u64>> {
    let id = meta.free_list;
    if id == NO_FREE_LIST {
        return Ok(0..0);
    }
    let header = source.read_header(id)?;
    if header.id != id || header.flags != FREE_LIST || header.pages() > meta.high_water - id {
        return Err(Error::corrupt(id, "it is no free list"));
    }
    Ok(id..id + header.pages())
}

/// In a sound file each page is given up once, and only if it was in use.
fn check_freed(freed: &[u64], free: &FreeList, high_water: u64) -> Result<()> {
    for (i, id) in freed.iter().enumerate() {
        if *id < 2 || *id >= high_water || free.is_free(*id) || (i > 0 && freed[i - 1] == *id) {
            return Err(Error::corrupt(*id, "it would be freed although it is not in use"));
        }
    }
    Ok(())
}

fn free_list_page(run: Range<u64>, page_size: u32, free: &FreeList, freed: &[u64]) -> Bytes {
    let mut ids = free.all_ids();
    ids.extend(freed);
    ids.sort_unstable();
    let pages = run.end - run.start;
    let len = pages as usize * page_size as usize;
    let mut image = BytesMut::with_capacity(len);
    let count = u16::try_from(ids.len()).unwrap_or(u16::MAX);
    Header { id: run.start, flags: FREE_LIST, count, overflow: (pages - 1) as u32 }.encode(&mut image);
    if count == u16::MAX {
        image.put_u64_le(ids.len() as u64);
    }
    for id in ids {
        image.put_u64_le(id);
    }
    debug_assert!(image.len() <= len, "{} bytes of free list in {len}", image.len());
    image.resize(len, 0);
    image.freeze()
}
