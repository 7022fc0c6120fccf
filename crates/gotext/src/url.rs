//! URLs as the flags take them: lists of `scheme://host:port`, read by the rules of Go's `net/url`, whose error texts
//! people know.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A URL to listen on or to advertise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    /// `http`, `https`, `unix` or `unixs`.
    pub scheme: String,
    /// What stands between `//` and the path: `host:port`, for sockets the first part of the path.
    pub authority: String,
    /// Empty except for sockets.
    pub path: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl Url {
    /// Whether the listener needs a certificate.
    pub fn is_tls(&self) -> bool {
        matches!(self.scheme.as_str(), "https" | "unixs")
    }

    /// The path of the socket, for `unix` and `unixs`.
    pub fn socket_path(&self) -> Option<String> {
        self.scheme.starts_with("unix").then(|| format!("{}{}", self.authority, self.path))
    }

    /// Host without brackets; empty where none is given. For sockets whatever stands before the port.
    pub fn host(&self) -> &str {
        split_host_port(&self.authority).map_or(self.authority.as_str(), |(host, _)| host)
    }

    /// The port as written.
    pub fn port(&self) -> Option<&str> {
        split_host_port(&self.authority).map(|(_, port)| port)
    }

    /// Reads one URL of a flag.
    pub fn parse(text: &str) -> Result<Url, String> {
        let text = text.trim();
        let url = split(text).map_err(|why| format!("parse {}: {why}", crate::quote(text)))?;
        match url.scheme.as_str() {
            "http" | "https" => {
                if split_host_port(&url.authority).is_none() {
                    return Err(format!("URL address does not have the form \"host:port\": {text}"));
                }
                if !url.path.is_empty() {
                    return Err(format!("URL must not contain a path: {text}"));
                }
            }
            "unix" | "unixs" => {}
            _ => return Err(format!("URL scheme must be http, https, unix, or unixs: {text}")),
        }
        Ok(url)
    }

    /// Reads a comma-separated list; sorted, without duplicates.
    pub fn parse_list(text: &str) -> Result<Vec<Url>, String> {
        let mut urls = text.split(',').map(Url::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort_by_key(ToString::to_string);
        urls.dedup();
        Ok(urls)
    }

    /// What keeps this URL from being bound: anything but an address or `localhost`.
    pub fn check_bind(&self) -> Result<(), String> {
        if self.socket_path().is_some() || self.host() == "localhost" || self.host().parse::<IpAddr>().is_ok() {
            return Ok(());
        }
        Err(format!("expected IP in URL for binding ({self})"))
    }

    /// What keeps this URL from being advertised: an empty host.
    pub fn check_advertise(&self) -> Result<(), String> {
        if self.socket_path().is_none() && self.host().is_empty() {
            return Err(format!("unexpected empty host ({self})"));
        }
        Ok(())
    }
}

/// The URLs as one word, as in a flag.
pub fn join(urls: &[Url]) -> String {
    urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The URLs of each member by its name, those of one member sorted.
pub type NamedUrls = BTreeMap<String, Vec<Url>>;

/// `name=url,name=url,...`; a name may come again with another URL.
pub fn parse_named(text: &str) -> Result<NamedUrls, String> {
    let mut named = NamedUrls::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, url) = part.split_once('=').unwrap_or((part, ""));
        if !name.is_empty() {
            named.entry(name.to_owned()).or_default().push(Url::parse(url)?);
        }
    }
    for urls in named.values_mut() {
        urls.sort_by_key(ToString::to_string);
    }
    Ok(named)
}

/// Host and port; `None` without a port or with too many colons.
fn split_host_port(authority: &str) -> Option<(&str, &str)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return Some((host, after.strip_prefix(':')?));
    }
    let (host, port) = authority.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

/// Scheme, authority and path by Go's rules; the scheme is empty where there is none.
fn split(text: &str) -> Result<Url, String> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    let (scheme, rest) = split_scheme(text)?;
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let Some(rest) = rest.strip_prefix("//") else {
        return without_authority(scheme, rest);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    check_authority(authority)?;
    Ok(Url { scheme, authority: authority.into(), path: path.into() })
}

