//! What must hold between values, in etcd's order and with its texts; then what this build cannot do yet.

use super::load::{Failure, Notice, Severity};
use super::settings::Settings;
use super::table::{FLAGS, Flag, Status, find};
use super::urls::{self, Url};
use super::{Config, PEER_TIMEOUT_MIN, format_duration};

/// etcd's longest election timeout.
const ELECTION_MS_MAX: u64 = 50_000;
const RECOMMENDED_REQUEST_BYTES: u64 = 10 * 1024 * 1024;
const RECOMMENDED_QUOTA_BYTES: i64 = 8 * 1024 * 1024 * 1024;
const SAMPLING_RATE_MAX: i64 = 1_000_000;

/// Flags whose refusal waits for [`super::check_start`], because etcd looks at them later than at the rest.
const AT_START: [&str; 3] = ["auth-token", "cipher-suites", "listen-client-http-urls"];

/// Checks everything that can be checked before the start.
pub fn check(s: &Settings, config: &Config, notices: &mut Vec<Notice>) -> Result<(), Failure> {
    warn_deprecated(s, notices);
    tell_raised(s, notices);
    fallback(s).map_err(Failure::verify)?;
    listeners(config, notices).map_err(Failure::verify)?;
    discovery(s, config).map_err(Failure::verify)?;
    timing(s).map_err(Failure::verify)?;
    if config.advertise_client_urls.is_empty() && !config.listen_client_urls.is_empty() {
        return Err(advertise_unset());
    }
    compaction_mode(&config.auto_compaction_mode).map_err(Failure::verify)?;
    if config.name == "default" {
        let text = "it isn't recommended to use default name, please set a value for --name. Note that etcd might run into \
                    issue when multiple members have the same default name";
        notices.push(Notice::new(Severity::Warn, text));
    }
    tls_versions(s).map_err(Failure::verify)?;
    tracing_rate(s).map_err(Failure::verify)?;
    if s.duration("compact-hash-check-time") <= 0 {
        let set = format_duration(s.duration("compact-hash-check-time").into());
        return Err(Failure::verify(format!("--compact-hash-check-time must be >0 (set to {set})")));
    }
    config.gates.check().map_err(Failure::verify)?;
    supported(s).map_err(Failure::verify)?;
    warn_sizes(config, notices);
    Ok(())
}

fn warn_deprecated(s: &Settings, notices: &mut Vec<Notice>) {
    let lines = [
        ("max-snapshots", "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8."),
        (
            "v2-deprecation",
            "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user \
             input.",
        ),
    ];
    for (name, text) in lines.into_iter().filter(|(name, _)| s.is_given(name)) {
        debug_assert!(text.contains(name), "a warning names its flag");
        notices.push(Notice::new(Severity::Warn, text));
    }
}

fn tell_raised(s: &Settings, notices: &mut Vec<Notice>) {
    let min = PEER_TIMEOUT_MIN.as_nanos() as i128;
    for name in ["raft-read-timeout", "raft-write-timeout"] {
        if i128::from(s.duration(name)) < min {
            let text = format!("{name} increased to minimum value: {}", format_duration(min));
            notices.push(Notice::new(Severity::Info, text));
        }
    }
}

fn fallback(s: &Settings) -> Result<(), String> {
    if s.text("discovery-fallback") == "proxy" {
        let text = "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"";
        return Err(text.into());
    }
    if s.words("discovery-endpoints").iter().any(|endpoint| endpoint.trim().is_empty()) {
        return Err("--discovery-endpoints must not contain empty endpoints".into());
    }
    Ok(())
}

fn listeners(config: &Config, notices: &mut Vec<Notice>) -> Result<(), String> {
    let each = |urls: &[Url], check: fn(&Url) -> Result<(), String>| urls.iter().try_for_each(check);
    each(&config.listen_peer_urls, Url::check_bind)?;
    each(&config.listen_client_urls, Url::check_bind)?;
    each(&config.listen_client_http_urls, Url::check_bind)?;
    if config.listen_client_http_urls.is_empty() {
        let text = "Running http and grpc server on single port. This is not recommended for production.";
        notices.push(Notice::new(Severity::Warn, text));
    }
    each(&config.listen_metrics_urls, Url::check_bind)?;
    each(&config.initial_advertise_peer_urls, Url::check_advertise).map_err(|why| {
        let urls = urls::join(&config.initial_advertise_peer_urls);
        format!("--initial-advertise-peer-urls \"{urls}\" must be \"host:port\" ({why})")
    })?;
    each(&config.advertise_client_urls, Url::check_advertise).map_err(|why| {
        let urls = urls::join(&config.advertise_client_urls);
        format!(
            "--advertise-client-urls \"{urls}\" must be in the format \"host:port\", \"unix:/path/to/socket\" or \
             \"unixs:/path/to/socket\" ({why})"
        )
    })
}

