//! The machine's disk with a stopwatch: what log and snapshot files and received databases cost, and how long the database
//! took to open. The rooms below read no clock.

use crate::logging::lines;
use crate::metrics::Metrics;
use disk::{Disk, File, Lock, Metadata, Open, RealDisk};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Measures files by their folder: those of the log; raft snapshots and databases being received beside the database.
pub struct MeteredDisk {
    inner: RealDisk,
    metrics: Arc<Metrics>,
    /// The folder of the log, and the one in which it is made.
    log_dirs: [PathBuf; 2],
    db: PathBuf,
    opening: Mutex<Opening>,
}

/// How long it took until the database was read: nothing else is asked of the disk meanwhile.
#[derive(Clone, Copy, Default)]
struct Opening {
    began: Option<Instant>,
    took: Option<Duration>,
}

impl MeteredDisk {
    pub fn new(metrics: Arc<Metrics>, log_dir: PathBuf, db: PathBuf) -> Arc<MeteredDisk> {
        let mut making = log_dir.clone().into_os_string();
        making.push(".tmp");
        let log_dirs = [log_dir, making.into()];
        Arc::new(MeteredDisk { inner: RealDisk, metrics, log_dirs, db, opening: Mutex::default() })
    }

    /// The database, or the file that becomes it.
    fn is_db(&self, path: &Path) -> bool {
        let in_folder = path.parent() == self.db.parent();
        in_folder && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("db"))
    }

    /// A database that comes with a snapshot, before it has its name ([`wal::MemberDir::receiving`]).
    fn is_received(&self, path: &Path) -> bool {
        let digits = path.file_name().and_then(|name| name.to_str()?.strip_prefix("tmp"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        path.parent() == self.db.parent() && digits.is_some_and(is_number)
    }

    /// How long opening the database took; the start has come so far that it is open.
    pub fn opened_db(&self) -> Duration {
        self.other_call();
        self.opening().took.unwrap_or_default()
    }

    fn opening(&self) -> MutexGuard<'_, Opening> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call about something other than the database ends its opening.
    fn other_call(&self) {
        let mut opening = self.opening();
        if let (Some(began), None) = (opening.began, opening.took) {
            opening.took = Some(began.elapsed());
        }
    }

    fn db_call(&self) {
        let mut opening = self.opening();
        opening.began.get_or_insert_with(Instant::now);
    }
}

impl Disk for MeteredDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        if self.is_db(path) {
            self.db_call();
            return self.inner.open(path, how);
        }
        self.other_call();
        let opened = Instant::now();
        let inner = self.inner.open(path, how)?;
        let metrics = self.metrics.clone();
        let in_log = path.parent().is_some_and(|dir| self.log_dirs.iter().any(|log| log == dir));
        let is_snapshot = path.extension().is_some_and(|extension| extension == "snap") && how != Open::Read;
        Ok(match (in_log, is_snapshot) {
            (true, _) => Arc::new(LogFile { inner, metrics }),
            (false, true) => Arc::new(SnapFile { inner, metrics, opened, emptied: Mutex::new(opened) }),
            (false, false) if self.is_received(path) => {
                Arc::new(ReceivedFile { inner, metrics, opened, whole: AtomicBool::new(false) })
            }
            (false, false) => inner,
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()> {
        self.other_call();
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

/// Passes the calls on that nobody measures.
macro_rules! pass_on {
    () => {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.inner.read_at(offset, buf)
        }

        fn len(&self) -> io::Result<u64> {
            self.inner.len()
        }

        fn allocate(&self, len: u64) -> io::Result<()> {
            self.inner.allocate(len)
        }

        fn try_lock(&self, lock: Lock) -> io::Result<bool> {
            self.inner.try_lock(lock)
        }
    };
}

/// A segment of the log.
struct LogFile {
    inner: Arc<dyn File>,
    metrics: Arc<Metrics>,
}

impl File for LogFile {
    pass_on!();

    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        self.inner.write_all_at(offset, buf)?;
        self.metrics.wal_write.observe(began.elapsed());
        self.metrics.wal_written_bytes.add(buf.len() as u64);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let began = Instant::now();
        self.inner.sync_data()?;
        let took = began.elapsed();
        self.metrics.wal_fsync.observe(took);
        if took > lines::SLOW_SYNC {
            lines::slow_fdatasync(took);
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}

/// A raft snapshot being written: it is opened, emptied, encoded, written, synced, renamed, and closed.
struct SnapFile {
    inner: Arc<dyn File>,
    metrics: Arc<Metrics>,
    opened: Instant,
    emptied: Mutex<Instant>,
}

impl File for SnapFile {
    pass_on!();

    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let emptied = *self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.snap_marshal.observe(emptied.elapsed());
        self.inner.write_all_at(offset, buf)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        let began = Instant::now();
        self.inner.sync_all()?;
        self.metrics.snap_fsync.observe(began.elapsed());
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)?;
        *self.emptied.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }
}

impl Drop for SnapFile {
    fn drop(&mut self) {
        self.metrics.snap_save.observe(self.opened.elapsed());
    }
}

/// A database being received: it is opened, written, synced once it is whole, renamed, and closed.
struct ReceivedFile {
    inner: Arc<dyn File>,
    metrics: Arc<Metrics>,
    opened: Instant,
    whole: AtomicBool,
}

impl File for ReceivedFile {
    pass_on!();

    fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all_at(offset, buf)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        let began = Instant::now();
        self.inner.sync_all()?;
        self.metrics.snap_db_fsync.observe(began.elapsed());
        self.whole.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}

impl Drop for ReceivedFile {
    fn drop(&mut self) {
        if self.whole.load(Ordering::Relaxed) {
            self.metrics.snap_db_save.observe(self.opened.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Scrape;

    #[test]
    fn log_and_snapshot_files_are_measured() {
        let dir = std::env::temp_dir().join(format!("quorate-metered-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("wal.tmp")).expect("scratch");
        let metrics = Arc::new(Metrics::new(false));
        let disk = MeteredDisk::new(metrics.clone(), dir.join("wal"), dir.join("db"));
        let create = Open::Create { mode: 0o600 };
        let db = disk.open(&dir.join("db"), create).expect("db");
        db.sync_data().expect("not measured");
        let log = disk.open(&dir.join("wal.tmp").join("0.wal"), create).expect("segment");
        log.write_all_at(0, b"12345").expect("write");
        log.sync_data().expect("sync");
        let snap = disk.open(&dir.join("tmp-1.snap"), create).expect("snapshot");
        snap.set_len(0).and_then(|()| snap.write_all_at(0, b"1")).and_then(|()| snap.sync_all()).expect("snapshot");
        drop(snap);
        let given_up = disk.open(&dir.join("tmp7"), create).expect("received");
        given_up.write_all_at(0, b"1").expect("write");
        drop(given_up);
        let received = disk.open(&dir.join("tmp8"), create).expect("received");
        received
            .set_len(0)
            .and_then(|()| received.write_all_at(0, b"1"))
            .and_then(|()| received.sync_all())
            .expect("synced");
        drop(received);
        let page = metrics.render(&Scrape::default());
        for line in [
            "etcd_disk_wal_fsync_duration_seconds_count 1",
            "etcd_disk_wal_write_duration_seconds_count 1",
            "etcd_disk_wal_write_bytes_total 5",
            "etcd_snap_fsync_duration_seconds_count 1",
            "etcd_snap_db_fsync_duration_seconds_count 1",
            "etcd_snap_db_save_total_duration_seconds_count 1",
            "etcd_debugging_snap_save_marshalling_duration_seconds_count 1",
            "etcd_debugging_snap_save_total_duration_seconds_count 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is missing");
        }
        assert!(disk.opened_db() > Duration::ZERO);
        std::fs::remove_dir_all(&dir).expect("scratch goes");
    }
}
