//! The flags that every command takes, and what is refused of them until a later release.

use crate::cli::{Flag, Kind, Values};
use crate::exit::Exit;

/// Each has a variable, see [`super::env`].
pub const FLAGS: &[Flag] = &[
    Flag::new("endpoints", Kind::List, "127.0.0.1:2379", "gRPC endpoints"),
    Flag::text("write-out", "simple", "output format (fields, json, protobuf, simple, table)").short('w'),
    Flag::bool("hex", "print keys and values as hexadecimal escapes, and IDs in hexadecimal"),
    Flag::bool("debug", "print every setting to stderr"),
    Flag::new("dial-timeout", Kind::Duration, "2s", "bound of one attempt to connect"),
    Flag::new("command-timeout", Kind::Duration, "5s", "bound of a short-running command"),
    Flag::new("keepalive-time", Kind::Duration, "2s", "silence after which a connection is asked for a sign of life"),
    Flag::new("keepalive-timeout", Kind::Duration, "6s", "how long that sign may take"),
    Flag::int("max-request-bytes", "0", "largest request to send (0 means 2 MiB)"),
    Flag::int("max-recv-bytes", "0", "largest answer to take (0 means 2147483647)"),
    Flag::new("insecure-transport", Kind::Bool, "true", "connect without TLS"),
    Flag::bool("insecure-skip-tls-verify", "accept any server certificate (not in this release)"),
    Flag::new("insecure-discovery", Kind::Bool, "true", "accept insecure SRV records (not in this release)"),
    Flag::text("cert", "", "TLS certificate file of the client (not in this release)"),
    Flag::text("key", "", "TLS key file of the client (not in this release)"),
    Flag::text("cacert", "", "CA bundle to check server certificates with (not in this release)"),
    Flag::text("user", "", "username[:password] (not in this release)"),
    Flag::text("password", "", "password of --user (not in this release)"),
    Flag::text("auth-jwt-token", "", "token to authenticate with (not in this release)"),
    Flag::text("discovery-srv", "", "domain whose SRV records name the endpoints (not in this release)").short('d'),
    Flag::text("discovery-srv-name", "", "service name in SRV records (not in this release)"),
];

const TLS: &str = "TLS";
const AUTHENTICATION: &str = "authentication";
const DISCOVERY: &str = "discovery of endpoints by DNS";

/// Texts whose mere presence asks for something that is not there yet.
const LATER: [(&str, &str); 8] = [
    ("cert", TLS),
    ("key", TLS),
    ("cacert", TLS),
    ("user", AUTHENTICATION),
    ("password", AUTHENTICATION),
    ("auth-jwt-token", AUTHENTICATION),
    ("discovery-srv", DISCOVERY),
    ("discovery-srv-name", DISCOVERY),
];

/// A flag that cannot be obeyed is refused, never ignored.
pub fn refuse_later(flags: &Values) -> Result<(), Exit> {
    let refused = |flag: &str, what: &str| Err(Exit::bad_args(format!("--{flag}: {what} is not in this release")));
    for name in ["cert", "key", "cacert"] {
        if flags.changed(name) && flags.text(name).is_empty() {
            return Err(Exit::bad_args(format!("empty string is passed to --{name} option")));
        }
    }
    for (name, what) in LATER {
        if !flags.text(name).is_empty() {
            return refused(name, what);
        }
    }
    if !flags.bool("insecure-transport") {
        return refused("insecure-transport=false", TLS);
    }
    if flags.bool("insecure-skip-tls-verify") {
        return refused("insecure-skip-tls-verify", TLS);
    }
    Ok(())
}