fn discovery(s: &Settings, config: &Config) -> Result<(), String> {
    let (endpoints, token) = (!s.words("discovery-endpoints").is_empty(), !s.text("discovery-token").is_empty());
    let ways = [!config.initial_cluster.is_empty(), endpoints, !s.text("discovery-srv").is_empty()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        let text = "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery-endpoints\" \
                    or \"discovery-srv\"";
        return Err(text.into());
    }
    if endpoints != token {
        return Err("both --discovery-token and --discovery-endpoints must be set".into());
    }
    Ok(())
}

fn timing(s: &Settings) -> Result<(), String> {
    let (heartbeat, election) = (s.uint("heartbeat-interval"), s.uint("election-timeout"));
    if heartbeat == 0 {
        return Err(format!("--heartbeat-interval must be >0 (set to {heartbeat}ms)"));
    }
    if election == 0 {
        return Err(format!("--election-timeout must be >0 (set to {election}ms)"));
    }
    if heartbeat.saturating_mul(5) > election {
        return Err(format!(
            "--election-timeout[{election}ms] should be at least as 5 times as --heartbeat-interval[{heartbeat}ms]"
        ));
    }
    if election > ELECTION_MS_MAX {
        return Err(format!(
            "--election-timeout[{election}ms] is too long, and should be set less than {ELECTION_MS_MAX}ms"
        ));
    }
    Ok(())
}

fn advertise_unset() -> Failure {
    let error = "--advertise-client-urls is required when --listen-client-urls is set explicitly";
    let warn = |message: &str| Notice::new(Severity::Warn, message).with("error", error);
    Failure::Verify(vec![warn("failed to verify flags"), warn("advertise client URLs are not set")])
}

fn compaction_mode(mode: &str) -> Result<(), String> {
    match mode {
        "periodic" | "revision" => Ok(()),
        "" => Err("undefined auto-compaction-mode".into()),
        other => Err(format!("unknown auto-compaction-mode {}", super::number::quote(other))),
    }
}

fn tls_versions(s: &Settings) -> Result<(), String> {
    let version = |name: &str| match s.text(name) {
        "" => Ok(0),
        "TLS1.2" => Ok(2),
        "TLS1.3" => Ok(3),
        other => {
            Err(format!("unexpected TLS version {} (must be one of: TLS1.2, TLS1.3)", super::number::quote(other)))
        }
    };
    let (min, max) = (version("tls-min-version")?, version("tls-max-version")?);
    if max != 0 && min > max {
        return Err(format!(
            "min version ({}) is greater than max version ({})",
            s.text("tls-min-version"),
            s.text("tls-max-version")
        ));
    }
    if min == 3 && !s.words("cipher-suites").is_empty() {
        return Err("cipher suites cannot be configured when only TLS1.3 is enabled".into());
    }
    Ok(())
}

fn tracing_rate(s: &Settings) -> Result<(), String> {
    let rate = s.int("distributed-tracing-sampling-rate");
    let wrong = match rate {
        _ if !s.bool("enable-distributed-tracing") => return Ok(()),
        0..=SAMPLING_RATE_MAX => return Ok(()),
        i64::MIN..0 => "tracing sampling rate must be positive",
        _ => "tracing sampling rate must be less than 1000000",
    };
    Err(format!("distributed tracing configurition is not valid: ({wrong})"))
}

/// Refuses what would otherwise be ignored.
fn supported(s: &Settings) -> Result<(), String> {
    for (place, flag) in FLAGS.iter().enumerate() {
        if matches!(flag.status, Status::Later(_)) && s.differs(place) && !AT_START.contains(&flag.name) {
            return Err(refusal(flag));
        }
    }
    Ok(())
}

/// The text that refuses a flag of [`Status::Later`].
pub fn refusal(flag: &Flag) -> String {
    let missing = match flag.status {
        Status::Later(missing) => missing,
        _ => "not available",
    };
    format!("--{} is not supported by this build yet: {missing}", flag.name)
}

/// As [`refusal`], by name.
pub fn refusal_of(name: &str) -> String {
    find(name).map_or_else(|| format!("--{name} is not supported"), |(_, flag)| refusal(flag))
}

fn warn_sizes(config: &Config, notices: &mut Vec<Notice>) {
    if config.max_request_bytes > RECOMMENDED_REQUEST_BYTES {
        notices.push(
            Notice::new(Severity::Warn, "exceeded recommended request limit")
                .with("max-request-bytes", &config.max_request_bytes.to_string())
                .with("recommended-request-bytes", &RECOMMENDED_REQUEST_BYTES.to_string()),
        );
    }
    if config.quota_backend_bytes > RECOMMENDED_QUOTA_BYTES {
        notices.push(
            Notice::new(Severity::Warn, "quota exceeds the maximum value")
                .with("quota-size-bytes", &config.quota_backend_bytes.to_string())
                .with("quota-maximum-size-bytes", &RECOMMENDED_QUOTA_BYTES.to_string()),
        );
    }
}
