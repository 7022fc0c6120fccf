//! Who the members of a cluster are, before it is: from `--initial-cluster`, from DNS, or from a discovery service.
//!
//! Only a member without a log asks; later its log knows. [`named`] says whom the flags or the DNS name (etcd does this before
//! it opens anything), [`settle`] checks that and, with a discovery service, registers and waits for the others. What is
//! founded or joined from there is the caller's business; nothing is asked of other members here.

mod conf;
mod connected;
mod names;
mod registry;
mod srv;
#[cfg(test)]
mod tests;
mod urls;
mod verify;

pub use conf::ResolvConf;
pub use names::{LookupError, Names, Service};
pub use registry::{Registry, RegistryError};
pub use urls::{Resolved, resolve_urls};

use crate::config::{Config, Discovery, InitialCluster, Url, V3Discovery, quote};
use crate::logging;

/// The members of a first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// By name; this member is among them.
    pub cluster: InitialCluster,
    /// From which, with the URLs, the ids are made: `--initial-cluster-token`, or that of the discovery service.
    pub token: String,
}

impl Bootstrap {
    /// This member's URLs as the others know them: the ids are made from these, also where it advertises an address and they
    /// have its name.
    pub fn own_urls(&self, config: &Config) -> Vec<String> {
        let own = self.cluster.get(&config.name).unwrap_or(&config.initial_advertise_peer_urls);
        own.iter().map(ToString::to_string).collect()
    }
}

/// Why the members could not be found: the text of field `error` under the message `discovery failed`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// What flags, DNS or the discovery service say cannot be.
    #[error("{0}")]
    Members(String),
    /// The discovery service has no place for this member; etcd says so in lines of its own ([`tell_refused`]).
    #[error("failed to join discovery cluster ({0})")]
    Join(RegistryError),
}

/// The members of a first start, found and checked.
pub async fn initial_cluster(config: &Config, names: &Names) -> Result<Bootstrap, DiscoveryError> {
    settle(config, names, named(config, names).await?).await
}

/// Whom flags or DNS name; with a discovery service this member alone.
pub async fn named(config: &Config, names: &Names) -> Result<Bootstrap, DiscoveryError> {
    let setting_up = |why: String| DiscoveryError::Members(format!("error setting up initial cluster: {why}"));
    let parse = |text: &str| gotext::parse_named(text).map_err(setting_up);
    let token = config.initial_cluster_token.clone();
    match &config.discovery {
        Discovery::Static => Ok(Bootstrap { cluster: parse(&config.initial_cluster)?, token }),
        Discovery::Registry(settings) => Ok(Bootstrap { cluster: own(config), token: settings.token.clone() }),
        Discovery::Srv(srv) => {
            let found = srv::members(config, srv, names).await.map_err(setting_up)?;
            let cluster = parse(&found.join(","))?;
            if !cluster.contains_key(&config.name) {
                let name = quote(&config.name);
                return Err(setting_up(format!("cannot find local etcd member {name} in SRV records")));
            }
            Ok(Bootstrap { cluster, token })
        }
    }
}

/// Checks what [`named`] found and, for a new cluster with a discovery service, waits there for the others.
pub async fn settle(config: &Config, names: &Names, found: Bootstrap) -> Result<Bootstrap, DiscoveryError> {
    if config.join_existing {
        verify::joining(config, &found.cluster).map_err(DiscoveryError::Members)?;
        return Ok(found);
    }
    verify::founding(config, &found.cluster, names).await.map_err(DiscoveryError::Members)?;
    match &config.discovery {
        Discovery::Registry(settings) => register(config, settings).await,
        Discovery::Static | Discovery::Srv(_) => Ok(found),
    }
}

/// The lines in which etcd tells that a discovery service refused this member; the process ends with exit code 1.
pub fn tell_refused(config: &Config, error: &DiscoveryError) {
    let Discovery::Registry(settings) = &config.discovery else { return };
    let fields = [
        ("discovery-token", (&settings.token).into()),
        ("discovery-endpoints", settings.endpoints.clone().into()),
        ("error", error.to_string().into()),
    ];
    logging::warn("failed to bootstrap; discovery token was already used", &fields);
    logging::warn("do not reuse discovery token; generate a new one to bootstrap a cluster", &[]);
}

fn own(config: &Config) -> InitialCluster {
    [(config.name.clone(), config.initial_advertise_peer_urls.clone())].into()
}

async fn register(config: &Config, settings: &V3Discovery) -> Result<Bootstrap, DiscoveryError> {
    logging::info("Bootstrapping cluster using v3 discovery.", &[]);
    let own = &config.initial_advertise_peer_urls;
    let texts: Vec<String> = own.iter().map(ToString::to_string).collect();
    let member_id = node::member_id(&texts, &settings.token, None);
    let registry = Registry::new(settings, member_id).map_err(DiscoveryError::Join)?;
    let members = registry.join(&registry::own_registration(&config.name, own)).await.map_err(DiscoveryError::Join)?;
    let cluster = gotext::parse_named(&members).map_err(DiscoveryError::Members)?;
    verify::no_duplicates("discovery", &cluster).map_err(DiscoveryError::Members)?;
    check_own(config, &cluster, own)?;
    Ok(Bootstrap { cluster, token: settings.token.clone() })
}

/// Two members with one name would be taken for one with the URLs of both.
fn check_own(config: &Config, cluster: &InitialCluster, own: &[Url]) -> Result<(), DiscoveryError> {
    if cluster.get(&config.name).is_some_and(|urls| urls.len() == own.len()) {
        return Ok(());
    }
    let name = quote(&config.name);
    Err(DiscoveryError::Members(format!(
        "another member has registered with the discovery service under the name {name}"
    )))
}
