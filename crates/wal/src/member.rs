//! The directory of a member: paths, modes, what a start cleans up, and purging.

use std::path::{Path, PathBuf};

use disk::{Disk, Lock, Open};

use crate::error::Context;
use crate::open::lock;
use crate::{WalError, names};

/// The mode of every directory of a member.
const DIR_MODE: u32 = 0o700;

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

impl FileKind {
    fn suffix(self) -> &'static str {
        match self {
            FileKind::Snap => ".snap",
            FileKind::SnapDb => ".snap.db",
            FileKind::Wal => ".wal",
        }
    }
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
    /// left half-done; errs with `Locked` while there is a process that still works there. The folder of the log itself
    /// appears with the log.
    pub fn prepare(&self, disk: &dyn Disk) -> Result<Prepared, WalError> {
        let mut prepared = Prepared::default();
        for dir in [self.data_dir.clone(), self.member(), self.snap()] {
            match disk.metadata(&dir) {
                Ok(found) if found.mode & 0o777 != DIR_MODE => prepared.open_modes.push((dir.clone(), found.mode)),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    create_dir_durably(disk, &dir, DIR_MODE)?;
                }
                Err(error) => return Err(error).context("stat", &dir),
            }
            touch(disk, &dir)?;
        }
        if disk.exists(&self.wal_dir).context("stat", &self.wal_dir)? {
            let mode = disk.metadata(&self.wal_dir).context("stat", &self.wal_dir)?.mode;
            if mode & 0o777 != DIR_MODE {
                prepared.open_modes.push((self.wal_dir.clone(), mode));
            }
        }
        self.check_unused(disk)?;
        self.clean_up(disk, &mut prepared.removed)?;
        Ok(prepared)
    }

    /// Errs with `Locked` while another process writes the log: what looks like a leftover may be its work under way, and
    /// who waits for the directory comes here again and again.
    fn check_unused(&self, disk: &dyn Disk) -> Result<(), WalError> {
        if !disk.exists(&self.wal_dir).context("stat", &self.wal_dir)? {
            return Ok(());
        }
        let (segments, _) = names::list(disk, &self.wal_dir)?;
        let Some(last) = segments.last() else { return Ok(()) };
        let path = self.wal_dir.join(last.file_name());
        let file = disk.open(&path, Open::Write).context("open", &path)?;
        lock(&*file, &path)
    }

    fn clean_up(&self, disk: &dyn Disk, removed: &mut Vec<PathBuf>) -> Result<(), WalError> {
        let snap = self.snap();
        for name in disk.list(&snap).context("list", &snap)? {
            if name.starts_with("tmp") || name.starts_with("db.tmp") {
                let path = snap.join(name);
                disk.remove_file(&path).context("remove", &path)?;
                removed.push(path);
            }
        }
        Ok(())
    }

    /// Removes the oldest files of a kind down to `keep` (0 = never). Segments go only while nobody holds their lock; the
    /// first locked one ends it. Answers the paths removed.
    pub fn purge(&self, disk: &dyn Disk, kind: FileKind, keep: usize) -> Result<Vec<PathBuf>, WalError> {
        let dir = match kind {
            FileKind::Snap | FileKind::SnapDb => self.snap(),
            FileKind::Wal => self.wal_dir.clone(),
        };
        let mut removed = Vec::new();
        if keep == 0 {
            return Ok(removed);
        }
        let mut names = disk.list(&dir).context("list", &dir)?;
        names.retain(|name| name.ends_with(kind.suffix()));
        let surplus = names.len().saturating_sub(keep);
        for name in &names[..surplus] {
            let path = dir.join(name);
            let file = disk.open(&path, Open::Write).context("open", &path)?;
            if !file.try_lock(Lock::OpenFileDescription).context("lock", &path)? {
                break;
            }
            disk.remove_file(&path).context("remove", &path)?;
            removed.push(path);
        }
        if !removed.is_empty() {
            disk.sync_dir(&dir).context("sync", &dir)?;
        }
        Ok(removed)
    }
}

/// Writes and removes a file, to learn now rather than later that a directory can't be written to.
fn touch(disk: &dyn Disk, dir: &Path) -> Result<(), WalError> {
    let path = dir.join(".touch");
    drop(disk.open(&path, Open::Create { mode: 0o600 }).context("write to the directory of", &path)?);
    disk.remove_file(&path).context("remove", &path)
}

/// The directory that holds a name; of a relative name without one, the current directory.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) => PathBuf::from("."),
        None => PathBuf::from("/"),
    }
}

/// Creates a directory with its missing parents, each durable before it is used.
pub(crate) fn create_dir_durably(disk: &dyn Disk, dir: &Path, mode: u32) -> Result<(), WalError> {
    let mut missing = Vec::new();
    let mut at = dir.to_path_buf();
    while !disk.exists(&at).context("stat", &at)? {
        let above = parent(&at);
        missing.push(at);
        at = above;
    }
    for dir in missing.iter().rev() {
        disk.create_dir_all(dir, mode).context("create", dir)?;
        let above = parent(dir);
        disk.sync_dir(&above).context("sync", &above)?;
    }
    Ok(())
}
