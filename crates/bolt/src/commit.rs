//! A commit: copies of the changed pages, one sync, the meta page, one sync.
//!
//! Until the meta page is durable the file still shows the state before: new pages take only room that neither that
//! state nor an open reader can reach. A failure before the first sync leaves the database usable, a later one does not,
//! because nobody knows what the disk holds then.

use bytes::{BufMut, Bytes, BytesMut};

use crate::db::{Shared, Writer};
use crate::edit::{Change, Editor};
use crate::error::{During, Error, Result};
use crate::meta::{Meta, NO_FREE_LIST};
use crate::page::{FREE_LIST, HEADER, Header, Page};
use crate::source::Source;
use crate::write::{Commit, WriteTx};

/// Neighbouring pages are written together, up to this many bytes.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// What is asked of a commit.
pub(crate) struct Request {
    /// Changes to the tree of buckets, sorted.
    pub(crate) changes: Vec<(Bytes, Change)>,
    /// Gives up the free pages that end the file.
    pub(crate) trim: bool,
    /// Writes a meta page even if nothing changes.
    pub(crate) force: bool,
    /// Does nothing if a page would have to be taken here or beyond.
    pub(crate) below: Option<u64>,
}

/// What a commit will do to the file and the lists.
struct Plan {
    meta: Meta,
    /// Page images by rising id.
    written: Vec<(u64, Bytes)>,
    /// Pages that the new state does not reach.
    freed: Vec<u64>,
    undo: Undo,
}

/// How to put the free list back as it was.
#[derive(Default)]
struct Undo {
    taken: Vec<(u64, u64)>,
    trimmed: std::ops::Range<u64>,
}

impl Undo {
    fn undo(self, writer: &mut Writer) {
        for (id, count) in self.taken {
            writer.free.add(id, count);
        }
        writer.free.add(self.trimmed.start, self.trimmed.end - self.trimmed.start);
    }
}

/// Commits the transaction with what else is asked.
pub(crate) fn commit(mut tx: WriteTx, request: Request) -> Result<Commit> {
    let Some(mut writer) = tx.writer.take() else { return Err(Error::WriterBusy) };
    let outcome = commit_with(&tx, &mut writer, &request);
    tx.shared().return_writer(writer);
    outcome
}

/// Nothing was done if the answer names the transaction before.
pub(crate) fn commit_with(tx: &WriteTx, writer: &mut Writer, request: &Request) -> Result<Commit> {
    release(tx.shared(), writer);
    match plan(tx, writer, request)? {
        None => Ok(Commit { txid: tx.base.txid(), pages: 0 }),
        Some(plan) => carry_out(tx.shared(), writer, plan),
    }
}

/// Frees what no reader needs any more. The pages that a commit replaced are needed by readers of states before it.
pub(crate) fn release(shared: &Shared, writer: &mut Writer) {
    let published = shared.published();
    let oldest = published.pins.keys().next().copied().unwrap_or(published.meta.txid);
    drop(published);
    writer.free.release(oldest);
}

/// `None` if there is nothing to do.
fn plan(tx: &WriteTx, writer: &mut Writer, request: &Request) -> Result<Option<Plan>> {
    let base = tx.base.meta();
    let mut undo = Undo { taken: Vec::new(), trimmed: base.high_water..base.high_water };
    if request.trim {
        undo.trimmed.start = writer.free.trim(base.high_water);
    }
    let outcome = plan_pages(tx, writer, request, &mut undo);
    match outcome {
        Ok(Some((meta, written, freed))) => Ok(Some(Plan { meta, written, freed, undo })),
        Ok(None) => {
            undo.undo(writer);
            Ok(None)
        }
        Err(error) => {
            undo.undo(writer);
            Err(error)
        }
    }
}

type Planned = (Meta, Vec<(u64, Bytes)>, Vec<u64>);

fn plan_pages(tx: &WriteTx, writer: &mut Writer, request: &Request, undo: &mut Undo) -> Result<Option<Planned>> {
    let shared = tx.shared();
    let base = tx.base.meta();
    let listed = writer.free.free_pages() + writer.free.pending_pages();
    let mut editor = Editor::new(&shared.source, base.high_water, undo.trimmed.start, &mut writer.free);
    let root = editor.edit_top(base.root, &request.changes);
    let changed = !editor.written.is_empty() || !undo.trimmed.is_empty() || request.force;
    let fits = |(id, _): &(u64, Bytes)| request.below.is_none_or(|below| *id < below);
    let fits = editor.written.iter().all(fits);
    let root = match root {
        Ok(root) if (root != base.root || changed) && fits => root,
        other => {
            undo.taken = editor.taken;
            return other.map(|_| None);
        }
    };
    match stored_list(&shared.source, base) {
        Ok(pages) => editor.freed.extend(pages),
        Err(error) => {
            undo.taken = editor.taken;
            return Err(error);
        }
    }
    let list_run = shared.options.freelist_sync.then(|| {
        let ids = listed + editor.freed.len() as u64 + 1;
        let pages = (HEADER as u64 + 8 * ids).div_ceil(u64::from(base.page_size));
        (editor.allocate(pages), pages)
    });
    undo.taken = std::mem::take(&mut editor.taken);
    let mut meta = Meta { root, free_list: NO_FREE_LIST, high_water: editor.high_water, txid: base.txid + 1, ..*base };
    let (mut written, mut freed) = (std::mem::take(&mut editor.written), std::mem::take(&mut editor.freed));
    freed.sort_unstable();
    check_freed(&freed, writer, base.high_water)?;
    if let Some((id, pages)) = list_run {
        meta.free_list = id;
        written.push((id, free_list_page(id, pages, base.page_size, writer, &freed)));
    }
    written.sort_unstable_by_key(|(id, _)| *id);
    Ok(Some((meta, written, freed)))
}

