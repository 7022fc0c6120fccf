//! From values of flags to the typed [`Config`].

use std::path::PathBuf;
use std::time::Duration;

use super::load::{Failure, Notice, Severity, Source};
use super::settings::Settings;
use super::table;
use super::urls::Url;
use super::{Compat, Config, Discovery, LogConfig, LogFormat, LogLevel, PEER_TIMEOUT_MIN, SrvDiscovery, V3Discovery};

/// Values that are 0 or empty mean a default of their own.
fn positive_or(nanos: i64, default: Duration) -> Duration {
    u64::try_from(nanos).ok().filter(|n| *n > 0).map_or(default, Duration::from_nanos)
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn or_default(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}

/// Builds the configuration. `separate` says that flags and variables were the source, not a file.
pub fn config(s: &Settings, separate: bool) -> Result<Config, Failure> {
    let optional = |name: &str| Some(s.duration(name)).filter(|nanos| *nanos > 0).map(duration);
    Ok(Config {
        name: s.text("name").into(),
        data_dir: s.text("data-dir").into(),
        wal_dir: Some(s.text("wal-dir")).filter(|dir| !dir.is_empty()).map(PathBuf::from),
        snapshot_count: or_default(s.uint("snapshot-count"), 10_000),
        snapshot_catchup_entries: s.uint("snapshot-catchup-entries"),
        max_snapshots: s.uint("max-snapshots"),
        max_wals: s.uint("max-wals"),
        quota_backend_bytes: s.int("quota-backend-bytes"),
        backend_batch_interval: positive_or(s.duration("backend-batch-interval"), Duration::from_millis(100)),
        backend_batch_limit: count_or(s.int("backend-batch-limit"), 10_000),
        max_txn_ops: s.uint("max-txn-ops"),
        max_request_bytes: s.uint("max-request-bytes"),
        max_concurrent_streams: u32::try_from(s.uint("max-concurrent-streams")).unwrap_or(u32::MAX),
        unsafe_no_fsync: s.bool("unsafe-no-fsync"),
        force_new_cluster: s.bool("force-new-cluster"),
        listen_peer_urls: s.urls("listen-peer-urls").to_vec(),
        listen_client_urls: s.urls("listen-client-urls").to_vec(),
        listen_metrics_urls: s.urls("listen-metrics-urls").to_vec(),
        listen_client_http_urls: s.urls("listen-client-http-urls").to_vec(),
        initial_advertise_peer_urls: s.urls("initial-advertise-peer-urls").to_vec(),
        advertise_client_urls: advertise_client_urls(s, separate),
        grpc_keepalive_min_time: duration(s.duration("grpc-keepalive-min-time")),
        grpc_keepalive_interval: optional("grpc-keepalive-interval"),
        grpc_keepalive_timeout: optional("grpc-keepalive-timeout"),
        socket_reuse_port: s.bool("socket-reuse-port"),
        socket_reuse_address: s.bool("socket-reuse-address"),
        cors: s.words("cors").to_vec(),
        host_whitelist: s.words("host-whitelist").to_vec(),
        initial_cluster: initial_cluster(s),
        join_existing: s.text("initial-cluster-state") == "existing",
        initial_cluster_token: s.text("initial-cluster-token").into(),
        strict_reconfig_check: s.bool("strict-reconfig-check"),
        pre_vote: s.bool("pre-vote"),
        heartbeat_interval: Duration::from_millis(s.uint("heartbeat-interval")),
        election_timeout: Duration::from_millis(s.uint("election-timeout")),
        initial_election_tick_advance: s.bool("initial-election-tick-advance"),
        discovery: discovery(s),
        max_learners: u64::try_from(s.int("max-learners")).unwrap_or(0),
        raft_read_timeout: duration(s.duration("raft-read-timeout")).max(PEER_TIMEOUT_MIN),
        raft_write_timeout: duration(s.duration("raft-write-timeout")).max(PEER_TIMEOUT_MIN),
        downgrade_check_time: optional("downgrade-check-time"),
        corrupt_check_time: optional("corrupt-check-time"),
        compact_hash_check_time: duration(s.duration("compact-hash-check-time")),
        auto_compaction_mode: s.text("auto-compaction-mode").into(),
        auto_compaction_retention: s.text("auto-compaction-retention").into(),
        compaction_batch_limit: count_or(s.int("compaction-batch-limit"), 1000),
        compaction_sleep_interval: positive_or(s.duration("compaction-sleep-interval"), Duration::from_millis(10)),
        watch_progress_notify_interval: positive_or(
            s.duration("watch-progress-notify-interval"),
            Duration::from_secs(600),
        ),
        warning_apply_duration: duration(s.duration("warning-apply-duration")),
        warning_unary_request_duration: positive_or(
            s.duration("warning-unary-request-duration"),
            Duration::from_millis(300),
        ),
        gates: s.gates().clone(),
        log: log(s)?,
        metrics_extensive: s.text("metrics") == "extensive",
        auth_token: s.text("auth-token").into(),
        cipher_suites: s.words("cipher-suites").to_vec(),
        compat_version: match s.text("compat-version") {
            "3.4" => Compat::V3_4,
            "3.5" => Compat::V3_5,
            "3.6" => Compat::V3_6,
            _ => Compat::V3_7,
        },
    })
}

fn count_or(value: i64, default: u64) -> u64 {
    u64::try_from(value).ok().filter(|n| *n > 0).unwrap_or(default)
}

/// On the command line a given `--listen-client-urls` drops the default of what is advertised.
fn advertise_client_urls(s: &Settings, separate: bool) -> Vec<Url> {
    if separate && s.is_given("listen-client-urls") && !s.is_given("advertise-client-urls") {
        return Vec::new();
    }
    s.urls("advertise-client-urls").to_vec()
}

/// Discovery drops the default.
fn initial_cluster(s: &Settings) -> String {
    let discovery = !s.text("discovery-srv").is_empty() || !s.words("discovery-endpoints").is_empty();
    if discovery && !s.is_given("initial-cluster") {
        return String::new();
    }
    s.text("initial-cluster").into()
}

/// A discovery service counts before DNS, as in etcd; together they are refused later.
fn discovery(s: &Settings) -> Discovery {
    let endpoints = s.words("discovery-endpoints");
    let domain = s.text("discovery-srv");
    if !endpoints.is_empty() {
        return Discovery::Registry(V3Discovery {
            token: s.text("discovery-token").into(),
            endpoints: endpoints.to_vec(),
            dial_timeout: duration(s.duration("discovery-dial-timeout")),
            request_timeout: duration(s.duration("discovery-request-timeout")),
            keepalive_time: duration(s.duration("discovery-keepalive-time")),
            keepalive_timeout: duration(s.duration("discovery-keepalive-timeout")),
        });
    }
    if domain.is_empty() {
        return Discovery::Static;
    }
    Discovery::Srv(SrvDiscovery { domain: domain.into(), service: s.text("discovery-srv-name").into() })
}

/// The logger comes first: where it is wrong, nothing else is looked at.
fn log(s: &Settings) -> Result<LogConfig, Failure> {
    match s.text("logger") {
        "zap" => {}
        "capnslog" => return Err(Failure::verify("--logger=capnslog is removed in v3.5")),
        other => return Err(Failure::verify(format!("unknown logger option {}", super::number::quote(other)))),
    }
    let outputs = s.words("log-outputs").to_vec();
    if outputs.len() > 1 && outputs.iter().any(|output| output == "default") {
        return Err(Failure::verify("multi logoutput for \"default\" is not supported yet"));
    }
    let files = outputs.iter().filter(|o| !matches!(o.as_str(), "default" | "stderr" | "stdout" | "systemd/journal"));
    if s.bool("enable-log-rotation") && (outputs.len() != 1 || files.count() != 1) {
        let text = "--log-outputs requires a single file path when --log-rotate-config-json is defined";
        return Err(Failure::verify(text));
    }
    let format = match s.text("log-format") {
        "json" => LogFormat::Json,
        "console" => LogFormat::Console,
        other => {
            return Err(Failure::verify(format!("unknown log format: {other}, supported values json, console")));
        }
    };
    Ok(LogConfig { outputs, level: log_level(s.text("log-level"))?, format })
}

fn log_level(word: &str) -> Result<LogLevel, Failure> {
    Ok(match word {
        "debug" | "DEBUG" => LogLevel::Debug,
        "info" | "INFO" | "" => LogLevel::Info,
        "warn" | "WARN" => LogLevel::Warn,
        "error" | "ERROR" => LogLevel::Error,
        "dpanic" | "DPANIC" => LogLevel::DPanic,
        "panic" | "PANIC" => LogLevel::Panic,
        "fatal" | "FATAL" => LogLevel::Fatal,
        other => return Err(Failure::Panic(format!("panic: unrecognized level: {}", super::number::quote(other)))),
    })
}

/// The table's default of a URL list.
fn default_urls(name: &str) -> Vec<Url> {
    table::find(name).and_then(|(_, flag)| Url::parse_list(flag.default).ok()).unwrap_or_default()
}

/// A member that listens on every IPv4 address and advertises the default `localhost` advertises the machine's own
/// address instead.
pub fn advertise_default_host(config: &mut Config, source: &mut dyn Source, notices: &mut Vec<Notice>) {
    let wanting = |listen: &[Url], advertised: &[Url], name: &str| {
        let first = listen.first().filter(|url| url.host() == "0.0.0.0" && advertised == default_urls(name))?;
        first.port().map(str::to_owned)
    };
    let peer = wanting(&config.listen_peer_urls, &config.initial_advertise_peer_urls, "initial-advertise-peer-urls");
    let client = wanting(&config.listen_client_urls, &config.advertise_client_urls, "advertise-client-urls");
    if peer.is_none() && client.is_none() {
        return;
    }
    let Some(host) = source.default_host() else {
        notices.push(Notice::new(Severity::Info, "failed to detect default host").with("error", "no default route"));
        return;
    };
    let url = |port: String| Url { scheme: "http".into(), authority: format!("{host}:{port}"), path: String::new() };
    if let Some(port) = peer {
        config.initial_advertise_peer_urls = vec![url(port)];
    }
    if let Some(port) = client {
        config.advertise_client_urls = vec![url(port)];
    }
    notices.push(Notice::new(Severity::Info, "detected default host for advertise").with("host", &host.to_string()));
}

/// The default initial cluster follows a name that was given.
pub fn follow_name(config: &mut Config) {
    let default_of = |name: &str| table::find(name).map_or("", |(_, flag)| flag.default);
    if config.name != default_of("name") && config.initial_cluster == default_of("initial-cluster") {
        let name = if config.name.is_empty() { default_of("name") } else { &config.name };
        let parts = config.initial_advertise_peer_urls.iter().map(|url| format!("{name}={url}"));
        config.initial_cluster = parts.collect::<Vec<_>>().join(",");
    }
}
