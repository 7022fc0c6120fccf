//! From the command line to serving, and the way back.

use std::path::Path;
use std::time::Duration;

use super::{human_bytes, path};
use crate::config::{AutoCompaction, Config, Discovery, Gate, LogLevel, Url, go_arch};
use crate::logging::{Field, Value, enabled, error, info};

/// The command line.
#[track_caller]
pub fn running(args: &[String]) {
    info("Running: ", &[("args", args.into())]);
}

/// A data directory was found, or none: `member` or `empty`.
#[track_caller]
pub fn data_dir(dir: &Path, kind: &str) {
    let message = match kind {
        "empty" => "Initialize and start etcd server",
        _ => "server has already been initialized",
    };
    info(message, &[("data-dir", path(dir)), ("dir-type", kind.into())]);
}

/// About to bind the peer URLs.
#[track_caller]
pub fn configuring_peer_listeners(urls: &[Url]) {
    info("configuring peer listeners", &[("listen-peer-urls", Value::urls(urls))]);
}

/// About to bind the client URLs.
#[track_caller]
pub fn configuring_client_listeners(urls: &[Url]) {
    info("configuring client listeners", &[("listen-client-urls", Value::urls(urls))]);
}

/// The configuration, before anything is opened. `version` is the reported release, `commit` this build's.
#[track_caller]
pub fn starting(config: &Config, version: &str, commit: &str, initialized: bool) {
    if !enabled(LogLevel::Info) {
        return;
    }
    let wal = config.wal_dir.as_deref().map_or_else(|| "".into(), path);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut fields: Vec<Field<'_>> = vec![
        ("etcd-version", version.into()),
        ("git-sha", commit.into()),
        ("go-version", "none (Rust)".into()),
        ("go-os", std::env::consts::OS.into()),
        ("go-arch", go_arch().into()),
        ("max-cpu-set", cores.into()),
        ("max-cpu-available", cores.into()),
        ("member-initialized", initialized.into()),
        ("name", (&config.name).into()),
        ("data-dir", path(&config.data_dir)),
        ("wal-dir", wal),
        ("wal-dir-dedicated", config.wal_dir.is_some().into()),
        ("member-dir", path(&config.data_dir.join("member"))),
    ];
    fields.extend(timing_fields(config));
    fields.extend(address_fields(config));
    fields.extend(limit_fields(config));
    fields.extend(discovery_fields(config));
    fields.push(("downgrade-check-interval", config.downgrade_check_time.unwrap_or_default().into()));
    fields.push(("max-learners", config.max_learners.into()));
    info("starting an etcd server", &fields);
}

fn timing_fields(config: &Config) -> Vec<Field<'_>> {
    vec![
        ("force-new-cluster", config.force_new_cluster.into()),
        ("heartbeat-interval", config.heartbeat_interval.into()),
        ("election-timeout", config.election_timeout.into()),
        ("initial-election-tick-advance", config.initial_election_tick_advance.into()),
        ("snapshot-count", config.snapshot_count.into()),
        ("max-wals", config.max_wals.into()),
        ("max-snapshots", config.max_snapshots.into()),
        ("snapshot-catchup-entries", config.snapshot_catchup_entries.into()),
    ]
}

fn address_fields(config: &Config) -> Vec<Field<'_>> {
    let state = if config.join_existing { "existing" } else { "new" };
    vec![
        ("initial-advertise-peer-urls", Value::urls(&config.initial_advertise_peer_urls)),
        ("listen-peer-urls", Value::urls(&config.listen_peer_urls)),
        ("advertise-client-urls", Value::urls(&config.advertise_client_urls)),
        ("listen-client-urls", Value::urls(&config.listen_client_urls)),
        ("listen-metrics-urls", Value::urls(&config.listen_metrics_urls)),
        ("cors", config.cors.clone().into()),
        ("host-whitelist", config.host_whitelist.clone().into()),
        ("initial-cluster", (&config.initial_cluster).into()),
        ("initial-cluster-state", state.into()),
        ("initial-cluster-token", (&config.initial_cluster_token).into()),
    ]
}

