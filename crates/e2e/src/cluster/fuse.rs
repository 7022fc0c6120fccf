//! The calls of the kernel, answered from a [`disk::Disk`]. Inodes are numbers given to paths; open files outlive their
//! names. Locks are left to the kernel.

use super::disk::{Moods, Syncs};
use disk::{Disk, File, MemDisk, Metadata, Open};
use fuser::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How long the kernel may believe an answer. Only the kernel changes anything, so it could be for ever.
const BELIEF: Duration = Duration::from_secs(1);

/// The file system of one disk.
pub struct Files {
    disk: MemDisk,
    moods: Arc<Moods>,
    syncs: Syncs,
    table: Mutex<Table>,
}

/// Which inode is what.
#[derive(Default)]
struct Table {
    numbers: BTreeMap<PathBuf, u64>,
    paths: BTreeMap<u64, PathBuf>,
    open: BTreeMap<u64, OpenFile>,
    next: u64,
}

/// All openings of one file share one handle of the disk.
struct OpenFile {
    file: Arc<dyn File>,
    count: u64,
}

impl Table {
    fn number(&mut self, path: &Path) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        self.next += 1;
        self.numbers.insert(path.to_owned(), self.next);
        self.paths.insert(self.next, path.to_owned());
        self.next
    }

    fn path(&self, inode: INodeNo) -> io::Result<PathBuf> {
        self.paths.get(&inode.0).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn forget(&mut self, path: &Path) {
        if let Some(number) = self.numbers.remove(path) {
            self.paths.remove(&number);
        }
    }

    /// A name, and all below it if it is a directory, moves.
    fn rename(&mut self, from: &Path, to: &Path) {
        self.forget(to);
        let moved: Vec<(PathBuf, u64)> =
            self.numbers.iter().filter(|(path, _)| path.starts_with(from)).map(|(p, n)| (p.clone(), *n)).collect();
        for (path, number) in moved {
            self.numbers.remove(&path);
            let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
            let path = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            self.numbers.insert(path.clone(), number);
            self.paths.insert(number, path);
        }
    }

    fn file(&self, inode: INodeNo) -> io::Result<Arc<dyn File>> {
        let open = self.open.get(&inode.0).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
        Ok(Arc::clone(&open.file))
    }
}

fn errno(error: &io::Error) -> Errno {
    match error.raw_os_error() {
        Some(code) => Errno::from_i32(code),
        None if error.kind() == io::ErrorKind::NotFound => Errno::ENOENT,
        None => Errno::EIO,
    }
}

impl Files {
    pub fn new(disk: MemDisk, moods: Arc<Moods>, syncs: Syncs) -> Files {
        let mut table = Table::default();
        // The root, which is number 1.
        table.number(Path::new("/"));
        Files { disk, moods, syncs, table: Mutex::new(table) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.table().path(parent)?.join(name))
    }

    fn attributes_of(&self, path: &Path) -> io::Result<FileAttr> {
        let metadata = self.disk.metadata(path)?;
        Ok(attributes(self.table().number(path), &metadata))
    }

    /// By name, or by the open file if it has none any more.
    fn attributes(&self, inode: INodeNo) -> io::Result<FileAttr> {
        let path = self.table().path(inode);
        match path {
            Ok(path) => self.attributes_of(&path),
            Err(_) => {
                let len = self.table().file(inode)?.len()?;
                Ok(attributes(inode.0, &Metadata { len, is_dir: false, mode: 0o600 }))
            }
        }
    }

    fn open_file(&self, path: &Path, how: Open) -> io::Result<u64> {
        let mut table = self.table();
        let number = table.numbers.get(path).copied();
        if let Some(open) = number.and_then(|number| table.open.get_mut(&number)) {
            open.count += 1;
            return Ok(number.unwrap_or_default());
        }
        let file = self.disk.open(path, how)?;
        let number = table.number(path);
        table.open.insert(number, OpenFile { file, count: 1 });
        Ok(number)
    }

