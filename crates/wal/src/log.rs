//! The log as its writer sees it: create, open, append, sync, cut, release.
//!
//! Invariant: `offset` plus the encoder's bytes is the end of the log, and the encoder's checksum covers all of it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, File, Open};
use proto::raftpb::{Entry, HardState};
use proto::walpb;

use crate::error::Context;
use crate::frame::Encoder;
use crate::member::{create_dir_durably, parent};
use crate::names::{self, SegmentName};
use crate::open::{Collector, lock, needed, with_suffix};
use crate::reader::{Reader, Segment};
use crate::{Opened, WalError, repair};

/// Bytes that a segment is given when it is made, and at which the next one begins.
pub const SEGMENT_BYTES: u64 = 64_000_000;

/// Saved bytes that wait in memory for a sync, at most, before they are handed to the operating system.
const BUFFER_BYTES: usize = 1 << 20;

/// How segments are cut. Only tests have a reason to differ from the default.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: SEGMENT_BYTES }
    }
}

/// What a new log holds from its first moment on: either the folder appears with all of it, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Initial {
    pub hard_state: HardState,
    pub entries: Vec<Entry>,
    /// A snapshot record beyond the initial one at (0, 0).
    pub snapshot: Option<walpb::Snapshot>,
}

/// A segment that is open for appending, with its lock.
struct Held {
    name: SegmentName,
    path: PathBuf,
    file: Arc<dyn File>,
}

/// The log of one member, open for appending. It holds the locks of its segments until they are released or it is
/// dropped. After a failed write or sync every further call answers [`WalError::Stopped`].
pub struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    metadata: Vec<u8>,
    /// In order; the last one is written to.
    held: VecDeque<Held>,
    encoder: Encoder,
    /// Where the encoder's bytes go in the last segment.
    offset: u64,
    unsynced_bytes: u64,
    hard_state: HardState,
    last_index: u64,
    /// Space set aside for the next segment.
    next: Option<(PathBuf, Arc<dyn File>)>,
    /// How many segments were prepared, which gives the next one its name.
    prepared: u64,
    stopped: bool,
}