fn limit_fields(config: &Config) -> Vec<Field<'_>> {
    let (mode, retention) = match config.auto_compaction() {
        Ok(AutoCompaction::Periodic(keep)) => ("periodic", keep),
        // etcd shows revisions as nanoseconds.
        Ok(AutoCompaction::Revision(keep)) => ("revision", Duration::from_nanos(keep.unsigned_abs())),
        Ok(AutoCompaction::Off) | Err(_) => (config.auto_compaction_mode.as_str(), Duration::ZERO),
    };
    vec![
        ("quota-backend-bytes", config.quota_backend_bytes.into()),
        ("max-request-bytes", config.max_request_bytes.into()),
        ("max-concurrent-streams", config.max_concurrent_streams.into()),
        ("pre-vote", config.pre_vote.into()),
        ("feature-gates", config.gates.to_string().into()),
        ("initial-corrupt-check", config.gates.enabled(Gate::InitialCorruptCheck).into()),
        ("corrupt-check-time-interval", config.corrupt_check_time.unwrap_or_default().into()),
        ("compact-check-time-interval", config.compact_hash_check_time.into()),
        ("auto-compaction-mode", mode.to_owned().into()),
        ("auto-compaction-retention", retention.into()),
        ("auto-compaction-interval", retention.into()),
    ]
}

/// Without a discovery service, what its flags are when nobody sets them.
fn discovery_fields(config: &Config) -> Vec<Field<'_>> {
    let fields = |token, endpoints: &[String], times: [Duration; 4]| {
        let [dial, request, keepalive, keepalive_timeout] = times.map(Value::from);
        vec![
            ("discovery-token", Value::from(token)),
            ("discovery-endpoints", endpoints.join(",").into()),
            ("discovery-dial-timeout", dial),
            ("discovery-request-timeout", request),
            ("discovery-keepalive-time", keepalive),
            ("discovery-keepalive-timeout", keepalive_timeout),
            ("discovery-insecure-transport", true.into()),
        ]
    };
    match &config.discovery {
        Discovery::Registry(v3) => fields(
            v3.token.as_str(),
            &v3.endpoints,
            [v3.dial_timeout, v3.request_timeout, v3.keepalive_time, v3.keepalive_timeout],
        ),
        Discovery::Static | Discovery::Srv(_) => fields("", &[], [2, 5, 2, 6].map(Duration::from_secs)),
    }
}

/// The backend file is open.
#[track_caller]
pub fn opened_backend(db: &Path, took: Duration) {
    info("opened backend db", &[("path", path(db)), ("took", took.into())]);
}

/// Another process holds the file at this path.
#[track_caller]
pub fn waiting_for_lock(file: &Path, waited: Duration) {
    let fields = [("path", path(file)), ("took", waited.into())];
    info("db file is flocked by another process, or taking too long", &fields);
}

/// A first start, with ids made from the initial cluster.
#[track_caller]
pub fn starting_local_member(member: u64, cluster: u64) {
    info("starting local member", &[("local-member-id", Value::id(member)), ("cluster-id", Value::id(cluster))]);
}

/// A start on a log that goes up to a commit index.
#[track_caller]
pub fn restarting_local_member(member: u64, cluster: u64, commit: u64) {
    info(
        "restarting local member",
        &[("cluster-id", Value::id(cluster)), ("local-member-id", Value::id(member)), ("commit-index", commit.into())],
    );
}

/// The key space has been read.
#[track_caller]
pub fn kvstore_restored(revision: i64) {
    info("kvstore restored", &[("current-rev", revision.into())]);
}

/// The quota that holds: the default, the given one, or none.
#[track_caller]
pub fn quota(given: i64, effective_bytes: u64) {
    let size = [("quota-size-bytes", effective_bytes.into()), ("quota-size", human_bytes(effective_bytes).into())];
    match given {
        0 => info("enabled backend quota with default value", &size),
        i64::MIN..0 => info("disabled backend quota", &[("quota-size-bytes", given.into())]),
        _ => info("enabled backend quota", &size),
    }
}

/// The member is about to take part. `cluster_version` is `to_be_decided` on a first start.
#[track_caller]
pub fn starting_etcd_server(member: u64, version: &str, cluster_version: &str) {
    info(
        "starting etcd server",
        &[
            ("local-member-id", Value::id(member)),
            ("local-server-version", version.into()),
            ("cluster-version", cluster_version.into()),
        ],
    );
}