    fn truncate(&self, inode: INodeNo, size: u64) -> io::Result<()> {
        let path = self.table().path(inode);
        let open = self.table().file(inode);
        match (open, path) {
            (Ok(file), _) => file.set_len(size),
            (Err(_), Ok(path)) => self.disk.open(&path, Open::Write)?.set_len(size),
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<FileAttr> {
        if self.disk.exists(path)? {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        self.disk.create_dir_all(path, mode & 0o777)?;
        self.attributes_of(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.disk.list(path)?.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOTEMPTY));
        }
        self.disk.remove_dir_all(path)?;
        self.table().forget(path);
        Ok(())
    }

    fn allocate(&self, inode: INodeNo, offset: u64, length: u64, mode: i32) -> io::Result<()> {
        let file = self.table().file(inode)?;
        // 1 is FALLOC_FL_KEEP_SIZE: there is nothing to do for it, as space is not scarce here.
        match mode {
            0 => file.allocate(offset + length),
            1 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        }
    }

    /// Syncs, in a thread of its own if that takes its time: others go on meanwhile.
    fn sync(&self, reply: ReplyEmpty, work: impl FnOnce() -> io::Result<()> + Send + 'static) {
        let moods = Arc::clone(&self.moods);
        let (disk, syncs) = (self.disk.clone(), self.syncs);
        let whole = move || {
            let done = match syncs {
                _ if !moods.wait() => Err(io::ErrorKind::Other.into()),
                Syncs::Strict => work(),
                Syncs::Journal => work().and_then(|()| sync_names(&disk, Path::new("/"))),
                Syncs::Lying => Ok(()),
            };
            answer(reply, done);
        };
        if self.moods.waits() {
            std::thread::spawn(whole);
        } else {
            whole();
        }
    }
}

/// Makes the names of a directory and of all below it durable.
fn sync_names(disk: &MemDisk, dir: &Path) -> io::Result<()> {
    disk.sync_dir(dir)?;
    for name in disk.list(dir)? {
        let path = dir.join(name);
        if disk.metadata(&path)?.is_dir {
            sync_names(disk, &path)?;
        }
    }
    Ok(())
}

fn answer(reply: ReplyEmpty, done: io::Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

fn attributes(number: u64, metadata: &Metadata) -> FileAttr {
    let time = SystemTime::UNIX_EPOCH;
    FileAttr {
        ino: INodeNo(number),
        size: metadata.len,
        blocks: metadata.len.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: if metadata.is_dir { FileType::Directory } else { FileType::RegularFile },
        perm: (metadata.mode & 0o777) as u16,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.child(parent, name).and_then(|path| self.attributes_of(&path)) {
            Ok(found) => reply.entry(&BELIEF, &found, Generation(0)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Ok(found) => reply.attr(&BELIEF, &found),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let cut = size.map_or(Ok(()), |size| self.truncate(inode, size));
        match cut.and_then(|()| self.attributes(inode)) {
            Ok(found) => reply.attr(&BELIEF, &found),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, reply: ReplyEntry) {
        match self.child(parent, name).and_then(|path| self.make_dir(&path, mode)) {
            Ok(made) => reply.entry(&BELIEF, &made, Generation(0)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.child(parent, name).and_then(|path| {
            self.disk.remove_file(&path)?;
            self.table().forget(&path);
            Ok(())
        });
        answer(reply, removed);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.child(parent, name).and_then(|path| self.remove_dir(&path)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.child(parent, name).and_then(|from| {
            let to = self.child(new_parent, new_name)?;
            self.disk.rename(&from, &to)?;
            self.table().rename(&from, &to);
            Ok(())
        });
        answer(reply, renamed);
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let path = self.table().path(inode);
        match path.and_then(|path| self.open_file(&path, Open::Write)) {
            Ok(number) => reply.opened(FileHandle(number), FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.child(parent, name).and_then(|path| {
            let number = self.open_file(&path, Open::Create { mode: mode & 0o777 })?;
            Ok((number, self.attributes_of(&path)?))
        });
        match made {
            Ok((number, made)) => {
                reply.created(&BELIEF, &made, Generation(0), FileHandle(number), FopenFlags::empty());
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        let file = self.table().file(inode);
        match file.and_then(|file| file.read_at(offset, &mut buffer)) {
            Ok(length) => reply.data(&buffer[..length]),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let file = self.table().file(inode);
        match file.and_then(|file| file.write_all_at(offset, data)) {
            // The kernel sends at most 16 MiB at once.
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let mut table = self.table();
        if let Some(open) = table.open.get_mut(&inode.0) {
            open.count -= 1;
            if open.count == 0 {
                table.open.remove(&inode.0);
            }
        }
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let file = self.table().file(inode);
        match file {
            Ok(file) => self.sync(reply, move || file.sync_all()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let path = self.table().path(inode);
        let disk = self.disk.clone();
        match path {
            Ok(path) => self.sync(reply, move || disk.sync_dir(&path)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let path = self.table().path(inode);
        let names = path.and_then(|path| Ok((self.disk.list(&path)?, path)));
        let (names, path) = match names {
            Ok(found) => found,
            Err(error) => return reply.error(errno(&error)),
        };
        for (place, name) in names.iter().enumerate().skip(offset as usize) {
            let Ok(found) = self.attributes_of(&path.join(name)) else { continue };
            if reply.add(found.ino, place as u64 + 1, found.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(1 << 24, 1 << 24, 1 << 24, 1 << 20, 1 << 20, 4096, 255, 4096);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        answer(reply, self.allocate(inode, offset, length, mode));
    }
}