fn without_authority(scheme: String, rest: &str) -> Result<Url, String> {
    let first = rest.split('/').next().unwrap_or(rest);
    if scheme.is_empty() && first.contains(':') {
        return Err("first path segment in URL cannot contain colon".into());
    }
    Ok(Url { scheme, authority: String::new(), path: rest.into() })
}

fn split_scheme(text: &str) -> Result<(String, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((text[..at].to_ascii_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn check_authority(authority: &str) -> Result<(), String> {
    if let Some(bad) = authority.chars().find(|c| matches!(c, ' ' | '"' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(format!("invalid character {} in host name", crate::quote(&bad.to_string())));
    }
    let port = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("missing ']' in host")?.1,
        None => authority.rfind(':').map_or("", |at| &authority[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !port.is_empty() && (!port.starts_with(':') || !digits.bytes().all(|b| b.is_ascii_digit())) {
        return Err(format!("invalid port {} after host", crate::quote(port)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Url::parse(text).unwrap_err()
    }

    #[test]
    fn reads_what_go_reads() {
        let url = Url::parse(" HTTP://127.0.0.1:2379 ").unwrap();
        assert_eq!(
            (url.host(), url.port(), url.to_string().as_str()),
            ("127.0.0.1", Some("2379"), "http://127.0.0.1:2379")
        );
        assert_eq!(Url::parse("http://[::1]:1").unwrap().host(), "::1");
        assert_eq!(Url::parse("unix://localhost:2").unwrap().socket_path().unwrap(), "localhost:2");
        assert_eq!(Url::parse("unix:///run/a.sock").unwrap().socket_path().unwrap(), "/run/a.sock");
        let list = Url::parse_list("http://b:1,http://a:2,http://b:1").unwrap();
        assert_eq!(join(&list), "http://a:2,http://b:1");
    }

    #[test]
    fn names_and_their_urls() {
        let named = parse_named("b=http://y:1,a=http://x:2,,a=http://x:1").unwrap();
        assert_eq!(join(&named["a"]), "http://x:1,http://x:2");
        assert_eq!(named.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parse_named("a").unwrap_err(), "URL scheme must be http, https, unix, or unixs: ");
        assert!(parse_named("").unwrap().is_empty());
    }

    #[test]
    fn refuses_with_gos_texts() {
        assert_eq!(error("127.0.0.1:1"), "parse \"127.0.0.1:1\": first path segment in URL cannot contain colon");
        assert_eq!(error("http://127.0.0.1"), "URL address does not have the form \"host:port\": http://127.0.0.1");
        assert_eq!(error("http://127.0.0.1:1/x"), "URL must not contain a path: http://127.0.0.1:1/x");
        assert_eq!(error("ftp://127.0.0.1:1"), "URL scheme must be http, https, unix, or unixs: ftp://127.0.0.1:1");
        assert_eq!(error("localhost:2379"), "URL scheme must be http, https, unix, or unixs: localhost:2379");
        assert_eq!(error("nohost"), "URL scheme must be http, https, unix, or unixs: nohost");
        assert_eq!(error("http://a:b"), "parse \"http://a:b\": invalid port \":b\" after host");
        assert_eq!(error(":1"), "parse \":1\": missing protocol scheme");
        assert_eq!(error("http://a b:1"), "parse \"http://a b:1\": invalid character \" \" in host name");
    }

    #[test]
    fn binds_addresses_and_localhost_only() {
        assert!(Url::parse("http://localhost:1").unwrap().check_bind().is_ok());
        assert!(Url::parse("http://0.0.0.0:1").unwrap().check_bind().is_ok());
        let named = Url::parse("http://example.com:1").unwrap();
        assert_eq!(named.check_bind().unwrap_err(), "expected IP in URL for binding (http://example.com:1)");
        assert!(named.check_advertise().is_ok());
        let empty = Url::parse("http://:1").unwrap();
        assert_eq!(empty.check_advertise().unwrap_err(), "unexpected empty host (http://:1)");
    }
}
