//! An open database file: what readers and the writer share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::{Disk, File, Lock, Open};

use crate::cache::Cache;
use crate::check::Report;
use crate::create::create;
use crate::error::{During, Error, Result};
use crate::freelist::FreeList;
use crate::meta::{Meta, Metas};
use crate::read::ReadTx;
use crate::shrink::Shrink;
use crate::source::Source;
use crate::stats::Stats;
use crate::walk::Walk;
use crate::write::WriteTx;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bound of the page cache.
    pub page_cache_bytes: usize,
    /// Takes a shared lock and refuses writes; the file must exist.
    pub read_only: bool,
    /// Whether commits store the list of free pages. etcd does not; a reader accepts both.
    pub freelist_sync: bool,
    /// Page size of a file to be created; an existing one keeps its own.
    pub page_size: u32,
    /// How far the file grows past what is needed when it must grow.
    pub grow_bytes: u64,
    /// Mode of a file to be created.
    pub mode: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            page_cache_bytes: 32 << 20,
            read_only: false,
            freelist_sync: false,
            page_size: 4096,
            grow_bytes: 16 << 20,
            mode: 0o600,
        }
    }
}

/// An open database. Clones are handles of the same one; the file closes when the last handle and transaction are gone.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) source: Source,
    pub(crate) options: Options,
    published: Mutex<Published>,
    /// `None` while a write transaction holds it. Absent for good in a database opened for reading.
    writer: Mutex<Option<Writer>>,
}

/// What readers see, changed in one step by a commit.
pub(crate) struct Published {
    pub(crate) meta: Meta,
    /// Open readers by transaction id: how many, and up to which page they read.
    pub(crate) pins: BTreeMap<u64, Pins>,
    pub(crate) figures: Figures,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Pins {
    pub(crate) count: u64,
    pub(crate) high_water: u64,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) free_pages: u64,
    pub(crate) pending_pages: u64,
    pub(crate) file_len: u64,
    pub(crate) commits: u64,
    pub(crate) pages_written: u64,
    pub(crate) poisoned: bool,
}

/// What the one writer owns.
pub(crate) struct Writer {
    pub(crate) free: FreeList,
    /// What stands in the two meta pages of the file.
    pub(crate) metas: Metas,
    pub(crate) file_len: u64,
    /// Pages from here on have not been written since the file was last cut here.
    pub(crate) touched: u64,
    pub(crate) poisoned: bool,
}

impl Db {
    /// Opens the database at `path`, and creates it if it is absent or empty.
    ///
    /// Errs with `Locked` while another process holds it; the caller decides about waiting. Unless it is read-only, the
    /// whole file is walked to find the free pages, and damage in any page is found here.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, options: Options) -> Result<Db> {
        let file = if options.read_only {
            let file = disk.open(path, Open::Read).during("open the database")?;
            lock(&*file, Lock::FlockShared)?;
            file
        } else {
            open_or_create(&*disk, path, &options)?
        };
        Db::on_file(file, options)
    }

    fn on_file(file: Arc<dyn File>, options: Options) -> Result<Db> {
        let metas = Metas::read(&*file)?;
        let meta = metas.newest()?;
        let file_len = file.len().during("measure the database")?;
        if file_len < meta.size() {
            return Err(Error::Invalid { reason: "the file is shorter than its high-water mark" });
        }
        let source = Source { file, page_size: meta.page_size as usize, cache: Cache::new(options.page_cache_bytes) };
        let mut figures = Figures { file_len, ..Figures::default() };
        let writer = if options.read_only {
            None
        } else {
            let free = Walk::free_pages(&source, &meta)?;
            figures.free_pages = free.free_pages();
            let touched = file_len.div_ceil(u64::from(meta.page_size));
            Some(Writer { free, metas, file_len, touched, poisoned: false })
        };
        let published = Mutex::new(Published { meta, pins: BTreeMap::new(), figures });
        Ok(Db { shared: Arc::new(Shared { source, options, published, writer: Mutex::new(writer) }) })
    }

    /// Pins the state of the last commit, in O(1).
    pub fn read(&self) -> ReadTx {
        let meta = self.shared.pin();
        ReadTx::pinned(self.shared.clone(), meta)
    }

    /// Begins the one write transaction. Errs with `WriterBusy` while there is one, and with `Poisoned` after a commit
    /// failed half-way.
    pub fn write(&self) -> Result<WriteTx> {
        let writer = self.shared.take_writer()?;
        Ok(WriteTx::new(self.read(), writer))
    }

    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Walks the whole file and compares it with the list of free pages. Holds the writer meanwhile.
    pub fn check(&self) -> Result<Report> {
        if self.shared.options.read_only {
            return self.read().check();
        }
        let writer = self.shared.take_writer()?;
        let report = crate::check::check(&self.read(), Some(&writer.free));
        self.shared.return_writer(writer);
        report
    }

    /// Gives space at the end of the file back, moving at most about `budget_pages` pages; see [`Shrink`].
    pub fn shrink(&self, budget_pages: u64) -> Result<Shrink> {
        crate::shrink::shrink(self.write()?, budget_pages)
    }
}

fn lock(file: &dyn File, lock: Lock) -> Result<()> {
    if file.try_lock(lock).during("lock the database")? { Ok(()) } else { Err(Error::Locked) }
}

fn open_or_create(disk: &dyn Disk, path: &Path, options: &Options) -> Result<Arc<dyn File>> {
    match disk.open(path, Open::Write) {
        Ok(file) => {
            lock(&*file, Lock::FlockExclusive)?;
            // An empty file is what bbolt leaves when it is stopped before it writes.
            if file.len().during("measure the database")? > 0 { Ok(file) } else { create(disk, path, options) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(disk, path, options),
        Err(error) => Err(error).during("open the database"),
    }
}

impl Shared {
    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_writer(&self) -> Result<Writer> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        let mut place = self.writer();
        match place.take() {
            Some(writer) if writer.poisoned => {
                *place = Some(writer);
                Err(Error::Poisoned)
            }
            Some(writer) => Ok(writer),
            None => Err(Error::WriterBusy),
        }
    }

    pub(crate) fn return_writer(&self, writer: Writer) {
        *self.writer() = Some(writer);
    }

    fn pin(&self) -> Meta {
        let mut published = self.published();
        let meta = published.meta;
        let pins = published.pins.entry(meta.txid).or_default();
        pins.count += 1;
        pins.high_water = meta.high_water;
        meta
    }

    pub(crate) fn unpin(&self, meta: &Meta) {
        let mut published = self.published();
        if let Some(pins) = published.pins.get_mut(&meta.txid) {
            pins.count -= 1;
            if pins.count == 0 {
                published.pins.remove(&meta.txid);
            }
        }
    }

    fn stats(&self) -> Stats {
        let cache = &self.source.cache;
        let published = self.published();
        let figures = published.figures;
        let page_size = u64::from(published.meta.page_size);
        Stats {
            txid: published.meta.txid,
            page_size,
            size: published.meta.size(),
            in_use: published.meta.size() - figures.free_pages * page_size,
            free_pages: figures.free_pages,
            pending_pages: figures.pending_pages,
            file_len: figures.file_len,
            oldest_pin: published.pins.keys().next().copied(),
            pins: published.pins.values().map(|pins| pins.count).sum(),
            cache_bytes: cache.used_bytes() as u64,
            cache_hits: cache.hits(),
            cache_misses: cache.misses(),
            commits: figures.commits,
            pages_written: figures.pages_written,
            poisoned: figures.poisoned,
        }
    }
}
