//! Reading a log: on opening it, for checks, and to repair a torn tail.

use std::path::{Path, PathBuf};

use disk::Disk;
use proto::etcdserverpb::Metadata;
use proto::raftpb::{Entry, HardState};
use proto::walpb;

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
    let _ = (disk, dir, at);
    todo!()
}

/// Cuts a half-written record off the last segment, keeping a copy as `<name>.broken`. `None` where there is none.
/// Any other damage is an error and left alone.
pub fn repair(disk: &dyn Disk, dir: &Path) -> Result<Option<Repaired>, WalError> {
    let _ = (disk, dir);
    todo!()
}

/// The snapshot records that a start may use: those not beyond the commit index of the last hard state, in file order.
pub fn valid_snapshot_records(disk: &dyn Disk, dir: &Path) -> Result<Vec<walpb::Snapshot>, WalError> {
    let _ = (disk, dir);
    todo!()
}

/// Reads the log from the snapshot record `at` to its end and checks all that reading checks, the presence of that record
/// included. Answers the last hard state.
pub fn verify(disk: &dyn Disk, dir: &Path, at: &walpb::Snapshot) -> Result<HardState, WalError> {
    let _ = (disk, dir, at);
    todo!()
}
