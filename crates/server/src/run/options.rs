//! What the configuration means to the rooms below.

use super::peers;
use super::serve::ServeError;
use crate::config::{self, Compat, Config, InitialCluster};
use crate::discovery::{self, Bootstrap, Names};
use disk::Disk;
use node::boot::{BootOptions, InitialMember};
use state::Version;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of backend pages kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// What stands for never.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The options of `node::boot`. Before a first start the other members are asked who they are.
pub fn boot_options(config: &Config, disk: Arc<dyn Disk>) -> Result<BootOptions, ServeError> {
    let names = Names::system().map_err(|why| ServeError::Config(why.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let first_start = !has_log(config);
    let found = match first_start {
        true => runtime.block_on(discovery::initial_cluster(config, &names))?,
        // The log knows.
        false => Bootstrap { cluster: InitialCluster::new(), token: config.initial_cluster_token.clone() },
    };
    let own_urls = found.own_urls(config);
    let options = BootOptions {
        disk,
        data_dir: config.data_dir.clone(),
        wal_dir: config.wal_dir.clone(),
        node: node_config(config)?,
        initial_cluster: initial_members(found.cluster),
        initial_cluster_token: found.token,
        peer_urls: own_urls,
        join: None,
        force_new_cluster: config.force_new_cluster,
        quota_backend_bytes: config.quota_backend_bytes,
        backend_batch_interval: config.backend_batch_interval,
        backend_batch_limit: to_usize(config.backend_batch_limit),
        backend_cache_bytes: CACHE_BYTES,
        compaction_batch_limit: to_usize(config.compaction_batch_limit),
        compaction_sleep: config.compaction_sleep_interval,
        wals_max: to_usize(config.max_wals),
        snapshots_max: to_usize(config.max_snapshots),
        unsafe_no_fsync: config.unsafe_no_fsync,
        wal_segment_bytes: wal::SEGMENT_BYTES,
        seed: std::hash::RandomState::new().build_hasher().finish(),
    };
    if !first_start {
        return Ok(options);
    }
    runtime.block_on(peers::meet(options, config.join_existing, config.election_timeout, &names))
}

fn node_config(config: &Config) -> Result<node::Config, ServeError> {
    Ok(node::Config {
        name: config.name.clone(),
        client_urls: config.advertise_client_urls.iter().map(ToString::to_string).collect(),
        heartbeat: config.heartbeat_interval,
        election: config.election_timeout,
        pre_vote: config.pre_vote,
        strict_reconfig: config.strict_reconfig_check,
        snapshot_count: config.snapshot_count,
        catch_up_entries: config.snapshot_catchup_entries,
        auto_compaction: match config.auto_compaction().map_err(ServeError::Config)? {
            config::AutoCompaction::Off => node::AutoCompaction::Off,
            config::AutoCompaction::Periodic(period) => node::AutoCompaction::Periodic(period),
            config::AutoCompaction::Revision(count) => node::AutoCompaction::Revision(count),
        },
        lease_checkpoint: config.gates.enabled(config::Gate::LeaseCheckpoint),
        lease_checkpoint_persist: config.gates.enabled(config::Gate::LeaseCheckpointPersist),
        compat: version(config.compat_version),
        initial_election_tick_advance: config.initial_election_tick_advance,
        learners_max: to_usize(config.max_learners),
        // Off means never; a year is as good.
        downgrade_check_interval: config.downgrade_check_time.unwrap_or(YEAR),
        ..node::Config::default()
    })
}

fn initial_members(cluster: InitialCluster) -> Vec<InitialMember> {
    let member = |(name, urls): (String, Vec<config::Url>)| InitialMember {
        name,
        peer_urls: urls.iter().map(ToString::to_string).collect(),
    };
    cluster.into_iter().map(member).collect()
}

/// Whether the member has started before.
pub fn has_log(config: &Config) -> bool {
    let names = std::fs::read_dir(config.wal_path()).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().ends_with(".wal"))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The release of `--compat-version`.
pub fn version(compat: Compat) -> Version {
    match compat {
        Compat::V3_4 => Version::V3_4,
        Compat::V3_5 => Version::V3_5,
        Compat::V3_6 => Version::V3_6,
        Compat::V3_7 => Version { patch: 1, ..Version::V3_7 },
    }
}
