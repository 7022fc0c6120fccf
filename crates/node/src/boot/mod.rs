//! Opening a data directory: bootstrap of a new member, restart from what etcd left, force-new-cluster.
//!
//! A log decides: where there is one, the member restarts and the initial cluster is not looked at; where there is none,
//! it is new (facts: disk-formats, 1 and 9; peer-protocol, 6).

mod bootstrap;
mod error;
mod force_new;
mod join;
mod restart;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use disk::Disk;
use proto::raftpb::HardState;
use state::quota::Quota;
use state::{State, StateOptions, StateReader};
use wal::{FileKind, MemberDir, SnapFiles, Wal};

pub use self::bootstrap::Founding;
pub(crate) use self::bootstrap::{founders, founding_entries, own_founder};
pub use self::error::BootError;
pub use self::join::{ExistingCluster, Joined};
use crate::applier::{Applier, ApplierOptions, fill_applied, lease_changes};
use crate::config::Config;
use crate::event::{Applied, Now};
use crate::ids::RequestIds;
use crate::log_writer::LogWriter;
use crate::node::{Log, Node, Start};

/// One member of the initial cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMember {
    pub name: String,
    pub peer_urls: Vec<String>,
}

/// Where and how a member starts.
#[derive(Clone)]
pub struct BootOptions {
    pub disk: Arc<dyn Disk>,
    pub data_dir: PathBuf,
    /// `--wal-dir`; else `member/wal` in the data directory.
    pub wal_dir: Option<PathBuf>,
    pub node: Config,
    /// `--initial-cluster`; only looked at where there is no log yet. Names may repeat.
    pub initial_cluster: Vec<InitialMember>,
    pub initial_cluster_token: String,
    /// `--initial-advertise-peer-urls`.
    pub peer_urls: Vec<String>,
    /// Where the member joins a running cluster (`--initial-cluster-state existing`): what that says of itself. Only
    /// looked at where there is no log yet.
    pub join: Option<ExistingCluster>,
    pub force_new_cluster: bool,
    /// `--quota-backend-bytes`: 0 is the default, negative is off.
    pub quota_backend_bytes: i64,
    pub backend_batch_interval: Duration,
    pub backend_batch_limit: usize,
    pub backend_cache_bytes: usize,
    /// Records per slice of a compaction sweep, and the pause between slices.
    pub compaction_batch_limit: usize,
    pub compaction_sleep: Duration,
    /// Log segments and snapshot files kept; 0 keeps all.
    pub wals_max: usize,
    pub snapshots_max: usize,
    /// Bytes after which the log begins a new segment; only tests have a reason to change it.
    pub wal_segment_bytes: u64,
    /// `--unsafe-no-fsync`.
    pub unsafe_no_fsync: bool,
    /// Seed of everything random in the member (election times).
    pub seed: u64,
}

impl BootOptions {
    /// etcd's defaults: a single member called as in `node`, at these peer URLs.
    pub fn new(disk: Arc<dyn Disk>, data_dir: impl Into<PathBuf>, node: Config, peer_urls: Vec<String>) -> Self {
        Self {
            disk,
            data_dir: data_dir.into(),
            wal_dir: None,
            initial_cluster: vec![InitialMember { name: node.name.clone(), peer_urls: peer_urls.clone() }],
            node,
            initial_cluster_token: "etcd-cluster".into(),
            peer_urls,
            join: None,
            force_new_cluster: false,
            quota_backend_bytes: 0,
            backend_batch_interval: Duration::from_millis(100),
            backend_batch_limit: 10_000,
            backend_cache_bytes: 64 << 20,
            compaction_batch_limit: 1000,
            compaction_sleep: Duration::from_millis(10),
            wals_max: 5,
            snapshots_max: 5,
            wal_segment_bytes: wal::SEGMENT_BYTES,
            unsafe_no_fsync: false,
            seed: 0,
        }
    }

    fn state_options(&self, dir: &MemberDir, member_id: u64) -> StateOptions {
        StateOptions {
            compat_version: self.node.compat.minor_line(),
            quota: Quota::from_flag(self.quota_backend_bytes),
            lease_ttl_secs_min: self.node.lease_ttl_min_secs(),
            lease_checkpoint_persist: self.node.lease_checkpoint_persist,
            learners_max: self.node.learners_max,
            cache_bytes: self.backend_cache_bytes,
            ..StateOptions::new(self.disk.clone(), dir.db(), member_id)
        }
    }
}

/// Removes old log segments and snapshot files, on any thread; blocks on the disk. Databases received with snapshots are
/// not counted, unlike in etcd: one that waits to be installed may be the only one that fits the log. They go when they
/// are installed or passed, and there are few of them ([`crate::ReceivingDb`]).
#[derive(Clone)]
pub struct Purger {
    disk: Arc<dyn Disk>,
    dir: MemberDir,
    wals_max: usize,
    snapshots_max: usize,
}

impl Purger {
    /// One round; gives the paths removed. Each kind of file is counted by itself.
    pub fn purge(&self) -> Result<Vec<PathBuf>, wal::WalError> {
        let mut removed = Vec::new();
        for (kind, keep) in [(FileKind::Snap, self.snapshots_max), (FileKind::Wal, self.wals_max)] {
            removed.extend(self.dir.purge(self.disk.as_ref(), kind, keep)?);
        }
        Ok(removed)
    }
}

