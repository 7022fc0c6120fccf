//! What must hold of the members of a first start, with etcd's texts (facts: flags, 3).

use std::collections::BTreeSet;

use super::names::Names;
use super::urls;
use crate::config::{Config, InitialCluster, Url, quote};

/// Checks the members before a new cluster is founded: this one is among them, at the URLs that it advertises, and no URL
/// stands twice.
pub(super) async fn founding(config: &Config, cluster: &InitialCluster, names: &Names) -> Result<(), String> {
    let own = own_urls(config, cluster)?;
    if let Err(why) = urls::same(names, &config.initial_advertise_peer_urls, own).await {
        return Err(unlike(config, own, &why));
    }
    no_duplicates("initial", cluster)
}

/// Checks the members before a running cluster is asked; its own list says which URLs are this member's.
pub(super) fn joining(config: &Config, cluster: &InitialCluster) -> Result<(), String> {
    own_urls(config, cluster)?;
    no_duplicates("initial", cluster)
}

/// `kind` is `initial` or `discovery`.
pub(super) fn no_duplicates(kind: &str, cluster: &InitialCluster) -> Result<(), String> {
    let all: Vec<&Url> = cluster.values().flatten().collect();
    if all.iter().collect::<BTreeSet<_>>().len() == all.len() {
        return Ok(());
    }
    Err(format!("{kind} cluster {} has duplicate url", show(cluster)))
}

/// The members as one word, by name.
pub(super) fn show(cluster: &InitialCluster) -> String {
    let parts = cluster.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")));
    parts.collect::<Vec<_>>().join(",")
}

fn own_urls<'a>(config: &Config, cluster: &'a InitialCluster) -> Result<&'a [Url], String> {
    let own = cluster.get(&config.name).map(Vec::as_slice);
    own.ok_or_else(|| format!("couldn't find local name {} in the initial cluster configuration", quote(&config.name)))
}

/// Names the URLs that stand on one side only, else why those that seem alike are not.
fn unlike(config: &Config, own: &[Url], why: &str) -> String {
    let strings = |urls: &[Url]| urls.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let named = |urls: &mut dyn Iterator<Item = &String>| {
        urls.map(|url| format!("{}={url}", config.name)).collect::<Vec<_>>().join(",")
    };
    let (own, advertised) = (strings(own), strings(&config.initial_advertise_peer_urls));
    let list = |urls: &mut dyn Iterator<Item = &String>| urls.cloned().collect::<Vec<_>>().join(",");
    let missing = named(&mut own.difference(&advertised));
    if !missing.is_empty() {
        let advertised = list(&mut advertised.iter());
        return format!(
            "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised} ({why})"
        );
    }
    let missing = list(&mut advertised.difference(&own));
    let all = named(&mut advertised.iter());
    if !missing.is_empty() {
        return format!("--initial-advertise-peer-urls has {missing} but missing from --initial-cluster={all}");
    }
    format!("failed to resolve {} to match --initial-cluster={all} ({why})", list(&mut advertised.iter()))
}
