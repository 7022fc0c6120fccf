//! A disk in memory, which can lose power, tear writes, run full, fail and stall. The same seed and the same calls give
//! the same outcome.
//!
//! Invariant: a byte or a name is in the durable state only if a sync put it there or a power loss chose it.

mod content;
mod faults;
mod file;
mod rng;
mod sparse;
mod tree;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use content::SECTOR;
pub use faults::{Counters, Fault, Operation};

use crate::{Disk, File, Metadata, Open};
use faults::{Faults, Turn, power_is_gone};
use file::MemFile;
use rng::Rng;
use tree::{Node, Tree};

/// A seeded disk in memory. Clones are handles of the same disk, as processes of one machine share its disk.
#[derive(Clone)]
pub struct MemDisk {
    shared: Arc<Mutex<Machine>>,
    /// Handles of an earlier epoch belong to processes that no longer live.
    epoch: u64,
}

#[derive(Clone)]
struct Machine {
    tree: Tree,
    faults: Faults,
    rng: Rng,
    epoch: u64,
    next_handle: u64,
    /// Bytes of the device in use, kept only up to date while there is a capacity.
    used: u64,
}

impl MemDisk {
    pub fn new(seed: u64) -> MemDisk {
        let machine = Machine {
            tree: Tree::new(),
            faults: Faults::default(),
            rng: Rng::new(seed),
            epoch: 0,
            next_handle: 0,
            used: 0,
        };
        MemDisk { shared: Arc::new(Mutex::new(machine)), epoch: 0 }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power now (or completes a cut by [`MemDisk::cut_after`]) and switches the machine on again. What was not
    /// synced is kept, lost or torn by the seed. This and all older handles and files fail from here on; planned faults
    /// are gone, locks are free; capacity stays.
    #[must_use = "the disk goes on only under the new handle"]
    pub fn power_loss(&self) -> MemDisk {
        let mut guard = self.machine();
        let machine = &mut *guard;
        machine.tree.lose_power(&mut machine.rng);
        self.restart(guard)
    }

    /// Ends all processes that use the disk, as `kill -9` does: handles fail and locks are free, but nothing is lost.
    #[must_use = "the disk goes on only under the new handle"]
    pub fn kill(&self) -> MemDisk {
        let mut guard = self.machine();
        guard.tree.close_all();
        self.restart(guard)
    }

    fn restart(&self, mut machine: MutexGuard<'_, Machine>) -> MemDisk {
        machine.epoch += 1;
        machine.faults.dark = false;
        machine.faults.cut_at = None;
        machine.faults.planned.clear();
        machine.faults.sync_stall = Duration::ZERO;
        machine.recount();
        MemDisk { shared: self.shared.clone(), epoch: machine.epoch }
    }

    /// A second, independent disk in the same state, whose chances follow another seed. Cheap: they share memory until
    /// they differ. Handles of files stay with the first.
    pub fn fork(&self, seed: u64) -> MemDisk {
        let mut machine = self.machine().clone();
        machine.rng = Rng::new(seed);
        machine.epoch = 0;
        MemDisk { shared: Arc::new(Mutex::new(machine)), epoch: 0 }
    }

    /// Lets `operations` more changes (writes, syncs, changes of names) succeed; the power goes during the next one.
    /// Then everything fails until [`MemDisk::power_loss`].
    pub fn cut_after(&self, operations: u64) {
        let mut machine = self.machine();
        machine.faults.cut_at = Some(machine.faults.operations + operations);
    }

    /// Whether a planned cut has happened.
    pub fn is_cut(&self) -> bool {
        self.machine().faults.dark
    }

    /// Changes (writes, syncs, changes of names) that succeeded since the disk was made: the places to cut at.
    pub fn operations(&self) -> u64 {
        self.machine().faults.operations
    }

    pub fn counters(&self) -> Counters {
        self.machine().faults.counters
    }

    /// Plans an error. After a failed sync any part of the unsynced changes may be durable, and no later sync of the
    /// file makes the others so.
    pub fn inject(&self, fault: Fault) {
        self.machine().faults.planned.push(fault);
    }

    pub fn clear_faults(&self) {
        self.machine().faults.planned.clear();
    }

    /// Limits the bytes that all files together may take, in units of 4096; a write beyond it fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        let mut machine = self.machine();
        machine.faults.capacity = bytes;
        machine.recount();
    }

    /// Bytes that all files together take, reserved ones included.
    pub fn used(&self) -> u64 {
        self.machine().tree.files().map(tree::FileNode::used).sum()
    }

