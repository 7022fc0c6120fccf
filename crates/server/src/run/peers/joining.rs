//! What a member asks the others before its first start: whether it has been one of them before, or whom it joins (facts:
//! peer-protocol, 6).

use super::super::serve::ServeError;
use crate::discovery::{Names, resolve_urls};
use crate::logging;
use ::peer::Fetcher;
use node::boot::{BootError, BootOptions, ExistingCluster};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long each of the others may take to say whether the cluster runs already.
const FOUNDING_PATIENCE: Duration = Duration::from_secs(1);
/// How long each may take for questions of one who joins.
const JOINING_PATIENCE: Duration = Duration::from_secs(10);

/// Asks the other members what must be known before the first start, and checks what this member has been told.
pub async fn meet(
    mut options: BootOptions,
    joins: bool,
    election_timeout: Duration,
    names: &Names,
) -> Result<BootOptions, ServeError> {
    let fetcher = Fetcher::new(Duration::from_secs(1) + election_timeout);
    if joins {
        options.check_joining()?;
        let existing = existing_cluster(&options, &fetcher, names).await?;
        options.join = Some(existing);
        return Ok(options);
    }
    let founding = options.founding()?;
    for url in options.remote_peer_urls() {
        match fetcher.members(&url, FOUNDING_PATIENCE).await {
            Ok(answer) => {
                let members: Vec<_> = answer.members.iter().map(own_form).collect();
                founding.check_not_bootstrapped(&members)?;
                break;
            }
            // It has not started yet, most often.
            Err(failure) => tracing::debug!(url, error = %failure, "no member list from a peer"),
        }
    }
    Ok(options)
}

async fn existing_cluster(
    options: &BootOptions,
    fetcher: &Fetcher,
    names: &Names,
) -> Result<ExistingCluster, ServeError> {
    let urls = options.remote_peer_urls();
    let mut found = None;
    for url in &urls {
        match fetcher.members(url, JOINING_PATIENCE).await {
            Ok(answer) => {
                found = Some(answer);
                break;
            }
            Err(failure) => {
                let fields = [("address", url.clone().into()), ("error", failure.to_string().into())];
                logging::warn("failed to get cluster response", &fields);
            }
        }
    }
    let found = found.ok_or(BootError::NoClusterInfo)?;
    let mut existing = ExistingCluster {
        cluster_id: found.cluster,
        members: found.members.iter().map(own_form).collect(),
        ..ExistingCluster::default()
    };
    resolve(options, &mut existing, names).await;
    // Who is not in the cluster that answered need not ask it for more.
    let joined = existing.match_members(&options.initial_cluster, &options.node.name)?;
    for member in existing.members.iter().filter(|member| member.id != joined.member_id) {
        for url in &member.peer_urls {
            if let Ok(versions) = fetcher.version(url, JOINING_PATIENCE).await {
                let text = versions.cluster.map_or_else(|| "not_decided".to_owned(), |version| version.to_string());
                existing.cluster_versions.push((member.id, text));
                break;
            }
        }
    }
    for url in &urls {
        if let Ok(enabled) = fetcher.downgrade_enabled(url, JOINING_PATIENCE).await {
            existing.downgrade_enabled = enabled;
            break;
        }
    }
    Ok(existing)
}

/// Names in URLs are compared by what they stand for, where they don't say the same.
async fn resolve(options: &BootOptions, existing: &mut ExistingCluster, names: &Names) {
    let local: BTreeSet<String> =
        options.initial_cluster.iter().flat_map(|member| member.peer_urls.iter().cloned()).collect();
    let remote: BTreeSet<String> =
        existing.members.iter().flat_map(|member| member.peer_urls.iter().cloned()).collect();
    let different = local.symmetric_difference(&remote).map(String::as_str);
    let resolved = resolve_urls(names, different).await;
    existing.resolved = resolved.urls;
    existing.resolve_error = resolved.error;
}

fn own_form(member: &proto::etcdserverpb::Member) -> state::members::Member {
    state::members::Member {
        id: member.id,
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        is_learner: member.is_learner,
    }
}