impl Wal {
    /// Makes a log in `dir`, which must hold none. Everything is written beside it and moved in place once durable.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        node_id: u64,
        cluster_id: u64,
        options: Options,
    ) -> Result<Wal, WalError> {
        Wal::create_with(disk, dir, node_id, cluster_id, &Initial::default(), options)
    }

    /// As [`Wal::create`], with first entries, hard state and snapshot record.
    pub fn create_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        node_id: u64,
        cluster_id: u64,
        initial: &Initial,
        options: Options,
    ) -> Result<Wal, WalError> {
        if names::exists(&*disk, dir).context("list", dir)? {
            return Err(WalError::Exists { dir: dir.to_path_buf() });
        }
        let tmp = with_suffix(dir, ".tmp");
        if disk.exists(&tmp).context("stat", &tmp)? {
            disk.remove_dir_all(&tmp).context("remove", &tmp)?;
        }
        create_dir_durably(&*disk, &tmp, 0o700)?;

        let name = SegmentName { sequence: 0, index: 0 };
        let path = tmp.join(name.file_name());
        let file = disk.open(&path, Open::CreateNew { mode: 0o600 }).context("create", &path)?;
        lock(&*file, &path)?;
        file.allocate(options.segment_bytes).context("allocate", &path)?;
        let mut wal = Wal {
            disk,
            dir: dir.to_path_buf(),
            options,
            metadata: metadata(node_id, cluster_id),
            held: VecDeque::from([Held { name, path, file }]),
            encoder: Encoder::new(0),
            offset: 0,
            unsynced_bytes: 0,
            hard_state: HardState::default(),
            last_index: 0,
            next: None,
            prepared: 0,
            stopped: false,
        };
        wal.write_first_records(initial)?;
        wal.disk.sync_dir(&tmp).context("sync", &tmp)?;
        wal.disk.rename(&tmp, dir).context("rename", &tmp)?;
        wal.disk.sync_dir(&parent(dir)).context("sync the parent of", dir)?;
        if let Some(first) = wal.held.front_mut() {
            first.path = dir.join(first.name.file_name());
        }
        Ok(wal)
    }

    fn write_first_records(&mut self, initial: &Initial) -> Result<(), WalError> {
        self.encoder.crc();
        self.encoder.metadata(&self.metadata);
        self.encoder.snapshot(&walpb::Snapshot::default());
        // A log that holds nothing else, of one who joins, must be durable too.
        self.unsynced_bytes += self.encoder.bytes().len() as u64;
        self.append(&initial.hard_state, &initial.entries);
        if let Some(snapshot) = &initial.snapshot {
            self.append_snapshot(snapshot)?;
        }
        self.sync()
    }

    /// Opens the log for appending and reads what follows the snapshot record `at` ((0, 0) for all). A torn tail is
    /// repaired, once. What lies beyond the last record is zeroed.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, at: &walpb::Snapshot, options: Options) -> Result<Opened, WalError> {
        match Wal::open_whole(disk.clone(), dir, at, options) {
            Err(WalError::UnexpectedEof { .. }) => {
                let repaired = repair(&*disk, dir)?;
                Ok(Opened { repaired, ..Wal::open_whole(disk, dir, at, options)? })
            }
            outcome => outcome,
        }
    }

    /// Opens a log without a torn tail.
    fn open_whole(disk: Arc<dyn Disk>, dir: &Path, at: &walpb::Snapshot, options: Options) -> Result<Opened, WalError> {
        let (all, ignored_names) = names::list(&*disk, dir)?;
        let held = hold(&*disk, dir, needed(&all, dir, at.index)?)?;
        let segments: Vec<Segment> =
            held.iter().map(|held| Segment { path: held.path.clone(), file: held.file.clone() }).collect();
        let mut reader = Reader::new(&segments)?;
        let mut collector = Collector::new(at);
        collector.run(&mut reader)?;

        let last_index = collector.last_entry.max(at.index);
        let (metadata, contents) = collector.into_metadata();
        let wal = Wal {
            dir: dir.to_path_buf(),
            disk,
            options,
            metadata: metadata.to_vec(),
            held,
            encoder: Encoder::new(reader.crc()),
            offset: reader.offset(),
            unsynced_bytes: 0,
            hard_state: contents.hard_state,
            last_index,
            next: None,
            prepared: 0,
            stopped: false,
        };
        wal.clear_tail()?;
        Ok(Opened { wal, contents: crate::Contents { ignored_names, ..contents }, repaired: None })
    }

    /// Zeroes what lies beyond the last record, so that half-written bytes don't surface behind later records.
    fn clear_tail(&self) -> Result<(), WalError> {
        let tail = self.tail()?;
        tail.file.set_len(self.offset).context("truncate", &tail.path)?;
        tail.file.allocate(self.options.segment_bytes.max(self.offset)).context("allocate", &tail.path)
    }

    fn tail(&self) -> Result<&Held, WalError> {
        self.held.back().ok_or(WalError::Stopped)
    }

    /// Appends entries, then the hard state (skipped when all-zero). Nothing is durable before [`Wal::sync`]. The answer
    /// says whether the save is one that must be synced before anything that rests on it leaves: there are entries, or
    /// term or vote changed. May cut the segment, which syncs.
    pub fn save(&mut self, hard_state: &HardState, entries: &[Entry]) -> Result<bool, WalError> {
        self.guarded(|wal| {
            let must_sync = wal.append(hard_state, entries);
            if wal.offset + wal.encoder.bytes().len() as u64 >= wal.options.segment_bytes {
                wal.cut()?;
            } else if wal.encoder.bytes().len() >= BUFFER_BYTES {
                wal.write_out()?;
            }
            Ok(must_sync)
        })
    }

    fn append(&mut self, hard_state: &HardState, entries: &[Entry]) -> bool {
        let before = self.encoder.bytes().len();
        for entry in entries {
            self.encoder.entry(entry);
            self.last_index = entry.index;
        }
        let mut must_sync = !entries.is_empty();
        if *hard_state != HardState::default() {
            must_sync |= (hard_state.term, hard_state.vote) != (self.hard_state.term, self.hard_state.vote);
            self.encoder.state(hard_state);
            self.hard_state = *hard_state;
        }
        self.unsynced_bytes += (self.encoder.bytes().len() - before) as u64;
        must_sync
    }

    /// Makes all that was saved durable, with one write and one `fdatasync`; nothing where nothing was saved.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.guarded(|wal| {
            wal.write_out()?;
            if wal.unsynced_bytes > 0 {
                let tail = wal.tail()?;
                tail.file.sync_data().context("sync", &tail.path)?;
                wal.unsynced_bytes = 0;
            }
            Ok(())
        })
    }

    /// Hands what was saved to the operating system without waiting for the device.
    pub fn flush(&mut self) -> Result<(), WalError> {
        self.guarded(Wal::write_out)
    }

    /// Runs a step of writing; once one failed, none runs any more.
    fn guarded<T>(&mut self, step: impl FnOnce(&mut Wal) -> Result<T, WalError>) -> Result<T, WalError> {
        if self.stopped {
            return Err(WalError::Stopped);
        }
        let outcome = step(self);
        self.stopped = outcome.is_err();
        outcome
    }

    fn write_out(&mut self) -> Result<(), WalError> {
        if !self.encoder.bytes().is_empty() {
            let tail = self.tail()?;
            tail.file.write_all_at(self.offset, self.encoder.bytes()).context("write", &tail.path)?;
            self.offset += self.encoder.bytes().len() as u64;
            self.encoder.clear();
        }
        Ok(())
    }

    /// Appends and syncs a snapshot record. The `.snap` file must be durable before.
    pub fn save_snapshot(&mut self, snapshot: &walpb::Snapshot) -> Result<(), WalError> {
        if self.stopped {
            return Err(WalError::Stopped);
        }
        self.append_snapshot(snapshot)?;
        self.sync()
    }

    fn append_snapshot(&mut self, snapshot: &walpb::Snapshot) -> Result<(), WalError> {
        if snapshot.index > 0 && snapshot.conf_state.is_none() {
            return Err(WalError::NoConfState { index: snapshot.index });
        }
        let before = self.encoder.bytes().len();
        self.encoder.snapshot(snapshot);
        self.unsynced_bytes += (self.encoder.bytes().len() - before) as u64;
        self.last_index = self.last_index.max(snapshot.index);
        Ok(())
    }

    /// Ends the segment and begins the next one. Its head is durable before it gets its name.
    fn cut(&mut self) -> Result<(), WalError> {
        self.write_out()?;
        let tail = self.tail()?;
        tail.file.set_len(self.offset).context("truncate", &tail.path)?;
        tail.file.sync_data().context("sync", &tail.path)?;
        let name = SegmentName { sequence: tail.name.sequence.wrapping_add(1), index: self.last_index.wrapping_add(1) };

        self.reserve_next()?;
        let (tmp, file) = self.next.take().ok_or(WalError::Stopped)?;
        self.encoder.crc();
        self.encoder.metadata(&self.metadata);
        if self.hard_state != HardState::default() {
            self.encoder.state(&self.hard_state);
        }
        file.write_all_at(0, self.encoder.bytes()).context("write", &tmp)?;
        file.sync_data().context("sync", &tmp)?;
        let path = self.dir.join(name.file_name());
        self.disk.rename(&tmp, &path).context("rename", &tmp)?;
        self.disk.sync_dir(&self.dir).context("sync", &self.dir)?;

        self.offset = self.encoder.bytes().len() as u64;
        self.encoder.clear();
        self.unsynced_bytes = 0;
        self.held.push_back(Held { name, path, file });
        Ok(())
    }

    /// Sets the space of the next segment aside, where that is not done yet. For a quiet moment. A failure changes nothing:
    /// the present segment has its space, and the next one is asked for again when it is needed.
    pub fn prepare_next(&mut self) -> Result<(), WalError> {
        if self.stopped { Err(WalError::Stopped) } else { self.reserve_next() }
    }

    fn reserve_next(&mut self) -> Result<(), WalError> {
        if self.next.is_none() {
            let path = self.dir.join(format!("{}.tmp", self.prepared % 2));
            let file = self.disk.open(&path, Open::Create { mode: 0o600 }).context("create", &path)?;
            lock(&*file, &path)?;
            // A leftover may hold the head of a segment that never got its name.
            file.set_len(0).context("truncate", &path)?;
            if let Err(failure) = file.allocate(self.options.segment_bytes) {
                // On a full disk what was had of it is better given back; if not, the next try begins with that.
                drop(file.set_len(0));
                return Err(failure).context("allocate", &path);
            }
            self.prepared += 1;
            self.next = Some((path, file));
        }
        Ok(())
    }

    /// Unlocks the segments that a start from a snapshot at `index` does not need, so that purging may take them.
    pub fn release_to(&mut self, index: u64) {
        if let Some(first) = self.held.iter().rposition(|held| held.name.index <= index) {
            self.held.drain(..first);
        }
    }

    /// Bytes saved but not yet synced.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    /// The index of the last saved entry or snapshot.
    pub fn last_index(&self) -> u64 {
        self.last_index
    }

    /// The last saved hard state.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Where the log ends: file and offset.
    pub fn position(&self) -> (PathBuf, u64) {
        let path = self.held.back().map(|tail| tail.path.clone()).unwrap_or_default();
        (path, self.offset + self.encoder.bytes().len() as u64)
    }

    /// Syncs, and gives back the space that [`Wal::prepare_next`] set aside.
    pub fn close(mut self) -> Result<(), WalError> {
        self.sync()?;
        if let Some((path, file)) = self.next.take() {
            drop(file);
            self.disk.remove_file(&path).context("remove", &path)?;
        }
        Ok(())
    }
}

/// Opens segments for appending and takes their locks.
fn hold(disk: &dyn Disk, dir: &Path, names: &[SegmentName]) -> Result<VecDeque<Held>, WalError> {
    let hold = |name: &SegmentName| {
        let path = dir.join(name.file_name());
        let file = disk.open(&path, Open::Write).context("open", &path)?;
        lock(&*file, &path)?;
        Ok(Held { name: *name, path, file })
    };
    names.iter().map(hold).collect()
}

/// A marshalled `etcdserverpb.Metadata` with both fields present, as etcd compares it byte by byte.
fn metadata(node_id: u64, cluster_id: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, value) in [(1, node_id), (2, cluster_id)] {
        prost::encoding::uint64::encode(tag, &value, &mut bytes);
    }
    bytes
}
