//! The headers that members send each other (facts: peer-protocol, 1.1).

use http::header::HeaderValue;
use http::{HeaderMap, HeaderName};
use state::Version;

use crate::config::{Identity, MIN_CLUSTER_VERSION};

pub(crate) const SERVER_FROM: HeaderName = HeaderName::from_static("x-server-from");
pub(crate) const SERVER_VERSION: HeaderName = HeaderName::from_static("x-server-version");
pub(crate) const MIN_CLUSTER: HeaderName = HeaderName::from_static("x-min-cluster-version");
pub(crate) const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");
pub(crate) const RAFT_TO: HeaderName = HeaderName::from_static("x-raft-to");
pub(crate) const PEER_URLS: HeaderName = HeaderName::from_static("x-peerurls");
/// What counts where a version is not told.
const UNTOLD: Version = Version::new(2, 0);

/// What every request of the raft paths carries.
pub(crate) fn of_sender(identity: &Identity) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(SERVER_FROM, id(identity.member));
    headers.insert(SERVER_VERSION, version(identity.version));
    headers.insert(MIN_CLUSTER, version(MIN_CLUSTER_VERSION));
    headers.insert(CLUSTER_ID, id(identity.cluster));
    // URLs were checked when they became a member's; one that no header can hold is not told.
    if let Ok(urls) = HeaderValue::from_str(&identity.peer_urls.join(",")) {
        headers.insert(PEER_URLS, urls);
    }
    headers
}

/// An id as a header holds it.
pub(crate) fn id(id: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("{id:x}")).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

/// A version as a header holds it.
pub(crate) fn version(version: Version) -> HeaderValue {
    HeaderValue::from_str(&version.to_string()).unwrap_or_else(|_| HeaderValue::from_static("0.0.0"))
}

/// A header's text; empty where it is absent or no text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The id in a header.
pub(crate) fn read_id(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    parse_id(text(headers, name))
}

/// The version in a header, 2.0.0 where it is absent; `None` where it is no version.
pub(crate) fn read_version(headers: &HeaderMap, name: HeaderName) -> Option<Version> {
    let text = match headers.get(name) {
        None => return Some(UNTOLD),
        Some(value) => value.to_str().ok()?,
    };
    // Strictly three numbers, as semver has it.
    (text.split(['-', '+']).next()?.split('.').count() == 3).then(|| text.parse().ok())?
}

/// An id in hexadecimal, not zero.
pub(crate) fn parse_id(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|id| plain && *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_versions_are_read_strictly() {
        assert_eq!(parse_id("ae83f8a8d0a1ff"), Some(0xae83f8a8d0a1ff));
        for text in ["", "0", "+1", "-1", "x", "1ffffffffffffffff"] {
            assert_eq!(parse_id(text), None, "{text}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(read_version(&headers, SERVER_VERSION), Some(UNTOLD));
        for (text, read) in
            [("3.4.23", Some((3, 4))), ("3.6.0-alpha.0", Some((3, 6))), ("3.4", None), ("x", None), ("", None)]
        {
            headers.insert(SERVER_VERSION, HeaderValue::from_static(text));
            assert_eq!(read_version(&headers, SERVER_VERSION).map(|v| (v.major, v.minor)), read, "{text}");
        }
    }

    #[test]
    fn a_sender_tells_who_it_is() {
        let peer_urls = vec!["http://a:1".to_owned(), "http://b:1".to_owned()];
        let identity =
            Identity { member: 0xab, cluster: 0xcd, version: Version { major: 3, minor: 7, patch: 1 }, peer_urls };
        let headers = of_sender(&identity);
        let text = |name| text(&headers, name).to_owned();
        assert_eq!(
            (text(SERVER_FROM), text(CLUSTER_ID), text(SERVER_VERSION)),
            ("ab".into(), "cd".into(), "3.7.1".into())
        );
        assert_eq!((text(MIN_CLUSTER), text(PEER_URLS)), ("3.0.0".into(), "http://a:1,http://b:1".into()));
    }
}
