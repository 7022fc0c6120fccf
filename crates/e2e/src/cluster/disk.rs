//! A disk of the tests' own: a FUSE file system over [`disk::MemDisk`], so that a real process sees what the simulation's
//! members see. Its syncs can be delayed or fail, and a power cut loses, tears or keeps what was not synced. Needs root
//! and `/dev/fuse`.

use super::Failure;
use super::fuse::Files;
use disk::{Fault, MemDisk, Operation};
use fuser::{BackgroundSession, Config, MountOption};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the disk does to syncs.
#[derive(Clone, Copy, Debug, Default)]
struct Mood {
    delay: Duration,
    /// The power is gone: nothing that is under way happens any more.
    dark: bool,
}

/// How the file system's threads learn the mood.
#[derive(Debug, Default)]
pub struct Moods {
    mood: Mutex<Mood>,
    changed: Condvar,
}

impl Moods {
    fn lock(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Whether a sync has to wait now.
    pub fn waits(&self) -> bool {
        self.lock().delay > Duration::ZERO
    }

    /// Waits as long as a sync that begins now takes; false if the power went meanwhile.
    pub fn wait(&self) -> bool {
        let began = Instant::now();
        let mut mood = self.lock();
        loop {
            let left = mood.delay.saturating_sub(began.elapsed());
            if mood.dark || left.is_zero() {
                return !mood.dark;
            }
            mood = self.changed.wait_timeout(mood, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a sync that succeeds has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncs {
    /// The file or the names of the directory, which is all that POSIX promises.
    Strict,
    /// All names as well, as the journals of ext4 and xfs do it. `etcd` relies on it.
    Journal,
    /// Nothing: the disk lies. No member can keep its promises on it, so the tests must find violations.
    Lying,
}

impl std::str::FromStr for Syncs {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Syncs, std::io::Error> {
        match text {
            "strict" => Ok(Syncs::Strict),
            "journal" => Ok(Syncs::Journal),
            "lying" => Ok(Syncs::Lying),
            _ => Err(std::io::Error::other(format!("syncs are strict, journal or lying, not {text}"))),
        }
    }
}

/// A mounted disk; unmounted when dropped.
pub struct TestDisk {
    point: PathBuf,
    syncs: Syncs,
    disk: MemDisk,
    moods: Arc<Moods>,
    session: Option<BackgroundSession>,
}

impl TestDisk {
    /// An empty disk at a directory, which is made. The seed decides what a power cut leaves.
    pub fn new(point: &Path, seed: u64, syncs: Syncs) -> Result<TestDisk, Failure> {
        std::fs::create_dir_all(point)?;
        let moods = Arc::new(Moods::default());
        let mut disk = TestDisk { point: point.to_owned(), syncs, disk: MemDisk::new(seed), moods, session: None };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&mut self) -> Result<(), Failure> {
        let files = Files::new(self.disk.clone(), Arc::clone(&self.moods), self.syncs);
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("quorate".to_owned()), MountOption::NoAtime];
        self.session = Some(fuser::spawn_mount(files, &self.point, &config)?);
        Ok(())
    }

    /// From now on a sync takes so long. A shorter time counts for syncs under way as well.
    pub fn delay_syncs(&self, delay: Duration) {
        self.moods.set(|mood| mood.delay = delay);
    }

    /// From now on every sync fails; what it was to write may be lost for good.
    pub fn fail_syncs(&self) {
        let error = std::io::ErrorKind::Other;
        self.disk.inject(Fault { operation: Operation::Sync, after: 0, times: u64::MAX, error });
    }

    /// Ends delays and failures.
    pub fn heal(&self) {
        self.disk.clear_faults();
        self.delay_syncs(Duration::ZERO);
    }

    /// The first half of a power cut: syncs under way fail without effect. The member has to be killed between the two.
    pub fn darken(&self) {
        self.moods.set(|mood| mood.dark = true);
    }

    /// The second half: what was not synced is lost, torn or kept, and the disk is there again.
    pub fn cut_power(&mut self) -> Result<(), Failure> {
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        self.disk = self.disk.power_loss();
        self.moods.set(|mood| *mood = Mood::default());
        self.mount()
    }
}

impl std::fmt::Debug for TestDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestDisk({})", self.point.display())
    }
}

impl Drop for TestDisk {
    fn drop(&mut self) {
        self.heal();
        if let Some(session) = self.session.take()
            && let Err(failure) = session.umount_and_join()
        {
            eprintln!("{} stays mounted: {failure}", self.point.display());
        }
    }
}