    /// Makes every change but a sync fail as on a file system mounted for reading.
    pub fn set_read_only(&self, read_only: bool) {
        self.machine().faults.read_only = read_only;
    }

    /// Says how long a sync would take. The disk has no clock: whoever drives the virtual time asks for it and holds the
    /// answer back that long.
    pub fn set_sync_stall(&self, stall: Duration) {
        self.machine().faults.sync_stall = stall;
    }

    pub fn sync_stall(&self) -> Duration {
        self.machine().faults.sync_stall
    }

    /// Flips bits of one byte in memory and on the platter, as a failing medium does. Counts as no operation.
    pub fn corrupt(&self, path: &Path, offset: u64, xor: u8) -> io::Result<()> {
        let mut machine = self.machine();
        let ino = machine.tree.find(path)?;
        machine.tree.file_mut(ino)?.content.corrupt(offset, xor);
        Ok(())
    }

    /// Begins an operation.
    fn turn(&self, operation: Operation) -> io::Result<(MutexGuard<'_, Machine>, Turn)> {
        let mut machine = self.machine();
        if machine.epoch != self.epoch {
            return Err(power_is_gone());
        }
        let turn = machine.faults.begin(operation)?;
        Ok((machine, turn))
    }

    /// A read.
    fn read<T>(&self, f: impl FnOnce(&Machine) -> io::Result<T>) -> io::Result<T> {
        let (machine, _) = self.turn(Operation::Read)?;
        f(&machine)
    }

    /// A change, whose caller is not told of success if the power goes meanwhile.
    fn change<T>(&self, operation: Operation, f: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        let (mut machine, turn) = self.turn(operation)?;
        let done = f(&mut machine);
        match turn {
            Turn::Normal => done,
            Turn::Last => Err(power_is_gone()),
        }
    }
}

impl Machine {
    fn recount(&mut self) {
        self.used = match self.faults.capacity {
            Some(_) => self.tree.files().map(tree::FileNode::used).sum(),
            None => 0,
        };
    }

    /// Refuses growth beyond the capacity.
    fn admit(&mut self, growth: u64) -> io::Result<()> {
        match self.faults.capacity {
            Some(capacity) if growth > 0 && self.used + growth > capacity => {
                Err(io::Error::from_raw_os_error(libc::ENOSPC))
            }
            Some(_) => {
                self.used += growth;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn close(&mut self, ino: tree::Ino, handle: u64) {
        if let Ok(file) = self.tree.file_mut(ino) {
            file.open = file.open.saturating_sub(1);
            file.locks.release(handle);
            if file.open == 0 {
                self.tree.sweep();
                self.recount();
            }
        }
    }
}

impl Disk for MemDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let found = self.read(|machine| match machine.tree.find(path) {
            Ok(ino) => machine.tree.file(ino).map(|_| Some(ino)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        })?;
        let ino = match (found, how) {
            (Some(ino), Open::Read | Open::Write | Open::Create { .. }) => ino,
            (Some(_), Open::CreateNew { .. }) => return Err(io::Error::from_raw_os_error(libc::EEXIST)),
            (None, Open::Read | Open::Write) => return Err(io::Error::from_raw_os_error(libc::ENOENT)),
            (None, Open::Create { mode } | Open::CreateNew { mode }) => {
                self.change(Operation::Name, |machine| machine.tree.create_file(path, mode))?
            }
        };
        let mut machine = self.machine();
        machine.next_handle += 1;
        let handle = machine.next_handle;
        machine.tree.file_mut(ino)?.open += 1;
        Ok(Arc::new(MemFile { disk: self.clone(), ino, handle, writable: how != Open::Read }))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.read(|machine| {
            Ok(match machine.tree.node(machine.tree.find(path)?)? {
                Node::Dir(dir) => Metadata { len: 0, is_dir: true, mode: dir.mode },
                Node::File(file) => Metadata { len: file.content.now.len(), is_dir: false, mode: file.mode },
            })
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.read(|machine| machine.tree.list(dir))
    }

    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()> {
        self.change(Operation::Name, |machine| machine.tree.create_dirs(dir, mode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Operation::Name, |machine| {
            machine.tree.rename(from, to)?;
            machine.recount();
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(Operation::Name, |machine| {
            machine.tree.remove_file(path)?;
            machine.recount();
            Ok(())
        })
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.change(Operation::Name, |machine| {
            machine.tree.remove_dirs(dir)?;
            machine.recount();
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut machine, turn) = self.turn(Operation::Sync)?;
        match turn {
            Turn::Last => Err(power_is_gone()),
            Turn::Normal => {
                machine.tree.sync_dir(dir)?;
                machine.recount();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
