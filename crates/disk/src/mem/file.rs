//! An open file of a [`MemDisk`].

use std::io;

use super::tree::Ino;
use super::{MemDisk, Operation, Turn, power_is_gone};
use crate::{File, Lock};

pub(super) struct MemFile {
    pub(super) disk: MemDisk,
    pub(super) ino: Ino,
    /// The owner of this file's locks.
    pub(super) handle: u64,
    pub(super) writable: bool,
}

impl MemFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) }
    }

    fn sync(&self) -> io::Result<()> {
        let (mut guard, turn) = match self.disk.turn(Operation::Sync) {
            Ok(turn) => turn,
            Err(error) => {
                let mut guard = self.disk.machine();
                let machine = &mut *guard;
                if machine.epoch == self.disk.epoch && !machine.faults.dark {
                    machine.tree.file_mut(self.ino)?.content.fail_sync(&mut machine.rng);
                }
                return Err(error);
            }
        };
        match turn {
            Turn::Last => Err(power_is_gone()),
            Turn::Normal => {
                guard.tree.file_mut(self.ino)?.content.sync();
                Ok(())
            }
        }
    }
}

impl File for MemFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.read(|machine| Ok(machine.tree.file(self.ino)?.content.now.read(offset, buf)))
    }

    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        self.disk.change(Operation::Write, |machine| {
            if machine.faults.capacity.is_some() {
                let growth = machine.tree.file(self.ino)?.growth(offset, buf.len());
                machine.admit(growth)?;
            }
            machine.faults.counters.bytes_written += buf.len() as u64;
            if !buf.is_empty() {
                machine.tree.file_mut(self.ino)?.content.write(offset, buf);
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.read(|machine| Ok(machine.tree.file(self.ino)?.content.now.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.change(Operation::Write, |machine| {
            let file = machine.tree.file_mut(self.ino)?;
            file.content.resize(len);
            file.reserved = file.reserved.min(len);
            machine.recount();
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.change(Operation::Write, |machine| {
            let file = machine.tree.file_mut(self.ino)?;
            let before = file.reserved;
            let used = file.used();
            file.reserved = before.max(len);
            let growth = file.used() - used;
            if let Err(full) = machine.admit(growth) {
                machine.tree.file_mut(self.ino)?.reserved = before;
                return Err(full);
            }
            let file = machine.tree.file_mut(self.ino)?;
            if file.content.now.len() < len {
                file.content.resize(len);
            }
            Ok(())
        })
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        if lock == Lock::OpenFileDescription {
            self.check_writable()?;
        }
        self.disk.read(|_| Ok(()))?;
        let mut machine = self.disk.machine();
        let locks = &mut machine.tree.file_mut(self.ino)?.locks;
        let free = |holder: Option<u64>| holder.is_none_or(|holder| holder == self.handle);
        let sole_reader = locks.shared.iter().all(|holder| *holder == self.handle);
        let granted = match lock {
            Lock::OpenFileDescription => free(locks.description),
            Lock::FlockExclusive => free(locks.exclusive) && sole_reader,
            Lock::FlockShared => free(locks.exclusive),
        };
        if granted {
            match lock {
                Lock::OpenFileDescription => locks.description = Some(self.handle),
                Lock::FlockExclusive => {
                    locks.shared.remove(&self.handle);
                    locks.exclusive = Some(self.handle);
                }
                Lock::FlockShared => {
                    locks.exclusive = None;
                    locks.shared.insert(self.handle);
                }
            }
        }
        Ok(granted)
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        let mut machine = self.disk.machine();
        if machine.epoch == self.disk.epoch {
            machine.close(self.ino, self.handle);
        }
    }
}
