//! Lists of member URLs, with the refusals of etcd and of Go's `net/url`.

use super::quote::quote;

/// `scheme://host:port,...`, sorted.
pub fn parse_urls(list: &str) -> Result<Vec<String>, String> {
    let mut urls = list.split(',').map(parse_url).collect::<Result<Vec<_>, _>>()?;
    urls.sort();
    Ok(urls)
}

/// `name=url,name=url,...`, in order.
pub fn split_name_urls(list: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, url) = pair.split_once('=').unwrap_or((pair, ""));
        if url.is_empty() {
            return Err(format!("empty URL given for {}", quote(name)));
        }
        pairs.push((name.to_owned(), parse_url(url)?));
    }
    Ok(pairs)
}

fn parse_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let refused = |why: &str| Err(format!("parse {}: {why}", quote(text)));
    let Some((scheme, rest)) = text.split_once("://") else {
        let first = text.split('/').next().unwrap_or_default();
        if first.starts_with(':') {
            return refused("missing protocol scheme");
        }
        if first.contains(':') && first.starts_with(|c: char| !c.is_ascii_alphabetic()) {
            return refused("first path segment in URL cannot contain colon");
        }
        return Err(format!("URL scheme must be http, https, unix, or unixs: {text}"));
    };
    if matches!(scheme, "unix" | "unixs") {
        return Ok(text.to_owned());
    }
    if !matches!(scheme, "http" | "https") {
        return Err(format!("URL scheme must be http, https, unix, or unixs: {text}"));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
    match port {
        Some(port) if !port.chars().all(|c| c.is_ascii_digit()) => {
            refused(&format!("invalid port {} after host", quote(&format!(":{port}"))))
        }
        None => Err(format!("URL address does not have the form \"host:port\": {text}")),
        Some(_) if !path.is_empty() => Err(format!("URL must not contain a path: {text}")),
        Some(_) => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_etcds() {
        for (url, text) in [
            ("127.0.0.1:1", "parse \"127.0.0.1:1\": first path segment in URL cannot contain colon"),
            ("ftp://127.0.0.1:1", "URL scheme must be http, https, unix, or unixs: ftp://127.0.0.1:1"),
            ("http://127.0.0.1", "URL address does not have the form \"host:port\": http://127.0.0.1"),
            ("http://127.0.0.1:1/x", "URL must not contain a path: http://127.0.0.1:1/x"),
            ("http://h:x", "parse \"http://h:x\": invalid port \":x\" after host"),
        ] {
            assert_eq!(parse_urls(url).unwrap_err(), text);
        }
    }

    #[test]
    fn lists() {
        assert_eq!(parse_urls("http://b:1,http://a:1").unwrap(), ["http://a:1", "http://b:1"]);
        let pairs = split_name_urls("a=http://x:1,b=http://y:1").unwrap();
        assert_eq!(pairs[1], ("b".to_owned(), "http://y:1".to_owned()));
        assert!(split_name_urls("a").is_err());
    }
}