/// The pages of the stored free list of a state, which every commit writes anew.
pub(crate) fn stored_list(source: &Source, meta: &Meta) -> Result<std::ops::Range<u64>> {
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
fn check_freed(freed: &[u64], writer: &Writer, high_water: u64) -> Result<()> {
    for (i, id) in freed.iter().enumerate() {
        if *id < 2 || *id >= high_water || writer.free.is_free(*id) || (i > 0 && freed[i - 1] == *id) {
            return Err(Error::corrupt(*id, "it would be freed although it is not in use"));
        }
    }
    Ok(())
}

fn free_list_page(id: u64, pages: u64, page_size: u32, writer: &Writer, freed: &[u64]) -> Bytes {
    let mut ids = writer.free.all_ids();
    ids.extend(freed);
    ids.sort_unstable();
    let len = pages as usize * page_size as usize;
    let mut image = BytesMut::with_capacity(len);
    let count = u16::try_from(ids.len()).unwrap_or(u16::MAX);
    Header { id, flags: FREE_LIST, count, overflow: (pages - 1) as u32 }.encode(&mut image);
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

/// Writes, makes durable, publishes.
fn carry_out(shared: &Shared, writer: &mut Writer, plan: Plan) -> Result<Commit> {
    let pages = match decode_all(&plan).and_then(|pages| write_pages(shared, writer, &plan).map(|()| pages)) {
        Ok(pages) => pages,
        Err(error) => {
            plan.undo.undo(writer);
            return Err(error);
        }
    };
    if let Err(error) = make_durable(shared, writer, &plan.meta) {
        writer.poisoned = true;
        shared.published().figures.poisoned = true;
        return Err(error);
    }
    let meta = plan.meta;
    for page in pages {
        shared.source.cache.insert(page);
    }
    writer.free.retire(meta.txid, plan.freed);
    let page_count = plan.written.iter().map(|(_, image)| (image.len() / meta.page_size as usize) as u64).sum();
    publish(shared, writer, meta, page_count);
    Ok(Commit { txid: meta.txid, pages: page_count })
}

/// Pages are checked before they are written as they are after they are read.
fn decode_all(plan: &Plan) -> Result<Vec<Page>> {
    let trees = plan.written.iter().filter(|(id, _)| *id != plan.meta.free_list);
    trees.map(|(id, image)| Page::decode(*id, image.clone())).collect()
}

fn write_pages(shared: &Shared, writer: &mut Writer, plan: &Plan) -> Result<()> {
    let page_size = u64::from(plan.meta.page_size);
    let file = &shared.source.file;
    // bbolt compares with one page more than there is.
    let needed = (plan.meta.high_water + 1) * page_size;
    if plan.meta.high_water > plan.undo.trimmed.start && needed > writer.file_len {
        let len = needed + shared.options.grow_bytes;
        file.set_len(len).during("grow the database")?;
        writer.file_len = len;
    }
    writer.touched = writer.touched.max(plan.meta.high_water);
    let mut buffer = BytesMut::new();
    let mut start = 0;
    for (id, image) in &plan.written {
        let offset = id * page_size;
        let follows = start + buffer.len() as u64 == offset;
        if !buffer.is_empty() && (!follows || buffer.len() + image.len() > WRITE_BYTES_MAX) {
            file.write_all_at(start, &buffer).during("write pages")?;
            buffer.clear();
        }
        if buffer.is_empty() {
            start = offset;
        }
        buffer.extend_from_slice(image);
    }
    if buffer.is_empty() { Ok(()) } else { file.write_all_at(start, &buffer).during("write pages") }
}

/// The point of no return: from here on a failure leaves unknown what is durable.
fn make_durable(shared: &Shared, writer: &mut Writer, meta: &Meta) -> Result<()> {
    let file = &shared.source.file;
    file.sync_data().during("sync pages")?;
    let slot = meta.slot();
    file.write_all_at(slot * u64::from(meta.page_size), &meta.encode(slot)).during("write a meta page")?;
    file.sync_data().during("sync a meta page")?;
    writer.metas.slots[slot as usize] = Some(*meta);
    Ok(())
}

fn publish(shared: &Shared, writer: &Writer, meta: Meta, pages: u64) {
    let mut published = shared.published();
    published.meta = meta;
    let figures = &mut published.figures;
    figures.free_pages = writer.free.free_pages();
    figures.pending_pages = writer.free.pending_pages();
    figures.file_len = writer.file_len;
    figures.commits += 1;
    figures.pages_written += pages;
}
