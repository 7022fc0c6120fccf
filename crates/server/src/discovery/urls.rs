//! URLs that stand for the same place: host names are resolved before they are compared.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::names::{LookupError, Names};
use crate::config::{Url, quote};
use crate::logging::{self, Value};

const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What became of a number of URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Each URL whose host is a name, and the same with an address in its place.
    pub urls: BTreeMap<String, String>,
    /// Why a name could not be resolved: that of the first one.
    pub error: Option<String>,
}

/// Resolves the hosts of URLs, trying again each second for as long as `names` has patience. What is no URL stands for itself.
pub async fn resolve_urls<'a>(names: &Names, urls: impl IntoIterator<Item = &'a str>) -> Resolved {
    let deadline = Instant::now() + names.patience();
    let mut resolved = Resolved::default();
    for text in urls {
        let Ok(url) = Url::parse(text) else { continue };
        match resolve(names, &url, deadline).await {
            Ok(Some(found)) => drop(resolved.urls.insert(text.to_owned(), found)),
            Ok(None) => {}
            Err(why) => {
                let why = format!("failed to resolve {} ({why})", quote(text));
                resolved.error = resolved.error.or(Some(why));
            }
        }
    }
    resolved
}

/// Whether two lists of URLs lead to the same places; if not, how they differ.
pub(super) async fn same(names: &Names, left: &[Url], right: &[Url]) -> Result<(), String> {
    let sorted = |urls: &[Url]| {
        let mut texts: Vec<String> = urls.iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    };
    let (mut left, mut right) = (sorted(left), sorted(right));
    if left.len() != right.len() {
        let list = |texts: &[String]| texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(" ");
        return Err(format!("len([{}]) != len([{}])", list(&left), list(&right)));
    }
    if left == right {
        return Ok(());
    }
    let resolved = resolve_urls(names, left.iter().chain(&right).map(String::as_str)).await;
    if let Some(why) = resolved.error {
        return Err(why);
    }
    for texts in [&mut left, &mut right] {
        texts.iter_mut().for_each(|text| {
            if let Some(found) = resolved.urls.get(text) {
                text.clone_from(found);
            }
        });
        texts.sort();
    }
    match left.iter().zip(&right).find(|(left, right)| left != right) {
        Some((left, right)) => Err(format!("resolved urls: {} != {}", quote(left), quote(right))),
        None => Ok(()),
    }
}

/// The URL with an address in place of its host name; `None` where there is nothing to resolve.
async fn resolve(names: &Names, url: &Url, deadline: Instant) -> Result<Option<String>, String> {
    let host = url.host();
    if url.socket_path().is_some() || host == "localhost" || host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(None);
    }
    let shown = || [("url", Value::from(url.to_string())), ("host", (&url.authority).into())];
    loop {
        let looked_up = timeout_at(deadline, address(names, url)).await;
        let looked_up = looked_up.map_err(|_elapsed| "context deadline exceeded".to_owned());
        let why = match looked_up.and_then(|found| found.map_err(|why| why.to_string())) {
            Ok(found) => {
                let mut fields = shown().to_vec();
                fields.push(("resolved-addr", found.to_string().into()));
                logging::info("resolved URL Host", &fields);
                return Ok(Some(format!("{}://{found}", url.scheme)));
            }
            Err(why) => why,
        };
        let mut fields = shown().to_vec();
        fields.extend([("retry-interval", Value::from(RETRY_INTERVAL)), ("error", Value::from(&why))]);
        logging::warn("failed to resolve URL Host", &fields);
        if Instant::now() + RETRY_INTERVAL >= deadline {
            logging::warn("failed to resolve URL Host; returning", &fields);
            return Err(why);
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// The one address that stands for the URL: the least of its host's, IPv4 before IPv6, so that the order of a server's answer
/// doesn't matter.
async fn address(names: &Names, url: &Url) -> Result<SocketAddr, LookupError> {
    let found = addresses(names, url).await?;
    found.first().copied().ok_or_else(|| LookupError::NoSuchHost { name: url.host().to_owned() })
}

/// All addresses that the URL leads to; never empty.
pub(super) async fn addresses(names: &Names, url: &Url) -> Result<Vec<SocketAddr>, LookupError> {
    let port = url.port().unwrap_or_default();
    let invalid = |_| LookupError::Invalid(format!("address {}: invalid port", url.authority));
    let port: u16 = port.parse().map_err(invalid)?;
    let found = names.addresses(url.host()).await?;
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}
