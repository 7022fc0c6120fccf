//! The lines that operators search for, with etcd's words and fields (facts: observability, 6.2 and 6.3).
//!
//! Only lines that this build writes have a function here. Each says what happened; whether it is logged at all is the
//! level's business.

use std::path::Path;
use std::time::Duration;

use super::{Field, Value, enabled, error, info, warn};
use crate::config::{AutoCompaction, Config, LogLevel, Url};

fn path(path: &Path) -> Value<'static> {
    path.to_string_lossy().into_owned().into()
}

/// The command line.
pub fn running(args: &[String]) {
    info("Running: ", &[("args", args.into())]);
}

/// A data directory was found, or none: `member` or `empty`.
pub fn data_dir(dir: &Path, kind: &str) {
    let message = match kind {
        "empty" => "Initialize and start etcd server",
        _ => "server has already been initialized",
    };
    info(message, &[("data-dir", path(dir)), ("dir-type", kind.into())]);
}

/// About to bind the peer URLs.
pub fn configuring_peer_listeners(urls: &[Url]) {
    info("configuring peer listeners", &[("listen-peer-urls", Value::urls(urls))]);
}

/// About to bind the client URLs.
pub fn configuring_client_listeners(urls: &[Url]) {
    info("configuring client listeners", &[("listen-client-urls", Value::urls(urls))]);
}

/// The configuration, before anything is opened. `version` is the reported release, `commit` this build's.
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
        ("go-arch", std::env::consts::ARCH.into()),
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
        ("auto-compaction-mode", mode.to_owned().into()),
        ("auto-compaction-retention", retention.into()),
        ("auto-compaction-interval", retention.into()),
    ]
}

/// The backend file is open.
pub fn opened_backend(db: &Path, took: Duration) {
    info("opened backend db", &[("path", path(db)), ("took", took.into())]);
}

/// A first start, with ids made from the initial cluster.
pub fn starting_local_member(member: u64, cluster: u64) {
    info("starting local member", &[("local-member-id", Value::id(member)), ("cluster-id", Value::id(cluster))]);
}

/// A start on a log that goes up to a commit index.
pub fn restarting_local_member(member: u64, cluster: u64, commit: u64) {
    info(
        "restarting local member",
        &[("cluster-id", Value::id(cluster)), ("local-member-id", Value::id(member)), ("commit-index", commit.into())],
    );
}

/// The key space has been read.
pub fn kvstore_restored(revision: i64) {
    info("kvstore restored", &[("current-rev", revision.into())]);
}

/// The quota that holds: the default, the given one, or none.
pub fn quota(given: i64, effective_bytes: u64) {
    match given {
        0 => info("enabled backend quota with default value", &[("quota-size-bytes", effective_bytes.into())]),
        i64::MIN..0 => info("disabled backend quota", &[("quota-size-bytes", given.into())]),
        _ => info("enabled backend quota", &[("quota-size-bytes", effective_bytes.into())]),
    }
}

/// The member is about to take part. `cluster_version` is `to_be_decided` on a first start.
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
pub fn serving_metrics(address: &str) {
    info("serving metrics", &[("address", address.into())]);
}

/// A listener for peers answers.
pub fn serving_peers(address: &str) {
    info("serving peer traffic", &[("address", address.into())]);
}

/// A listener for clients answers; `traffic` is `grpc+http`, `grpc` or `http`.
pub fn serving_clients(traffic: &str, address: &str) {
    info(
        "serving client traffic insecurely; this is strongly discouraged!",
        &[("traffic", traffic.into()), ("address", address.into())],
    );
}

/// Name and client URLs are in the membership.
pub fn published(config: &Config, member: u64, cluster: u64, timeout: Duration) {
    let urls: Vec<String> = config.advertise_client_urls.iter().map(ToString::to_string).collect();
    let list = Value::from(urls);
    let mut json = String::new();
    list.render(&mut json);
    let attributes = format!("{{Name:{} ClientURLs:{json}}}", config.name);
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
pub fn ready() {
    info("ready to serve client requests", &[]);
}

/// A gRPC health state has changed.
pub fn grpc_status(service: &str, status: &str, reason: &str) {
    info(
        "grpc service status changed",
        &[("service", service.into()), ("status", status.into()), ("reason", reason.into())],
    );
}

/// The cluster has got its first version.
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
pub fn cluster_version_updated(version: &str) {
    info("cluster version is updated", &[("cluster-version", version.into())]);
}

/// The backend has got the keys of a release.
pub fn storage_version_updated(version: &str) {
    info("updated storage version", &[("new-storage-version", version.into())]);
}

/// Before and after the service manager is told; `failure` is what went wrong.
pub fn notifying() {
    info("notifying init daemon", &[]);
}

/// The service manager has been told, or could not be.
pub fn notified(failure: Option<&str>) {
    match failure {
        None => info("successfully notified init daemon", &[]),
        Some(why) => error("failed to notify systemd for readiness", &[("error", why.into())]),
    }
}

/// SIGTERM or SIGINT came: `terminated` or `interrupt`.
pub fn received_signal(signal: &str) {
    info("received signal; shutting down", &[("signal", signal.into())]);
}

/// The stop begins, and has ended.
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

/// What took longer than `--warning-apply-duration`.
pub struct SlowApply<'a> {
    pub took: Duration,
    pub expected: Duration,
    /// Empty, `read-only range ` or `read-only txn `.
    pub prefix: &'a str,
    /// The request without its values.
    pub request: &'a str,
    pub response: &'a str,
    pub error: Option<&'a str>,
}

