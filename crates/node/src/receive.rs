//! A database that comes with a snapshot from the leader: written beside, then moved to the place where the start, or the
//! installation of the snapshot, looks for it (facts: peer-protocol, 3).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use disk::{Disk, File, Open};
use wal::{MemberDir, SnapFiles};

/// Databases that may wait to be installed. A log that hangs must not let the disk fill with them; those that wait may
/// not be removed, because a snapshot record in the log can depend on each of them.
const WAITING_MAX: usize = 4;

/// A database that is being received.
pub struct ReceivingDb {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    temporary: PathBuf,
    target: PathBuf,
    snap_dir: PathBuf,
    len: u64,
}

impl ReceivingDb {
    /// Begins to receive the database of the snapshot at `index`; `n` tells it from others under way. Errs with
    /// `ResourceBusy` while too many wait to be installed: the sender tries again later.
    pub fn begin(disk: Arc<dyn Disk>, dir: &MemberDir, index: u64, n: u64) -> io::Result<Self> {
        if received_dbs(disk.as_ref(), dir)?.len() >= WAITING_MAX {
            let reason = "too many snapshots wait to be installed";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, reason));
        }
        let temporary = dir.receiving(n);
        let file = disk.open(&temporary, Open::Create { mode: 0o600 })?;
        file.set_len(0)?;
        let target = SnapFiles::new(disk.clone(), &dir.snap()).received_db(index);
        Ok(Self { disk, file, temporary, target, snap_dir: dir.snap(), len: 0 })
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(self.len, bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// All bytes are here: makes them durable under their name. One that is there already is kept. Only now may the
    /// message that came ahead of them be given to the node.
    pub fn finish(self) -> io::Result<()> {
        if self.disk.exists(&self.target)? {
            return self.abort();
        }
        if let Err(damage) = self.verify() {
            self.abort()?;
            return Err(damage);
        }
        self.file.sync_all()?;
        self.disk.rename(&self.temporary, &self.target)?;
        self.disk.sync_dir(&self.snap_dir)
    }

    /// Refuses what is no whole database. Once raft has taken the snapshot there is no way back: it must be installed.
    fn verify(&self) -> io::Result<()> {
        // An empty file would be made into a new database.
        if self.len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the database is empty"));
        }
        // Opening walks the whole file.
        let opened = bolt::Db::open(self.disk.clone(), &self.temporary, bolt::Options::default());
        opened.map(drop).map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))
    }

    /// Gives up.
    pub fn abort(self) -> io::Result<()> {
        self.disk.remove_file(&self.temporary)
    }
}

/// The received databases that lie in the directory, by the index of their snapshot, with their paths.
pub(crate) fn received_dbs(disk: &dyn Disk, dir: &MemberDir) -> io::Result<Vec<(u64, PathBuf)>> {
    let snap = dir.snap();
    let index_of = |name: &String| u64::from_str_radix(name.strip_suffix(".snap.db")?, 16).ok();
    Ok(disk.list(&snap)?.iter().filter_map(|name| Some((index_of(name)?, snap.join(name)))).collect())
}
