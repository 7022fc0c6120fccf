//! Members from DNS: the SRV records `_etcd-server-ssl._tcp` and `_etcd-server._tcp` of a domain (facts: api-v2, 15).

use std::net::SocketAddr;

use super::names::{Names, Service};
use super::urls;
use crate::config::{Config, SrvDiscovery, Url};
use crate::logging::{self, Value};

/// The members that the records name, each as `name=url`: this member by its own name, the others by numbers. One of the two
/// services is enough; the error is that of both.
pub(super) async fn members(config: &Config, srv: &SrvDiscovery, names: &Names) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for (kind, scheme) in [("etcd-server-ssl", "https"), ("etcd-server", "http")] {
        let suffix = if srv.service.is_empty() { String::new() } else { format!("-{}", srv.service) };
        let service = format!("{kind}{suffix}");
        let looked_up = of_service(config, srv, names, scheme, &service).await;
        let (mut parts, error) = match looked_up {
            Ok(parts) => (parts, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let mut fields = vec![
            ("service-scheme", Value::from(scheme)),
            ("service-name", (&service).into()),
            ("server-name", (&config.name).into()),
            ("discovery-srv", (&srv.domain).into()),
            ("advertise-peer-urls", Value::urls(&config.initial_advertise_peer_urls)),
            ("found-cluster", parts.clone().into()),
        ];
        fields.extend(error.as_ref().map(|why| ("error", why.into())));
        logging::info(&format!("get cluster for {kind} SRV"), &fields);
        found.append(&mut parts);
        errors.extend(error);
    }
    if !errors.is_empty() {
        logging::warn("failed to resolve during SRV discovery", &[("error", errors.join("\n").into())]);
    }
    if found.is_empty() {
        return Err(errors.join("\n"));
    }
    for part in &found {
        logging::info("got bootstrap from DNS for etcd-server", &[("node", part.into())]);
    }
    Ok(found)
}

async fn of_service(
    config: &Config,
    srv: &SrvDiscovery,
    names: &Names,
    scheme: &str,
    service: &str,
) -> Result<Vec<String>, String> {
    let mut own: Vec<(SocketAddr, &Url)> = Vec::new();
    for url in config.initial_advertise_peer_urls.iter().filter(|url| url.socket_path().is_none()) {
        let found = urls::addresses(names, url).await.map_err(|why| why.to_string())?;
        own.extend(found.into_iter().map(|address| (address, url)));
    }
    let querying = |why: String| format!("error querying DNS SRV records for _{service} {why}");
    let records = names.services(&format!("_{service}._tcp.{}", srv.domain)).await;
    let records = records.map_err(|why| querying(why.to_string()))?;
    let (mut parts, mut last, mut unnamed) = (Vec::new(), None, 0);
    for record in records {
        let place = match place(names, &record, scheme).await {
            Ok(place) => place,
            Err(why) => {
                last = Some(why);
                continue;
            }
        };
        match own.iter().find(|(address, _)| place.addresses.contains(address)) {
            Some((_, expected)) if expected.scheme != scheme => {
                last = Some(format!(
                    "bootstrap at {} from DNS for {service} has scheme mismatch with expected peer {expected}",
                    place.url
                ));
            }
            Some(_) if !config.name.is_empty() => parts.push(format!("{}={}", config.name, place.url)),
            _ => {
                parts.push(format!("{unnamed}={}", place.url));
                unnamed += 1;
            }
        }
    }
    match last {
        Some(why) if parts.is_empty() => Err(querying(why)),
        _ => Ok(parts),
    }
}

/// Where a record leads.
struct Place {
    url: String,
    addresses: Vec<SocketAddr>,
}

/// The target has a dot at its end; a URL has not.
async fn place(names: &Names, record: &Service, scheme: &str) -> Result<Place, String> {
    let found = names.addresses(&record.target).await.map_err(|why| why.to_string())?;
    let host = record.target.trim_end_matches('.');
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Ok(Place {
        url: format!("{scheme}://{host}:{}", record.port),
        addresses: found.into_iter().map(|ip| SocketAddr::new(ip, record.port)).collect(),
    })
}