/// The listeners are open.
#[track_caller]
pub fn now_serving(config: &Config, member: u64) {
    info(
        "now serving peer/client/metrics",
        &[
            ("local-member-id", Value::id(member)),
            ("initial-advertise-peer-urls", Value::urls(&config.initial_advertise_peer_urls)),
            ("listen-peer-urls", Value::urls(&config.listen_peer_urls)),
            ("advertise-client-urls", Value::urls(&config.advertise_client_urls)),
            ("listen-client-urls", Value::urls(&config.listen_client_urls)),
            ("listen-metrics-urls", Value::urls(&config.listen_metrics_urls)),
        ],
    );
}

/// A listener for metrics answers.
#[track_caller]
pub fn serving_metrics(address: &str) {
    info("serving metrics", &[("address", address.into())]);
}

/// A listener for peers answers.
#[track_caller]
pub fn serving_peers(address: &str) {
    info("serving peer traffic", &[("address", address.into())]);
}

/// A listener for clients answers; `traffic` is `grpc+http`, `grpc` or `http`.
#[track_caller]
pub fn serving_clients(traffic: &str, address: &str) {
    info(
        "serving client traffic insecurely; this is strongly discouraged!",
        &[("traffic", traffic.into()), ("address", address.into())],
    );
}

/// Name and client URLs are in the membership.
#[track_caller]
pub fn published(config: &Config, member: u64, cluster: u64, timeout: Duration) {
    let urls: Vec<String> = config.advertise_client_urls.iter().map(ToString::to_string).collect();
    // As Go prints the structure.
    let attributes = format!("{{Name:{} ClientURLs:[{}]}}", config.name, urls.join(" "));
    info(
        "published local member to cluster through raft",
        &[
            ("local-member-id", Value::id(member)),
            ("local-member-attributes", attributes.into()),
            ("cluster-id", Value::id(cluster)),
            ("publish-timeout", timeout.into()),
        ],
    );
}

/// Clients are answered from here on.
#[track_caller]
pub fn ready() {
    info("ready to serve client requests", &[]);
}

/// A gRPC health state has changed.
#[track_caller]
pub fn grpc_status(service: &str, status: &str, reason: &str) {
    info(
        "grpc service status changed",
        &[("service", service.into()), ("status", status.into()), ("reason", reason.into())],
    );
}

/// The cluster has got its first version.
#[track_caller]
pub fn set_initial_cluster_version(member: u64, cluster: u64, version: &str) {
    let fields = [
        ("cluster-id", Value::id(cluster)),
        ("local-member-id", Value::id(member)),
        ("cluster-version", version.into()),
    ];
    info("set initial cluster version", &fields);
    info("enabled capabilities for version", &[("cluster-version", version.into())]);
}

/// The decided version is in effect.
#[track_caller]
pub fn cluster_version_updated(version: &str) {
    info("cluster version is updated", &[("cluster-version", version.into())]);
}

/// The backend has got the keys of a release.
#[track_caller]
pub fn storage_version_updated(version: &str) {
    info("updated storage version", &[("new-storage-version", version.into())]);
}

/// Before and after the service manager is told; `failure` is what went wrong.
#[track_caller]
pub fn notifying() {
    info("notifying init daemon", &[]);
}

/// The service manager has been told, or could not be.
#[track_caller]
pub fn notified(failure: Option<&str>) {
    match failure {
        None => info("successfully notified init daemon", &[]),
        Some(why) => error("failed to notify systemd for readiness", &[("error", why.into())]),
    }
}

/// SIGTERM or SIGINT came: `terminated` or `interrupt`.
#[track_caller]
pub fn received_signal(signal: &str) {
    info("received signal; shutting down", &[("signal", signal.into())]);
}

/// The stop begins, and has ended.
#[track_caller]
pub fn closing(config: &Config, closed: bool) {
    let message = if closed { "closed etcd server" } else { "closing etcd server" };
    info(
        message,
        &[
            ("name", (&config.name).into()),
            ("data-dir", path(&config.data_dir)),
            ("advertise-peer-urls", Value::urls(&config.initial_advertise_peer_urls)),
            ("advertise-client-urls", Value::urls(&config.advertise_client_urls)),
        ],
    );
}
