//! How a client is set up, and which endpoints it can speak to.

use std::sync::Arc;
use std::time::Duration;

use tonic::Code;

use crate::error::Error;

/// The largest request that is sent, unless told otherwise.
pub const MAX_SEND_BYTES: usize = 2 * 1024 * 1024;
/// The largest answer that is taken, unless told otherwise.
pub const MAX_RECV_BYTES: usize = i32::MAX as usize;

/// One failed attempt of a unary call, for logs.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    pub method: &'a str,
    pub endpoint: &'a str,
    pub attempt: u32,
    pub code: Code,
    /// `rpc error: code = X desc = ...`
    pub text: String,
}

/// Called for each failed attempt, also for those that are repeated.
pub type Observer = Arc<dyn Fn(&Refusal<'_>) + Send + Sync>;

/// What a client needs to know.
#[derive(Clone)]
pub struct Config {
    /// `host:port`, `http://host:port` or `unix://path`.
    pub endpoints: Vec<String>,
    /// Bound of one attempt to connect.
    pub dial_timeout: Duration,
    /// How long a connection may be silent before it is asked for a sign of life.
    pub keepalive_time: Duration,
    /// How long that sign may take.
    pub keepalive_timeout: Duration,
    pub max_send_bytes: usize,
    pub max_recv_bytes: usize,
    pub observer: Option<Observer>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoints: vec!["127.0.0.1:2379".into()],
            dial_timeout: Duration::from_secs(2),
            keepalive_time: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(6),
            max_send_bytes: MAX_SEND_BYTES,
            max_recv_bytes: MAX_RECV_BYTES,
            observer: None,
        }
    }
}

/// The address of an endpoint as the transport wants it.
pub(crate) fn uri(endpoint: &str) -> Result<String, Error> {
    let endpoint = endpoint.trim();
    let bad = |why: &str| Err(Error::BadEndpoint(format!("parse \"{endpoint}\": {why}")));
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    match scheme {
        "unix" => return Ok(format!("unix://{rest}")),
        "https" | "unixs" => {
            return Err(Error::BadEndpoint(format!("endpoint {endpoint}: TLS ({scheme}://) is not in this release")));
        }
        "http" => {}
        _ => return bad("the scheme must be http or unix"),
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() {
        return bad("no host");
    }
    if let Some(at) = authority.find('%') {
        let escape: String = authority[at..].chars().take(3).collect();
        return bad(&format!("invalid URL escape \"{escape}\""));
    }
    Ok(format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_become_addresses_or_are_refused_with_their_name() {
        assert_eq!(uri("127.0.0.1:2379").unwrap(), "http://127.0.0.1:2379");
        assert_eq!(uri(" http://h:1/ ").unwrap(), "http://h:1");
        assert_eq!(uri("unix://m1:0").unwrap(), "unix://m1:0");
        assert_eq!(uri("http://%zz").unwrap_err().to_string(), "parse \"http://%zz\": invalid URL escape \"%zz\"");
        assert!(uri("https://h:1").unwrap_err().to_string().contains("https://h:1"));
        assert!(uri("ftp://h:1").is_err());
        assert!(uri("").is_err());
    }
}
