//! Files and directories behind two small traits: [`Disk`] and [`File`].
//!
//! `RealDisk` is the machine's file system; `MemDisk` is a seeded one in memory, which can lose power, tear writes,
//! run full, fail and stall, so that everything above runs the same code under test and in production.
//! This room knows no format and no thread.

mod mem;
mod real;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use mem::{Counters, Fault, MemDisk, Operation, SECTOR};
pub use real::RealDisk;

/// How a file is opened. Reading is always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The file must exist; writing fails.
    Read,
    /// The file must exist.
    Write,
    /// The file is created with this mode if it is absent.
    Create { mode: u32 },
    /// The file must not exist; it is created with this mode.
    CreateNew { mode: u32 },
}

/// Which lock to take on a file, and by which of the two mechanisms, which do not see each other
/// (facts: disk-formats, 1: log segments use open-file-description locks, the database `flock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// `fcntl(F_OFD_SETLK)` for writing, over the whole file.
    OpenFileDescription,
    /// `flock(LOCK_EX)`.
    FlockExclusive,
    /// `flock(LOCK_SH)`.
    FlockShared,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes; 0 for a directory.
    pub len: u64,
    pub is_dir: bool,
    /// The permission bits.
    pub mode: u32,
}

/// Directories and names. What a call changes about names survives a power loss only after [`Disk::sync_dir`] of the
/// directory that holds the name.
pub trait Disk: Send + Sync + 'static {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;
    /// Errs with `NotFound` where there is nothing.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a directory and its missing parents with this mode; an existing one is fine.
    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()>;
    /// Replaces what stands at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all it holds.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Whether anything stands at `path`; errors other than absence are returned.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// An open file, read and written at positions. Written bytes survive a power loss only after a sync.
pub trait File: Send + Sync {
    /// Reads up to `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `buf`.
    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()>;
    /// Makes data and length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes data and all metadata durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves space up to `len` and extends the file to it where it is shorter; the new bytes are zero.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Tries to take a lock that lives as long as this open file; false where another holds it.
    fn try_lock(&self, lock: Lock) -> io::Result<bool>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` or errs with `UnexpectedEof`.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let got = self.read_at(offset, buf)?;
        if got == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