/// An applied request or a local read was slow.
pub fn apply_took_too_long(slow: &SlowApply<'_>) {
    let mut fields: Vec<Field<'_>> = vec![
        ("took", slow.took.into()),
        ("expected-duration", slow.expected.into()),
        ("prefix", slow.prefix.into()),
        ("request", slow.request.into()),
        ("response", slow.response.into()),
    ];
    fields.extend(slow.error.map(|error| ("error", error.into())));
    warn("apply request took too long", &fields);
}

/// One unary request, for [`request_stats`]. Counts and sizes are -1 where they are not known.
pub struct RequestStats<'a> {
    pub start: &'a str,
    pub spent: Duration,
    pub remote: &'a str,
    /// The full method, `/etcdserverpb.KV/Put`.
    pub method: &'a str,
    pub request_count: i64,
    pub request_size: i64,
    pub response_count: i64,
    pub response_size: i64,
    pub content: &'a str,
}

/// A unary request took longer than `--warning-unary-request-duration`; at level debug every one is shown.
pub fn request_stats(stats: &RequestStats<'_>, slow: bool) {
    let fields = [
        ("start time", stats.start.into()),
        ("time spent", stats.spent.into()),
        ("remote", stats.remote.into()),
        ("response type", stats.method.into()),
        ("request count", stats.request_count.into()),
        ("request size", stats.request_size.into()),
        ("response count", stats.response_count.into()),
        ("response size", stats.response_size.into()),
        ("request content", stats.content.into()),
    ];
    if slow { warn("request stats", &fields) } else { super::debug("request stats", &fields) }
}

/// Above this a sync of the log is slow.
pub const SLOW_SYNC: Duration = Duration::from_secs(1);

/// A sync of the log took longer than [`SLOW_SYNC`].
pub fn slow_fdatasync(took: Duration) {
    warn("slow fdatasync", &[("took", took.into()), ("expected-duration", SLOW_SYNC.into())]);
}

/// A read waits for its index.
pub fn read_index_retry(request: u64, timeout: Duration) {
    let message = "waiting for ReadIndex response took too long, retrying";
    warn(message, &[("sent-request-id", request.into()), ("retry-timeout", timeout.into())]);
}

/// A read has waited for its index in vain.
pub fn read_index_timeout(timeout: Duration) {
    let message = "timed out waiting for read index response (local node might have slow network)";
    warn(message, &[("timeout", timeout.into())]);
}

/// A compaction's sweep has ended.
pub struct Compacted {
    pub revision: i64,
    pub took: Duration,
    pub keys: u64,
    pub hash: u32,
    pub db_bytes: u64,
    pub db_bytes_in_use: u64,
}

/// See [`Compacted`].
pub fn compaction_finished(done: &Compacted) {
    info(
        "finished scheduled compaction",
        &[
            ("compact-revision", done.revision.into()),
            ("took", done.took.into()),
            ("number-of-keys-compacted", done.keys.into()),
            ("hash", done.hash.into()),
            ("current-db-size-bytes", done.db_bytes.into()),
            ("current-db-size", human_bytes(done.db_bytes).into()),
            ("current-db-size-in-use-bytes", done.db_bytes_in_use.into()),
            ("current-db-size-in-use", human_bytes(done.db_bytes_in_use).into()),
        ],
    );
}

/// A size as people read it: `25 kB`, `1.2 MB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog10() / 3) as usize;
    let value = (bytes as f64 / 1000f64.powi(power as i32) * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 { format!("{value:.1} {}", UNITS[power]) } else { format!("{value:.0} {}", UNITS[power]) }
}

/// A Snapshot call begins: the size of what is sent.
pub fn sending_snapshot(bytes: u64, storage_version: &str) {
    info(
        "sending database snapshot to client",
        &[
            ("total-bytes", bytes.into()),
            ("size", human_bytes(bytes).into()),
            ("storage-version", storage_version.into()),
        ],
    );
}

/// A Snapshot call has ended well.
pub fn sent_snapshot(bytes: u64, took: Duration, storage_version: &str) {
    info(
        "successfully sent database snapshot to client",
        &[
            ("total-bytes", bytes.into()),
            ("size", human_bytes(bytes).into()),
            ("took", took.into()),
            ("storage-version", storage_version.into()),
        ],
    );
}

/// A defragmentation begins, and has ended.
pub fn defragment(finished: bool) {
    info(if finished { "finished defragment" } else { "starting defragment" }, &[]);
}

/// An automatic compaction was proposed.
pub fn auto_compaction(periodic: bool, revision: i64, keep: Value<'static>) {
    let (message, field) = match periodic {
        true => ("starting auto periodic compaction", "compact-period"),
        false => ("starting auto revision compaction", "revision-compaction-retention"),
    };
    info(message, &[("revision", revision.into()), (field, keep)]);
}

/// A raft snapshot was made and is on disk.
pub fn saved_snapshot(index: u64) {
    info("saved snapshot to disk", &[("snapshot-index", index.into())]);
}

/// An old log segment or snapshot was removed.
pub fn purged(file: &Path) {
    info("purged", &[("path", path(file))]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_read_them() {
        let sizes =
            [(0, "0 B"), (9, "9 B"), (999, "999 B"), (25_600, "26 kB"), (1_234_567, "1.2 MB"), (82_854_982, "83 MB")];
        for (bytes, text) in sizes {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
