//! Peer URLs of MemberAdd and MemberUpdate.

use proto::errors::ClientError;

/// The URLs sorted, if there is one and each is `scheme://host:port` with scheme http, https, unix or unixs, without a
/// path. etcd checks those of MemberAdd only; a bad one in MemberUpdate stops its other members, so ours refuses it.
pub fn peer_urls(urls: &[String]) -> Result<Vec<String>, ClientError> {
    let mut good: Vec<String> = urls.iter().map(|url| url.trim().to_owned()).collect();
    if good.is_empty() || !good.iter().all(|url| is_peer_url(url)) {
        return Err(ClientError::MemberBadURLs);
    }
    good.sort();
    Ok(good)
}

fn is_peer_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    match scheme {
        "http" | "https" => is_host_port(rest),
        "unix" | "unixs" => !rest.is_empty(),
        _ => false,
    }
}

fn is_host_port(authority: &str) -> bool {
    if authority.contains(['/', '?', '#', ' ', '@']) {
        return false;
    }
    let Some((host, port)) = authority.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    (bracketed || !host.contains([':', '[', ']'])) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str| peer_urls(&[url.to_owned()]).is_ok();
        for good in ["http://a:1", "https://[::1]:2380", "unix://127.0.0.1:1", "unixs:///tmp/s", " http://a:1"] {
            assert!(check(good), "{good}");
        }
        for bad in ["", "a:1", "ftp://a:1", "http://a", "http://a:1/x", "http://a:1/", "http://a:b", "http://::1:2"] {
            assert!(!check(bad), "{bad}");
        }
        assert_eq!(peer_urls(&[]), Err(ClientError::MemberBadURLs));
        assert_eq!(peer_urls(&["http://b:1".into(), "http://a:1".into()]).unwrap(), ["http://a:1", "http://b:1"]);
    }
}
