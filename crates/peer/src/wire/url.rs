//! Peer URLs.

use std::fmt;

/// Where a peer can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerUrl {
    pub tls: bool,
    /// `host:port`, or the path of a Unix socket.
    pub authority: String,
    pub unix: bool,
    /// Stands before the paths of the protocol; empty or `/…` without a slash at the end.
    base: String,
}

/// A text that is no peer URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a peer URL of the form http://host:port")]
pub(crate) struct UrlError(String);

impl PeerUrl {
    pub fn parse(text: &str) -> Result<PeerUrl, UrlError> {
        let wrong = || UrlError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (tls, unix) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, false),
            "https" => (true, false),
            "unix" => (false, true),
            "unixs" => (true, true),
            _ => return Err(wrong()),
        };
        if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\".contains(&b)) {
            return Err(wrong());
        }
        if unix {
            return Ok(PeerUrl { tls, unix, authority: rest.to_owned(), base: String::new() });
        }
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = authority.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
        if authority.len() == port.len() + 1 || port.is_empty() || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        Ok(PeerUrl { tls, unix, authority: authority.to_owned(), base: base.trim_end_matches('/').to_owned() })
    }

    /// The target of a request for `path`, which begins with a slash.
    pub fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What the `Host` header says.
    pub fn host(&self) -> &str {
        if self.unix { "localhost" } else { &self.authority }
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.unix, self.tls) {
            (false, false) => "http",
            (false, true) => "https",
            (true, false) => "unix",
            (true, true) => "unixs",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_members_are_taken_apart() {
        let url = PeerUrl::parse("http://10.0.0.1:2380").unwrap();
        assert_eq!((url.host(), url.tls, url.target("/raft")), ("10.0.0.1:2380", false, "/raft".to_owned()));
        let url = PeerUrl::parse("https://[::1]:2380/base/").unwrap();
        assert_eq!((url.host(), url.tls, url.target("/raft")), ("[::1]:2380", true, "/base/raft".to_owned()));
        assert_eq!(PeerUrl::parse("unix://localhost:1").unwrap().authority, "localhost:1");
    }

    #[test]
    fn other_texts_are_refused() {
        let texts =
            ["", "x", "ftp://a:1", "http://", "http://a", "http://a:", "http://:1", "http://a:x", "http://a:70000"];
        for text in texts.into_iter().chain(["http://a:1\r\nX: y", "http://a:1/?q", "http://a b:1", "http://ü:1"]) {
            assert!(PeerUrl::parse(text).is_err(), "{text}");
        }
    }
}
