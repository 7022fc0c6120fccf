//! Reading a log: on opening it, for checks, and to repair a torn tail.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use disk::{Disk, File, Lock, Open};
use prost::Message;
use proto::etcdserverpb::Metadata;
use proto::raftpb::{Entry, EntryType, HardState};
use proto::walpb;

use crate::error::Context;
use crate::frame::Kind;
use crate::names::{self, SegmentName};
use crate::reader::{Item, Reader, Segment};
use crate::{Wal, WalError};

/// What a log holds after a snapshot record.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Node and cluster id.
    pub identity: Metadata,
    /// The last one written.
    pub hard_state: HardState,
    /// Contiguous, from the snapshot's index + 1 on.
    pub entries: Vec<Entry>,
    /// Whether the record of the wanted snapshot was there. etcd's server does not ask, its tools do.
    pub snapshot_found: bool,
    /// Names in the folder that mean nothing to a log; worth a warning.
    pub ignored_names: Vec<String>,
    /// Where a half-written record begins, if reading ended there (never after opening for appending).
    pub torn_at: Option<(PathBuf, u64)>,
}

/// An opened log.
pub struct Opened {
    pub wal: Wal,
    pub contents: Contents,
    /// A torn tail that was cut off on the way.
    pub repaired: Option<Repaired>,
}

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    pub file: PathBuf,
    /// The new end of the file.
    pub offset: u64,
    /// The copy of what was there before.
    pub broken: PathBuf,
}

/// Reads what follows the snapshot record `at`, without locks and changing nothing. A torn tail ends it.
pub fn read_all(disk: &dyn Disk, dir: &Path, at: &walpb::Snapshot) -> Result<Contents, WalError> {
    let (all, ignored_names) = names::list(disk, dir)?;
    let segments = open_for_reading(disk, dir, needed(&all, dir, at.index)?)?;
    let mut reader = Reader::new(&segments)?;
    let mut collector = Collector::new(at);
    let torn_at = torn_end(collector.run(&mut reader))?;
    Ok(Contents { ignored_names, torn_at, ..collector.contents })
}

/// The segments that a read from a snapshot at `index` needs.
pub(crate) fn needed<'a>(all: &'a [SegmentName], dir: &Path, index: u64) -> Result<&'a [SegmentName], WalError> {
    names::from_index(all, index).ok_or_else(|| WalError::FileNotFound { dir: dir.to_path_buf(), index })
}

fn open_for_reading(disk: &dyn Disk, dir: &Path, names: &[SegmentName]) -> Result<Vec<Segment>, WalError> {
    let open = |name: &SegmentName| {
        let path = dir.join(name.file_name());
        let file = disk.open(&path, Open::Read).context("open", &path)?;
        Ok(Segment { path, file })
    };
    names.iter().map(open).collect()
}

/// Where reading came to a half-written record, if it did.
fn torn_end(outcome: Result<(), WalError>) -> Result<Option<(PathBuf, u64)>, WalError> {
    match outcome {
        Ok(()) => Ok(None),
        Err(WalError::UnexpectedEof { file, offset }) => Ok(Some((file, offset))),
        Err(error) => Err(error),
    }
}

