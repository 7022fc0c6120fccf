//! A new member of a new cluster: ids from the initial cluster, one conf change entry for each of its members. All
//! founding members write the same entries; nothing is exchanged (facts: peer-protocol, 6).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType, HardState};
use state::State;
use state::members::Member;
use wal::{Initial, MemberDir, Wal};

use super::{BootError, BootOptions, Found, InitialMember, restart};
use crate::ids::{cluster_id, member_id};
use crate::node::Log;

/// The founding term.
const TERM: u64 = 1;

/// The founding members with their ids, ascending by id.
pub(crate) fn founders(cluster: &[InitialMember], token: &str) -> Result<Vec<Member>, BootError> {
    let mut urls_by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for InitialMember { name, peer_urls } in cluster {
        for url in peer_urls {
            if url.is_empty() {
                return Err(BootError::NoUrl);
            }
            if !seen.insert(url.as_str()) {
                return Err(BootError::DuplicateUrl { cluster: cluster_text(cluster) });
            }
            urls_by_name.entry(name).or_default().insert(url);
        }
    }
    let mut members: Vec<Member> = urls_by_name
        .into_iter()
        .map(|(name, urls)| {
            let peer_urls: Vec<String> = urls.into_iter().map(str::to_owned).collect();
            Member { id: member_id(&peer_urls, token, None), name: name.to_owned(), peer_urls, ..Member::default() }
        })
        .collect();
    members.sort_by_key(|member| member.id);
    Ok(members)
}

/// `name=url,name=url`, sorted by name, as etcd prints it.
fn cluster_text(cluster: &[InitialMember]) -> String {
    let mut parts: Vec<String> =
        cluster.iter().flat_map(|member| member.peer_urls.iter().map(|url| format!("{}={url}", member.name))).collect();
    parts.sort();
    parts.join(",")
}

/// This member among the founders, whose URLs must be those advertised.
pub(crate) fn own_founder<'a>(
    founders: &'a [Member],
    name: &str,
    advertised: &[String],
) -> Result<&'a Member, BootError> {
    let own = founders.iter().find(|member| member.name == name);
    let own = own.ok_or_else(|| BootError::NameNotInCluster { name: name.to_owned() })?;
    let mut sorted = advertised.to_vec();
    sorted.sort();
    sorted.dedup();
    let missing: Vec<&String> = own.peer_urls.iter().filter(|url| !sorted.contains(url)).collect();
    if !missing.is_empty() {
        let named: Vec<String> = missing.iter().map(|url| format!("{name}={url}")).collect();
        return Err(BootError::NotAdvertised {
            missing: named.join(","),
            advertised: sorted.join(","),
            first_advertised: sorted.first().cloned().unwrap_or_default(),
            first_missing: own.peer_urls.first().cloned().unwrap_or_default(),
        });
    }
    let unknown: Vec<&str> = sorted.iter().filter(|url| !own.peer_urls.contains(url)).map(String::as_str).collect();
    if !unknown.is_empty() {
        let cluster: Vec<String> = own.peer_urls.iter().map(|url| format!("{name}={url}")).collect();
        return Err(BootError::NotInCluster { advertised: unknown.join(","), cluster: cluster.join(",") });
    }
    Ok(own)
}

/// The entries that found the cluster.
pub(crate) fn founding_entries(founders: &[Member]) -> Vec<Entry> {
    (1..)
        .zip(founders)
        .map(|(index, member)| {
            let change = ConfChange {
                id: 0,
                change_type: ConfChangeType::ConfChangeAddNode as i32,
                node_id: member.id,
                context: Bytes::from(member.to_json()),
            };
            let data = Bytes::from(change.encode_to_vec());
            Entry { entry_type: EntryType::EntryConfChange as i32, term: TERM, index, data }
        })
        .collect()
}

/// Makes log and database. The log appears with the founding entries or not at all.
pub(super) fn bootstrap(options: &BootOptions, dir: &MemberDir) -> Result<Found, BootError> {
    let founders = founders(&options.initial_cluster, &options.initial_cluster_token)?;
    let own = own_founder(&founders, &options.node.name, &options.peer_urls)?;
    let cluster_id = cluster_id(&founders.iter().map(|member| member.id).collect::<Vec<_>>());
    let state_options = options.state_options(dir, own.id);
    let state = State::open(state_options.clone()).map_err(|error| restart::state_error(error, dir))?;
    if state.consistent().index > 0 {
        let (db, wal) = (dir.db(), dir.wal().to_owned());
        return Err(BootError::DbWithoutLog { db, wal, index: state.consistent().index });
    }
    let entries = founding_entries(&founders);
    let hard_state = HardState { term: TERM, vote: 0, commit: entries.len() as u64 };
    let initial = Initial { hard_state, entries: entries.clone(), snapshot: None };
    let wal_options = wal::Options { segment_bytes: options.wal_segment_bytes };
    let disk = options.disk.clone();
    let wal = Wal::create_with(disk, dir.wal(), own.id, cluster_id, &initial, wal_options)?;
    let log = Log { entries, ..Log::default() };
    Ok(Found { member_id: own.id, cluster_id, wal, hard_state, log, state, state_options, fresh: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, url: &str) -> InitialMember {
        InitialMember { name: name.into(), peer_urls: vec![url.into()] }
    }

    #[test]
    fn the_initial_cluster_is_checked_with_etcds_texts() {
        let twice = [member("a", "http://x:1"), member("b", "http://x:1")];
        let error = founders(&twice, "t").unwrap_err().to_string();
        assert_eq!(error, "initial cluster a=http://x:1,b=http://x:1 has duplicate url");
        let one = founders(&[member("m1", "http://a:1")], "t").unwrap();
        let error = own_founder(&one, "m2", &["http://a:1".into()]).unwrap_err().to_string();
        assert_eq!(error, "couldn't find local name \"m2\" in the initial cluster configuration");
        let error = own_founder(&one, "m1", &["http://b:1".into()]).unwrap_err().to_string();
        assert_eq!(
            error,
            "--initial-cluster has m1=http://a:1 but missing from --initial-advertise-peer-urls=http://b:1 \
             (resolved urls: \"http://b:1\" != \"http://a:1\")"
        );
        assert!(own_founder(&one, "m1", &["http://a:1".into()]).is_ok());
        let error = own_founder(&one, "m1", &["http://a:1".into(), "http://c:1".into()]).unwrap_err().to_string();
        assert_eq!(
            error,
            "--initial-advertise-peer-urls has http://c:1 but missing from --initial-cluster=m1=http://a:1"
        );
    }

    #[test]
    fn founding_entries_are_etcds() {
        let founders = founders(&[member("default", "http://localhost:2380")], "etcd-cluster").unwrap();
        let entries = founding_entries(&founders);
        let change = ConfChange::decode(entries[0].data.clone()).unwrap();
        assert_eq!((entries[0].term, entries[0].index, change.node_id), (1, 1, 0x8e9e_05c5_2164_694d));
        assert_eq!(
            change.context,
            r#"{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default"}"#
        );
    }
}