/// A member ready to run.
pub struct Booted {
    pub node: Node,
    pub log_writer: LogWriter,
    pub applier: Applier,
    pub purger: Purger,
    pub reader: StateReader,
    pub ids: Arc<RequestIds>,
    pub member_id: u64,
    pub cluster_id: u64,
    /// There was no log: the member is new.
    pub fresh: bool,
    /// The members of the cluster that was joined, this one among them: they can be sent to before the log says that
    /// they are members.
    pub remotes: Vec<state::members::Member>,
    /// Where things lie.
    pub dir: MemberDir,
    /// What an operator should hear about, in the order in which it was found.
    pub notes: Vec<Note>,
}

/// Something found on the way that did not keep the member from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A directory that others can look into.
    OpenMode { path: PathBuf, mode: u32 },
    /// A leftover of an earlier process was removed.
    Removed { path: PathBuf },
    /// A snapshot file that could not be read was set aside.
    BrokenSnapshot { path: PathBuf, reason: String },
    /// A name in the log or snapshot folder that means nothing.
    Ignored { name: String },
    /// A half-written record was cut off the log; a copy was kept.
    Repaired { file: PathBuf, offset: u64, broken: PathBuf },
    /// The database received with a snapshot was put in place.
    InstalledDb { index: u64 },
    /// The snapshot is at this index, but the database knows of no entry.
    DbWithoutEntries { snapshot_index: u64 },
    /// Uncommitted entries were dropped to found a new cluster.
    Discarded { entries: u64 },
}

/// What was found or made on disk.
struct Found {
    member_id: u64,
    cluster_id: u64,
    wal: Wal,
    hard_state: HardState,
    log: Log,
    state: State,
    state_options: StateOptions,
    fresh: bool,
}

/// Opens or creates the data directory and makes the member. Blocks on the disk.
pub fn boot(options: BootOptions, now: Now) -> Result<Booted, BootError> {
    let dir = MemberDir::new(&options.data_dir, options.wal_dir.as_deref());
    let prepared = dir.prepare(options.disk.as_ref())?;
    let modes = prepared.open_modes.into_iter().map(|(path, mode)| Note::OpenMode { path, mode });
    let mut notes: Vec<Note> = modes.chain(prepared.removed.into_iter().map(|path| Note::Removed { path })).collect();
    let has_log = wal::exists(options.disk.as_ref(), dir.wal()).map_err(|source| BootError::Io {
        what: "cannot list",
        path: dir.wal().to_owned(),
        source,
    })?;
    let found = match &options.join {
        _ if has_log => restart::restart(&options, &dir, &mut notes)?,
        Some(existing) => join::join(&options, &dir, existing)?,
        None => bootstrap::bootstrap(&options, &dir)?,
    };
    assemble(options, dir, found, notes, now)
}

fn assemble(
    options: BootOptions,
    dir: MemberDir,
    found: Found,
    notes: Vec<Note>,
    now: Now,
) -> Result<Booted, BootError> {
    let Found { member_id, cluster_id, wal, hard_state, log, state, state_options, fresh } = found;
    let ids = Arc::new(RequestIds::new(member_id, now.unix_millis));
    let reader = state.reader();
    let snapshot_index = log.index;
    let mut applied = Applied { index: log.index, term: log.term, ..Applied::default() };
    let view = reader.view();
    fill_applied(&mut applied, &state, &view, true);
    applied.leases = lease_changes(&view);
    drop(view);
    let joined = options.join.filter(|_| fresh);
    let snap_files = SnapFiles::new(options.disk.clone(), &dir.snap());
    let durable_commit = hard_state.commit;
    let request_timeout = options.node.request_timeout();
    let snapshot_count = options.node.snapshot_count;
    let start =
        Start { id: member_id, config: options.node, ids: ids.clone(), log, hard_state, applied, seed: options.seed };
    tracing::info!(index = state.consistent().index, "restore consistentIndex");
    tracing::info!("bootstrapping raft");
    let node = Node::new(start, now).map_err(BootError::Log)?;
    let applier_options = ApplierOptions {
        ids: ids.clone(),
        state: state_options,
        snap_files: Arc::new(SnapFiles::new(options.disk.clone(), &dir.snap())),
        batch_interval: options.backend_batch_interval,
        batch_limit: options.backend_batch_limit,
        compaction_batch_limit: options.compaction_batch_limit,
        compaction_sleep: options.compaction_sleep,
        snapshot_count,
        request_timeout,
    };
    Ok(Booted {
        node,
        log_writer: LogWriter::new(wal, snap_files, durable_commit, options.wal_segment_bytes, options.unsafe_no_fsync),
        applier: Applier::new(state, applier_options, snapshot_index, durable_commit, now),
        purger: Purger {
            disk: options.disk,
            dir: dir.clone(),
            wals_max: options.wals_max,
            snapshots_max: options.snapshots_max,
        },
        reader,
        ids,
        member_id,
        cluster_id,
        fresh,
        remotes: joined.map(|existing| existing.members).unwrap_or_default(),
        dir,
        notes,
    })
}

/// Puts a database received with a snapshot in the place of the present one, durably.
pub(crate) fn install_received_db(disk: &dyn Disk, received: &Path, db: &Path) -> io::Result<()> {
    disk.rename(received, db)?;
    match db.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}
