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

/// The cluster that a new member founds, and the place of the member in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    pub member_id: u64,
    pub cluster_id: u64,
    /// Ascending by id.
    pub members: Vec<Member>,
}

impl BootOptions {
    /// The cluster to be founded, checked as far as nobody else need be asked. The caller asks the others
    /// ([`BootOptions::remote_peer_urls`]) for their `/members`, and [`Founding::check_not_bootstrapped`] about the first
    /// answer, before it goes on to [`super::boot`].
    pub fn founding(&self) -> Result<Founding, BootError> {
        let name = &self.node.name;
        if self.initial_cluster.iter().all(|member| member.name != *name) {
            return Err(BootError::NameNotInCluster { name: name.clone() });
        }
        let members = founders(&self.initial_cluster, &self.initial_cluster_token)?;
        let member_id = own_founder(&members, name, &self.peer_urls)?.id;
        let cluster_id = cluster_id(&members.iter().map(|member| member.id).collect::<Vec<_>>());
        Ok(Founding { member_id, cluster_id, members })
    }
}

impl Founding {
    /// Refuses where the cluster runs already and this member has been part of it: its data are lost, and a second life
    /// would vote again where the first one has. `answer` is what one of the others says on `/members`.
    pub fn check_not_bootstrapped(&self, answer: &[Member]) -> Result<(), BootError> {
        let known = answer.iter().find(|member| member.id == self.member_id);
        match known {
            Some(member) if !member.client_urls.is_empty() => {
                Err(BootError::AlreadyBootstrapped { member: self.member_id })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The initial cluster by names, which may repeat, with each name's URLs sorted.
pub(super) fn grouped(cluster: &[InitialMember]) -> Result<Vec<(String, Vec<String>)>, BootError> {
    let mut urls_by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for InitialMember { name, peer_urls } in cluster {
        for url in peer_urls {
            if url.is_empty() {
                return Err(BootError::NoUrl);
            }
            urls_by_name.entry(name).or_default().insert(url);
        }
    }
    let owned = |urls: BTreeSet<&str>| urls.into_iter().map(str::to_owned).collect();
    Ok(urls_by_name.into_iter().map(|(name, urls)| (name.to_owned(), owned(urls))).collect())
}

/// No URL may stand in the initial cluster twice.
pub(super) fn refuse_duplicates(cluster: &[InitialMember]) -> Result<(), BootError> {
    let mut seen = BTreeSet::new();
    match cluster.iter().flat_map(|member| &member.peer_urls).all(|url| seen.insert(url)) {
        true => Ok(()),
        false => Err(BootError::DuplicateUrl { cluster: cluster_text(cluster) }),
    }
}

/// The founding members with their ids, ascending by id.
pub(crate) fn founders(cluster: &[InitialMember], token: &str) -> Result<Vec<Member>, BootError> {
    let by_name = grouped(cluster)?;
    refuse_duplicates(cluster)?;
    let mut members: Vec<Member> = by_name
        .into_iter()
        .map(|(name, peer_urls)| Member {
            id: member_id(&peer_urls, token, None),
            name,
            peer_urls,
            ..Member::default()
        })
        .collect();
    members.sort_by_key(|member| member.id);
    Ok(members)
}

/// `name=url,name=url`, sorted by name, as etcd prints it.
pub(super) fn cluster_text(cluster: &[InitialMember]) -> String {
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
    let Founding { member_id, cluster_id, members } = options.founding()?;
    let state_options = options.state_options(dir, member_id);
    let state = State::open(state_options.clone()).map_err(|error| restart::state_error(error, dir))?;
    if state.consistent().index > 0 {
        let (db, wal) = (dir.db(), dir.wal().to_owned());
        return Err(BootError::DbWithoutLog { db, wal, index: state.consistent().index });
    }
    let entries = founding_entries(&members);
    let hard_state = HardState { term: TERM, vote: 0, commit: entries.len() as u64 };
    let initial = Initial { hard_state, entries: entries.clone(), snapshot: None };
    let wal_options = wal::Options { segment_bytes: options.wal_segment_bytes };
    let disk = options.disk.clone();
    let wal = Wal::create_with(disk, dir.wal(), member_id, cluster_id, &initial, wal_options)?;
    let log = Log { entries, ..Log::default() };
    Ok(Found { member_id, cluster_id, wal, hard_state, log, state, state_options, fresh: true })
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