/// Puts records together by the rules of reading.
pub(crate) struct Collector<'a> {
    at: &'a walpb::Snapshot,
    metadata: Option<Bytes>,
    pub(crate) contents: Contents,
    /// The index of the entry read last.
    pub(crate) last_entry: u64,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(at: &'a walpb::Snapshot) -> Collector<'a> {
        Collector { at, metadata: None, contents: Contents::default(), last_entry: 0 }
    }

    /// Reads to the end of the log. After an error `contents` holds what came before it.
    pub(crate) fn run(&mut self, reader: &mut Reader<'_>) -> Result<(), WalError> {
        while let Some(item) = reader.next()? {
            let offset = item.offset;
            self.take(item, &reader.path()).map_err(|problem| problem.at(reader.path(), offset))?;
        }
        if self.metadata.is_none() {
            let what = "the log ends before its metadata".into();
            return Err(WalError::Corrupt { file: reader.path(), offset: reader.offset(), what });
        }
        Ok(())
    }

    fn take(&mut self, item: Item, path: &Path) -> Result<(), Problem> {
        match item.kind {
            Kind::Metadata => self.metadata(item.data),
            Kind::Entry => self.entry(item.data, item.offset, path),
            Kind::State => self.state(item.data),
            Kind::Snapshot => self.snapshot(item.data),
            Kind::Crc => Ok(()),
        }
    }

    fn metadata(&mut self, data: Bytes) -> Result<(), Problem> {
        match &self.metadata {
            None => {
                self.contents.identity = Metadata::decode(data.clone())?;
                // A copy, so as not to hold a whole window.
                self.metadata = Some(Bytes::copy_from_slice(&data));
                Ok(())
            }
            Some(known) if *known == data => Ok(()),
            Some(_) => Err(Problem::Metadata),
        }
    }

    fn entry(&mut self, data: Bytes, offset: u64, path: &Path) -> Result<(), Problem> {
        let entry = Entry::decode(data)?;
        if EntryType::try_from(entry.entry_type).is_err() {
            return Err(Problem::Invalid(format!("entry {} has the unknown type {}", entry.index, entry.entry_type)));
        }
        self.last_entry = entry.index;
        if entry.index <= self.at.index {
            return Ok(());
        }
        let entries = &mut self.contents.entries;
        let slot = entry.index - self.at.index - 1;
        if slot > entries.len() as u64 {
            let last = self.at.index + entries.len() as u64;
            let file = path.to_path_buf();
            return Err(Problem::Final(WalError::SliceOutOfRange { file, offset, entry: entry.index, last }));
        }
        entries.truncate(slot as usize);
        if let Some(before) = entries.last()
            && before.term > entry.term
        {
            let what = format!("entry {} has term {}, the one before it {}", entry.index, entry.term, before.term);
            return Err(Problem::Invalid(what));
        }
        entries.push(entry);
        Ok(())
    }

    fn state(&mut self, data: Bytes) -> Result<(), Problem> {
        let state = HardState::decode(data)?;
        let known = self.contents.hard_state.term;
        if state.term < known {
            return Err(Problem::Invalid(format!("the term goes back from {known} to {}", state.term)));
        }
        self.contents.hard_state = state;
        Ok(())
    }

    fn snapshot(&mut self, data: Bytes) -> Result<(), Problem> {
        let found = walpb::Snapshot::decode(data)?;
        if found.index != self.at.index {
            return Ok(());
        }
        if found.term != self.at.term {
            let (index, wanted, found) = (found.index, self.at.term, found.term);
            return Err(Problem::Final(WalError::SnapshotMismatch { index, wanted, found }));
        }
        self.contents.snapshot_found = true;
        Ok(())
    }

    /// The metadata as it stands in the log.
    pub(crate) fn into_metadata(self) -> (Bytes, Contents) {
        (self.metadata.unwrap_or_default(), self.contents)
    }
}

/// What is wrong with a record that its checksum finds right.
enum Problem {
    Unreadable(prost::DecodeError),
    Invalid(String),
    Metadata,
    Final(WalError),
}

impl From<prost::DecodeError> for Problem {
    fn from(error: prost::DecodeError) -> Problem {
        Problem::Unreadable(error)
    }
}

impl Problem {
    fn at(self, file: PathBuf, offset: u64) -> WalError {
        match self {
            Problem::Unreadable(error) => WalError::Corrupt { file, offset, what: format!("unreadable data: {error}") },
            Problem::Invalid(what) => WalError::Corrupt { file, offset, what },
            Problem::Metadata => WalError::MetadataConflict { file, offset },
            Problem::Final(error) => error,
        }
    }
}

