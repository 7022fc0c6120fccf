//! What etcd looks at only when it starts: words that need more than their type.

use std::time::Duration;

use super::number;
use super::urls::Url;
use super::validate::refusal_of;
use super::{AutoCompaction, Config, parse_duration};

/// Why a start failed: the text of field `error` under the message `discovery failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// The TLS cipher suites that Go knows by name.
const CIPHER_SUITES: [&str; 26] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_FALLBACK_SCSV",
];

/// Checks what etcd checks while it starts, in its order, before any directory is touched.
pub fn check_start(config: &Config) -> Result<(), StartError> {
    cipher_suites(&config.cipher_suites)?;
    if let Some(url) = config.listen_peer_urls.iter().find(|url| url.is_tls()) {
        return Err(StartError(no_certificate(url)));
    }
    if let Some(url) = config.listen_client_urls.iter().find(|url| url.is_tls()) {
        let text = "TLS key/cert (--cert-file, --key-file) must be provided for client url";
        return Err(StartError(format!("{text} {url} with HTTPS scheme")));
    }
    http_urls(config)?;
    if let Some(url) = config.listen_metrics_urls.iter().find(|url| url.is_tls()) {
        return Err(StartError(no_certificate(url)));
    }
    config.auto_compaction().map_err(StartError)?;
    auth_token(&config.auth_token)
}

fn no_certificate(url: &Url) -> String {
    format!("cannot listen on TLS for {}: KeyFile and CertFile are not presented", url.authority)
}

fn cipher_suites(names: &[String]) -> Result<(), StartError> {
    if let Some(name) = names.iter().find(|name| !CIPHER_SUITES.contains(&name.as_str())) {
        return Err(StartError(format!("unexpected TLS cipher suite {}", number::quote(name))));
    }
    if names.is_empty() { Ok(()) } else { Err(StartError(refusal_of("cipher-suites"))) }
}

fn http_urls(config: &Config) -> Result<(), StartError> {
    if let Some(url) = config.listen_client_http_urls.iter().find(|url| config.listen_client_urls.contains(url)) {
        let text = "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url";
        return Err(StartError(format!("{text} {url}")));
    }
    if config.listen_client_http_urls.is_empty() {
        return Ok(());
    }
    Err(StartError(refusal_of("listen-client-http-urls")))
}

/// Options after `simple` don't count; `jwt` needs some.
fn auth_token(word: &str) -> Result<(), StartError> {
    let (kind, options) = word.split_once(',').unwrap_or((word, ""));
    match (kind, options) {
        ("simple", _) => Ok(()),
        ("jwt", options) if options.contains('=') => Err(StartError(refusal_of("auth-token"))),
        _ => Err(StartError("auth: invalid auth options".into())),
    }
}

/// Reads the retention: a plain number is hours or revisions, anything else a duration, in nanoseconds as revisions.
pub fn auto_compaction(mode: &str, retention: &str) -> Result<AutoCompaction, String> {
    let plain = retention.parse::<u64>().ok().filter(|_| !retention.starts_with('+'));
    let plain = if retention.is_empty() { Some(0) } else { plain };
    let value = match (plain, mode) {
        (Some(hours), "periodic") => i64::try_from(hours).ok().and_then(|h| h.checked_mul(3_600_000_000_000)),
        (Some(revisions), _) => i64::try_from(revisions).ok(),
        (None, _) => {
            Some(parse_duration(retention).map_err(|why| format!("error parsing CompactionRetention: {why}"))?)
        }
    };
    let value = value.ok_or_else(|| {
        format!("error parsing CompactionRetention: time: invalid duration {}", number::quote(retention))
    })?;
    Ok(match (u64::try_from(value), mode) {
        (Ok(0) | Err(_), _) => AutoCompaction::Off,
        (Ok(nanos), "periodic") => AutoCompaction::Periodic(Duration::from_nanos(nanos)),
        (Ok(_), _) => AutoCompaction::Revision(value),
    })
}
