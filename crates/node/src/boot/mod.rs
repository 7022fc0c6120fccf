//! Opening a data directory: bootstrap of a new member, restart from what etcd left, force-new-cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use disk::Disk;
use state::StateReader;

use crate::applier::Applier;
use crate::config::Config;
use crate::event::Now;
use crate::ids::RequestIds;
use crate::log_writer::LogWriter;
use crate::node::Node;

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
    pub force_new_cluster: bool,
    /// `--quota-backend-bytes`: 0 is the default, negative is off.
    pub quota_backend_bytes: i64,
    pub backend_batch_interval: Duration,
    pub backend_batch_limit: usize,
    pub backend_cache_bytes: usize,
    /// Revisions per slice of a compaction sweep, and the pause between slices.
    pub compaction_batch_limit: usize,
    pub compaction_sleep: Duration,
    pub wals_max: u64,
    pub snapshots_max: u64,
    /// `--unsafe-no-fsync`.
    pub unsafe_no_fsync: bool,
    /// Seed of everything random in the member (election times).
    pub seed: u64,
}

/// Removes old log segments and snapshot files, on any thread; blocks on the disk.
pub struct Purger {}

impl Purger {
    /// One round; gives the paths removed.
    pub fn purge(&self) -> std::io::Result<Vec<PathBuf>> {
        todo!()
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
}

/// Why a member can't start. The texts are what an operator reads; etcd's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    /// Another process holds the database; etcd waits for ever, the caller tries again.
    #[error("another process holds {path}")]
    Locked { path: PathBuf },
    #[error("couldn't find local name {name:?} in the initial cluster configuration")]
    NameNotInCluster { name: String },
    #[error("--initial-cluster has {name}={cluster} but missing from --initial-advertise-peer-urls={advertised}")]
    AdvertisedUrlsDiffer { name: String, cluster: String, advertised: String },
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Log(String),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("{0}")]
    Directory(String),
}

/// Opens or creates the data directory and makes the member. Blocks on the disk.
pub fn boot(_options: BootOptions, _now: Now) -> Result<Booted, BootError> {
    todo!()
}