/// Cuts a half-written record off the last segment, keeping a copy as `<name>.broken`. `None` where there is none.
/// Any other damage is an error and left alone.
pub fn repair(disk: &dyn Disk, dir: &Path) -> Result<Option<Repaired>, WalError> {
    let (all, _) = names::list(disk, dir)?;
    let Some(last) = all.last() else {
        return Err(WalError::FileNotFound { dir: dir.to_path_buf(), index: 0 });
    };
    let path = dir.join(last.file_name());
    let file = disk.open(&path, Open::Write).context("open", &path)?;
    lock(&*file, &path)?;
    let segments = [Segment { path, file }];
    let mut reader = Reader::new(&segments)?;
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(WalError::UnexpectedEof { file, offset }) => {
                let broken = with_suffix(&file, ".broken");
                copy(disk, &*segments[0].file, &broken)?;
                segments[0].file.set_len(offset).context("truncate", &file)?;
                segments[0].file.sync_all().context("sync", &file)?;
                return Ok(Some(Repaired { file, offset, broken }));
            }
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn lock(file: &dyn File, path: &Path) -> Result<(), WalError> {
    if file.try_lock(Lock::OpenFileDescription).context("lock", path)? {
        Ok(())
    } else {
        Err(WalError::Locked { file: path.to_path_buf() })
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies a file durably. Stretches of zeros become holes.
fn copy(disk: &dyn Disk, from: &dyn File, to: &Path) -> Result<(), WalError> {
    const BLOCK: usize = 64 << 10;
    let target = disk.open(to, Open::Create { mode: 0o600 }).context("create", to)?;
    let len = from.len().context("stat", to)?;
    target.set_len(0).context("truncate", to)?;
    target.set_len(len).context("extend", to)?;
    let mut block = vec![0; BLOCK];
    let mut offset = 0;
    while offset < len {
        let got = from.read_at(offset, &mut block).context("read for a copy", to)?;
        if got == 0 {
            break;
        }
        if block[..got].iter().any(|byte| *byte != 0) {
            target.write_all_at(offset, &block[..got]).context("write", to)?;
        }
        offset += got as u64;
    }
    target.sync_all().context("sync", to)
}

/// The snapshot records that a start may use: those not beyond the commit index of the last hard state, in file order.
/// Reads every segment back to the first gap in their sequence.
pub fn valid_snapshot_records(disk: &dyn Disk, dir: &Path) -> Result<Vec<walpb::Snapshot>, WalError> {
    let (all, _) = names::list(disk, dir)?;
    let segments = open_for_reading(disk, dir, names::newest_run(&all))?;
    let mut reader = Reader::new(&segments)?;
    let mut snapshots = Vec::new();
    let mut commit = 0;
    torn_end(each(&mut reader, |item| {
        match item.kind {
            Kind::Snapshot => snapshots.push(walpb::Snapshot::decode(item.data)?),
            Kind::State => commit = HardState::decode(item.data)?.commit,
            Kind::Metadata | Kind::Entry | Kind::Crc => {}
        }
        Ok(())
    }))?;
    snapshots.retain(|snapshot| snapshot.index <= commit);
    Ok(snapshots)
}

fn each(reader: &mut Reader<'_>, mut f: impl FnMut(Item) -> Result<(), Problem>) -> Result<(), WalError> {
    while let Some(item) = reader.next()? {
        let offset = item.offset;
        f(item).map_err(|problem| problem.at(reader.path(), offset))?;
    }
    Ok(())
}

/// Reads the log from the snapshot record `at` to its end and checks all that reading checks, the presence of that record
/// included. Answers the last hard state.
pub fn verify(disk: &dyn Disk, dir: &Path, at: &walpb::Snapshot) -> Result<HardState, WalError> {
    let contents = read_all(disk, dir, at)?;
    if !contents.snapshot_found {
        return Err(WalError::SnapshotNotFound { index: at.index, term: at.term });
    }
    Ok(contents.hard_state)
}
