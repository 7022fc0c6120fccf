//! A database that comes with a snapshot from the leader: written beside, then moved to the place where the start, or the
//! installation of the snapshot, looks for it (facts: peer-protocol, 3).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use disk::{Disk, File, Open};
use wal::{MemberDir, SnapFiles};

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
    /// Begins to receive the database of the snapshot at `index`; `n` tells it from others under way.
    pub fn begin(disk: Arc<dyn Disk>, dir: &MemberDir, index: u64, n: u64) -> io::Result<Self> {
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
        self.file.sync_all()?;
        self.disk.rename(&self.temporary, &self.target)?;
        self.disk.sync_dir(&self.snap_dir)
    }

    /// Gives up.
    pub fn abort(self) -> io::Result<()> {
        self.disk.remove_file(&self.temporary)
    }
}
