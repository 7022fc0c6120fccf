//! Snapshot files: `%016x-%016x.snap` (term, index), and the databases received beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::Disk;
use proto::raftpb::Snapshot;
use proto::walpb;

use crate::WalError;

/// The folder of `.snap` files.
pub struct SnapFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// What loading found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// `None` where no file fits.
    pub snapshot: Option<Snapshot>,
    /// Unreadable files, with the reason, renamed to `.broken`.
    pub broken: Vec<(PathBuf, String)>,
    /// Names that mean nothing here.
    pub ignored_names: Vec<String>,
}

impl SnapFiles {
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> SnapFiles {
        SnapFiles { disk, dir: dir.to_path_buf() }
    }

    /// Writes the file of this snapshot and makes it durable. Its record in the log must come after. An empty snapshot
    /// (index 0) is not written.
    pub fn save(&self, snapshot: &Snapshot) -> Result<PathBuf, WalError> {
        let _ = (&self.disk, &self.dir, snapshot);
        todo!()
    }

    /// Loads the newest readable file.
    pub fn load_newest(&self) -> Result<Loaded, WalError> {
        todo!()
    }

    /// Loads the newest readable file that belongs to one of these records of the log.
    pub fn load_newest_of(&self, records: &[walpb::Snapshot]) -> Result<Loaded, WalError> {
        let _ = records;
        todo!()
    }

    /// Reads one file.
    pub fn read(&self, path: &Path) -> Result<Snapshot, WalError> {
        let _ = path;
        todo!()
    }

    /// Where a database received with the snapshot at `index` lies until it is installed.
    pub fn received_db(&self, index: u64) -> PathBuf {
        self.dir.join(format!("{index:016x}.snap.db"))
    }

    /// Removes received databases of snapshots before `index`; answers the names.
    pub fn release_dbs_before(&self, index: u64) -> Result<Vec<String>, WalError> {
        let _ = index;
        todo!()
    }
}
