//! The machine's file system.
//!
//! `unsafe` stands only in [`ofd`], around the one system call that no safe wrapper offers.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;

use crate::{Disk, File, Lock, Metadata, Open};

/// Files and directories of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => &mut options,
            Open::Write => options.write(true),
            Open::Create { mode } => options.write(true).create(true).mode(mode),
            Open::CreateNew { mode } => options.write(true).create_new(true).mode(mode),
        };
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = fs::metadata(path)?;
        let is_dir = found.is_dir();
        let len = if is_dir { 0 } else { found.len() };
        Ok(Metadata { len, is_dir, mode: found.permissions().mode() & 0o7777 })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(mode).create(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        fs::File::open(dir)?.sync_all()
    }
}

struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
                Err(e) => return Err(e.into()),
            }
        }
        if self.len()? < len { self.set_len(len) } else { Ok(()) }
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        match lock {
            Lock::OpenFileDescription => match ofd::try_write_lock(self.0.as_fd()) {
                // A kernel older than 3.15: the other kind, as etcd does.
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                    flock(&self.0, FlockOperation::NonBlockingLockExclusive)
                }
                outcome => outcome,
            },
            Lock::FlockExclusive => flock(&self.0, FlockOperation::NonBlockingLockExclusive),
            Lock::FlockShared => flock(&self.0, FlockOperation::NonBlockingLockShared),
        }
    }
}

fn flock(file: &fs::File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Open-file-description locks.
mod ofd {
    #![expect(unsafe_code, reason = "fcntl is variadic; no safe wrapper offers F_OFD_SETLK")]

    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};

    /// Tries to take the write lock over the whole file; false where another open file holds it.
    pub(super) fn try_write_lock(fd: BorrowedFd<'_>) -> io::Result<bool> {
        // SAFETY: `flock` is plain integers, for which all zeros is a value.
        let mut whole_file: libc::flock = unsafe { std::mem::zeroed() };
        whole_file.l_type = libc::F_WRLCK as libc::c_short;
        whole_file.l_whence = libc::SEEK_SET as libc::c_short;
        // SAFETY: the descriptor is open for the length of the borrow, and F_OFD_SETLK reads exactly one `flock` from a
        // pointer that is valid during the call.
        let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const whole_file) };
        if answer == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(dir: &Path, name: &str) -> Arc<dyn File> {
        RealDisk.open(&dir.join(name), Open::Create { mode: 0o600 }).unwrap()
    }

    #[test]
    fn allocates_zeros_and_keeps_modes() {
        let dir = tempfile::tempdir().unwrap();
        let file = create(dir.path(), "a");
        file.write_all_at(0, b"abc").unwrap();
        file.allocate(10_000).unwrap();
        file.allocate(5).unwrap();
        assert_eq!(file.len().unwrap(), 10_000);
        let mut buf = [1; 8];
        assert_eq!(file.read_at(0, &mut buf).unwrap(), 8);
        assert_eq!(&buf, b"abc\0\0\0\0\0");
        assert_eq!(file.read_at(9_998, &mut buf).unwrap(), 2);
        assert_eq!(RealDisk.metadata(&dir.path().join("a")).unwrap().mode, 0o600);
        RealDisk.create_dir_all(&dir.path().join("x/y"), 0o700).unwrap();
        assert_eq!(RealDisk.metadata(&dir.path().join("x/y")).unwrap().mode, 0o700);
        assert_eq!(RealDisk.list(dir.path()).unwrap(), ["a", "x"]);
        RealDisk.sync_dir(dir.path()).unwrap();
    }

    #[test]
    fn the_two_kinds_of_lock_do_not_see_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (create(dir.path(), "a"), create(dir.path(), "a"));
        assert!(one.try_lock(Lock::OpenFileDescription).unwrap());
        assert!(!two.try_lock(Lock::OpenFileDescription).unwrap());
        assert!(two.try_lock(Lock::FlockExclusive).unwrap());
        assert!(!one.try_lock(Lock::FlockShared).unwrap());
        drop(one);
        assert!(two.try_lock(Lock::OpenFileDescription).unwrap());
    }

    #[test]
    fn a_file_opened_for_reading_refuses_writes() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "a");
        let file = RealDisk.open(&dir.path().join("a"), Open::Read).unwrap();
        assert!(file.write_all_at(0, b"x").is_err());
        let again = RealDisk.open(&dir.path().join("a"), Open::CreateNew { mode: 0o600 });
        assert_eq!(again.err().map(|e| e.kind()), Some(io::ErrorKind::AlreadyExists));
    }
}
