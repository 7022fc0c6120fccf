//! What the server is told from outside: command line, `ETCD_*` variables, configuration file.
//!
//! [`table`] is the one home of every flag: its name, type, default, YAML key, help and whether this build obeys it.
//! Parser, variables, file keys and `--help` are all read from there. [`load`] is pure: words, variables and a way to
//! read a file in, a [`Loaded`] out; `main` prints and exits.
//!
//! Sources don't mix: either a configuration file, or flags and variables without overlap. What is parsed is obeyed or
//! refused, never ignored.

mod bootstrap;
mod build;
#[cfg(test)]
mod docs;
mod env;
mod file;
mod former;
mod gates;
mod goflag;
#[cfg(test)]
mod golden;
mod help;
mod host;
mod load;
mod number;
mod settings;
pub mod table;
mod validate;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use bootstrap::{StartError, check_start};
pub use gates::{Gate, Gates, Stage};
#[cfg(test)]
pub(crate) use golden::golden;
use gotext as urls;
pub use gotext::{Url, format_duration, parse_duration};
pub use help::{flags_text, go_arch, usage_text, version_text};
pub use load::{Failure, Loaded, Notice, Severity, Source, go_io_text, load};
pub use number::quote;

/// Everything the server is told. Every field is obeyed by the server; what it cannot obey was refused before.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    // Member and storage.
    /// `--name`; may be empty, which no initial cluster contains.
    pub name: String,
    /// `--data-dir`; never empty (`<name>.etcd` by default).
    pub data_dir: PathBuf,
    /// `--wal-dir`; `None` means `<data-dir>/member/wal`.
    pub wal_dir: Option<PathBuf>,
    /// Applied entries between raft snapshots; never 0.
    pub snapshot_count: u64,
    /// Log entries kept behind a snapshot for slow followers.
    pub snapshot_catchup_entries: u64,
    /// Snapshot files kept, 0 = all.
    pub max_snapshots: u64,
    /// Log segments kept, 0 = all.
    pub max_wals: u64,
    /// As given: 0 = the default of 2 GiB, negative = no quota.
    pub quota_backend_bytes: i64,
    /// Longest time until changes reach the backend file.
    pub backend_batch_interval: Duration,
    /// Most changes until they reach the backend file.
    pub backend_batch_limit: u64,
    /// Operations allowed per transaction branch.
    pub max_txn_ops: u64,
    /// Largest client request. The gRPC receive limit is [`Config::grpc_receive_bytes_max`].
    pub max_request_bytes: u64,
    /// HTTP/2 streams per client connection.
    pub max_concurrent_streams: u32,
    /// No fsync at all.
    pub unsafe_no_fsync: bool,
    /// Start the existing data as a cluster of one member.
    pub force_new_cluster: bool,

    // Listening, advertising, connections.
    pub listen_peer_urls: Vec<Url>,
    pub listen_client_urls: Vec<Url>,
    /// Listeners with `/metrics` and the health endpoints only.
    pub listen_metrics_urls: Vec<Url>,
    pub initial_advertise_peer_urls: Vec<Url>,
    pub advertise_client_urls: Vec<Url>,
    /// Shortest client ping interval tolerated.
    pub grpc_keepalive_min_time: Duration,
    /// Server ping interval; `None` = off.
    pub grpc_keepalive_interval: Option<Duration>,
    /// Wait for the ping's answer; `None` = off.
    pub grpc_keepalive_timeout: Option<Duration>,
    /// `SO_REUSEPORT` on listeners.
    pub socket_reuse_port: bool,
    /// `SO_REUSEADDR` on listeners.
    pub socket_reuse_address: bool,
    /// Allowed origins; `["*"]` by default.
    pub cors: Vec<String>,
    /// Acceptable `Host` headers on plain HTTP; `["*"]` by default.
    pub host_whitelist: Vec<String>,

    // Clustering.
    /// `name=url,...`, not yet looked into: it counts only where there is no log yet. Empty with [`Config::discovery`].
    pub initial_cluster: String,
    /// Where the members of a first start are found instead.
    pub discovery: Discovery,
    /// `--initial-cluster-state existing`.
    pub join_existing: bool,
    pub initial_cluster_token: String,
    pub strict_reconfig_check: bool,
    pub pre_vote: bool,
    /// Tick length.
    pub heartbeat_interval: Duration,
    pub election_timeout: Duration,
    pub initial_election_tick_advance: bool,
    /// Learners that the cluster may have at a time.
    pub max_learners: u64,
    /// Timeouts of peer connections; at least [`PEER_TIMEOUT_MIN`].
    pub raft_read_timeout: Duration,
    pub raft_write_timeout: Duration,
    /// Interval of checks whether a downgrade is complete; `None` = never.
    pub downgrade_check_time: Option<Duration>,
    /// Interval of comparing hashes between members; `None` = never. The check before serving is [`Gate::InitialCorruptCheck`].
    pub corrupt_check_time: Option<Duration>,
    /// Interval of comparing hashes of compactions, with [`Gate::CompactHashCheck`].
    pub compact_hash_check_time: Duration,

    // Compaction, watch, limits.
    /// `--auto-compaction-mode` as given.
    pub auto_compaction_mode: String,
    /// `--auto-compaction-retention` as given.
    pub auto_compaction_retention: String,
    /// Revisions removed per compaction step.
    pub compaction_batch_limit: u64,
    /// Pause between compaction steps.
    pub compaction_sleep_interval: Duration,
    /// Interval of progress notifications.
    pub watch_progress_notify_interval: Duration,
    pub warning_apply_duration: Duration,
    pub warning_unary_request_duration: Duration,
    pub gates: Gates,

    // Logging and metrics.
    pub log: LogConfig,
    /// `--metrics=extensive`.
    pub metrics_extensive: bool,

    /// `--auth-token` as given.
    pub auth_token: String,
    /// `--cipher-suites` as given.
    pub cipher_suites: Vec<String>,
    /// `--listen-client-http-urls` as given.
    pub listen_client_http_urls: Vec<Url>,

    /// Our own `--compat-version`: the release that this member reports.
    pub compat_version: Compat,
}

