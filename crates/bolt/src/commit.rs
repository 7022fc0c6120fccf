//! A commit: copies of the changed pages, one sync, the meta page, one sync.
//!
//! Until the meta page is durable the file still shows the state before: new pages take only room that neither that
//! state nor an open reader can reach. A failure before the first sync leaves the database usable, a later one does not,
//! because nobody knows what the disk holds then.

use bytes::BytesMut;

use crate::db::{Shared, Writer};
use crate::error::{During, Error, Result};
use crate::meta::Meta;
use crate::page::Page;
use crate::plan::{Plan, Request};
use crate::write::{Commit, WriteTx};

/// Neighbouring pages are written together, up to this many bytes.
const WRITE_BYTES_MAX: usize = 1 << 20;

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
    match Plan::make(tx, &mut writer.free, request)? {
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

/// Writes, makes durable, publishes.
fn carry_out(shared: &Shared, writer: &mut Writer, plan: Plan) -> Result<Commit> {
    let pages = match decode_all(&plan).and_then(|pages| write_pages(shared, writer, &plan).map(|()| pages)) {
        Ok(pages) => pages,
        Err(error) => {
            plan.undo.undo(&mut writer.free);
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
