//! The directory of a member: paths, modes, what a start cleans up, and purging.

use std::path::{Path, PathBuf};

use disk::Disk;

use crate::WalError;

/// Paths under a data directory.
#[derive(Clone, Debug)]
pub struct MemberDir {
    data_dir: PathBuf,
    wal_dir: PathBuf,
}

/// What preparing a directory found.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Directories that existed with a mode other than 0700; worth a warning.
    pub open_modes: Vec<(PathBuf, u32)>,
    /// Leftovers of an earlier process that were removed.
    pub removed: Vec<PathBuf>,
}

/// Files that are kept up to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Snap,
    SnapDb,
    Wal,
}

impl MemberDir {
    /// `wal_dir` is the operator's choice of another place for the log.
    pub fn new(data_dir: &Path, wal_dir: Option<&Path>) -> MemberDir {
        let wal_dir = wal_dir.filter(|dir| !dir.as_os_str().is_empty());
        MemberDir {
            data_dir: data_dir.to_path_buf(),
            wal_dir: wal_dir.map_or_else(|| data_dir.join("member").join("wal"), Path::to_path_buf),
        }
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn member(&self) -> PathBuf {
        self.data_dir.join("member")
    }

    pub fn wal(&self) -> &Path {
        &self.wal_dir
    }

    pub fn snap(&self) -> PathBuf {
        self.member().join("snap")
    }

    /// The bbolt file with the whole v3 state.
    pub fn db(&self) -> PathBuf {
        self.snap().join("db")
    }

    /// Where the `n`-th defragmentation writes.
    pub fn db_tmp(&self, n: u64) -> PathBuf {
        self.snap().join(format!("db.tmp.{n}"))
    }

    /// Where a database that is being received is written.
    pub fn receiving(&self, n: u64) -> PathBuf {
        self.snap().join(format!("tmp{n}"))
    }

    /// Makes the directories (0700, durably), tries whether they can be written to, and removes what an earlier process
    /// left half-done.
    pub fn prepare(&self, disk: &dyn Disk) -> Result<Prepared, WalError> {
        let _ = disk;
        todo!()
    }

    /// Removes the oldest files of a kind down to `keep` (0 = never). Segments go only while nobody holds their lock; the
    /// first locked one ends it. Answers the paths removed.
    pub fn purge(&self, disk: &dyn Disk, kind: FileKind, keep: usize) -> Result<Vec<PathBuf>, WalError> {
        let _ = (disk, kind, keep);
        todo!()
    }
}