/// Where log lines go and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `default`, `stderr`, `stdout`, `systemd/journal` or paths.
    pub outputs: Vec<String>,
    pub level: LogLevel,
    pub format: LogFormat,
}

/// The least severe lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    DPanic,
    Panic,
    Fatal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Console,
}

/// Where the members of a first start are found, if not in `--initial-cluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    Static,
    /// In the SRV records of a domain.
    Srv(SrvDiscovery),
    /// In a v3 discovery service.
    Registry(V3Discovery),
}

/// `--discovery-srv` and `--discovery-srv-name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvDiscovery {
    pub domain: String,
    /// Suffix of the service's name; may be empty.
    pub service: String,
}

/// `--discovery-token`, `--discovery-endpoints` and what goes with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V3Discovery {
    pub token: String,
    pub endpoints: Vec<String>,
    pub dial_timeout: Duration,
    pub request_timeout: Duration,
    pub keepalive_time: Duration,
    pub keepalive_timeout: Duration,
}

/// When history is compacted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    Off,
    /// Keep this much time.
    Periodic(Duration),
    /// Keep this many revisions.
    Revision(i64),
}

/// The etcd release that a member reports, and with it the cluster version it can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compat {
    V3_4,
    V3_5,
    V3_6,
    V3_7,
}

/// The members of a first start: per name its peer URLs, sorted.
pub type InitialCluster = BTreeMap<String, Vec<Url>>;

/// The shortest timeout of peer connections; a shorter one is raised to it.
pub const PEER_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// Added to the largest client request for everything around it.
const GRPC_OVERHEAD_BYTES: u64 = 512 * 1024;

impl Config {
    /// The largest gRPC message that is received.
    pub fn grpc_receive_bytes_max(&self) -> u64 {
        self.max_request_bytes.saturating_add(GRPC_OVERHEAD_BYTES)
    }

    /// How long a request may wait for the cluster: 5 s and two election timeouts.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + self.election_timeout * 2
    }

    /// The directory of the log.
    pub fn wal_path(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.data_dir.join("member").join("wal"))
    }

    /// What the two flags of automatic compaction mean together; [`check_start`] has seen to it that this does not err.
    pub fn auto_compaction(&self) -> Result<AutoCompaction, String> {
        bootstrap::auto_compaction(&self.auto_compaction_mode, &self.auto_compaction_retention)
    }
}
