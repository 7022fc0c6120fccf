//! Readers never hold up the writer, nor the writer readers: inside every operation on the disk that one of them makes, the
//! other does its whole work, on the same thread. A lock held across the disk would be waited for for ever.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bolt::{Db, Options};
use bytes::Bytes;
use common::{Model, PATH, assert_sound, content, options};
use disk::{Disk, File, Lock, MemDisk, Metadata, Open};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    /// A write, a sync, a change of length.
    Change,
}

type Other = Box<dyn FnMut() + Send>;

/// What is done inside the operations of one kind; nothing inside itself.
#[derive(Default)]
struct Hook {
    inside: Mutex<Option<(Operation, Other)>>,
    runs: AtomicU64,
}

impl Hook {
    fn set(&self, of: Operation, other: impl FnMut() + Send + 'static) {
        *self.inside.lock().unwrap() = Some((of, Box::new(other)));
    }

    /// Ends it, and gives how often it was done.
    fn clear(&self) -> u64 {
        self.inside.lock().unwrap().take();
        self.runs.swap(0, Ordering::Relaxed)
    }

    fn run(&self, operation: Operation) {
        let taken = self.inside.lock().unwrap().take_if(|(of, _)| *of == operation);
        let Some((of, mut other)) = taken else { return };
        other();
        self.runs.fetch_add(1, Ordering::Relaxed);
        *self.inside.lock().unwrap() = Some((of, other));
    }
}

struct Hooked<T> {
    inner: T,
    hook: Arc<Hook>,
}

impl Disk for Hooked<MemDisk> {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Hooked { inner: self.inner.open(path, how)?, hook: self.hook.clone() }))
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }
    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()> {
        self.inner.create_dir_all(dir, mode)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }
}

impl File for Hooked<Arc<dyn File>> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.hook.run(Operation::Read);
        self.inner.read_at(offset, buf)
    }
    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.hook.run(Operation::Change);
        self.inner.write_all_at(offset, buf)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.hook.run(Operation::Change);
        self.inner.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.hook.run(Operation::Change);
        self.inner.sync_all()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.hook.run(Operation::Change);
        self.inner.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }
    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.inner.try_lock(lock)
    }
}

const KEYS: u64 = 300;

/// A database that keeps no page in memory.
fn database() -> (Arc<Hook>, Db) {
    let hook = Arc::new(Hook::default());
    let disk = Hooked { inner: MemDisk::new(1), hook: hook.clone() };
    let options = Options { page_cache_bytes: 0, ..options(1024) };
    let db = Db::open(Arc::new(disk), Path::new(PATH), options).unwrap();
    put(&db, 0..KEYS, 1);
    (hook, db)
}

fn put(db: &Db, keys: std::ops::Range<u64>, round: u64) {
    let mut tx = db.write().unwrap();
    tx.create_bucket_if_missing(b"key").unwrap();
    for n in keys {
        let value = vec![round as u8; 20 + (n * 37 + round * 11) as usize % 200];
        tx.put(b"key", Bytes::from(format!("{n:05}")), Bytes::from(value)).unwrap();
    }
    tx.commit().unwrap();
}

fn now(db: &Db) -> Model {
    content(&db.read()).unwrap()
}

/// Fails, instead of hanging, where somebody waits for ever.
fn finishes(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    if wait.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("a reader and the writer wait for each other");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn readers_read_inside_every_step_of_commits_and_shrinks() {
    finishes(|| {
        let (hook, db) = database();
        for round in 2..6 {
            // Until the last sync is done, readers see the commit before.
            let (before, reader) = (now(&db), db.clone());
            hook.set(Operation::Change, move || assert!(now(&reader) == before));
            put(&db, 0..KEYS / round, round);
            assert!(hook.clear() >= 4, "a write of pages, a sync, a meta page, a sync");
        }
        let mut tx = db.write().unwrap();
        for n in 0..KEYS - 20 {
            tx.delete(b"key", Bytes::from(format!("{n:05}"))).unwrap();
        }
        tx.commit().unwrap();
        let (before, reader) = (now(&db), db.clone());
        hook.set(Operation::Change, move || assert!(now(&reader) == before));
        while !db.shrink(20).unwrap().done {}
        assert!(hook.clear() > 10);
        assert_sound(&db, "at the end");
    });
}

#[test]
fn commits_and_shrinks_run_inside_every_step_of_a_walk() {
    finishes(|| {
        let (hook, db) = database();
        let before = now(&db);
        let reader = db.read();
        let (writer, mut round) = (db.clone(), 1);
        hook.set(Operation::Read, move || {
            round += 1;
            put(&writer, round * 7 % 200..round * 7 % 200 + 60, round);
            writer.shrink(30).unwrap();
        });
        assert!(content(&reader).unwrap() == before, "the walk sees the state that it began with");
        assert!(hook.clear() > 50);
        drop(reader);
        assert!(now(&db) != before);
        assert_sound(&db, "at the end");
    });
}
