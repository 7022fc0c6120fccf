//! Joining a cluster that runs (`--initial-cluster-state existing`): the initial cluster is held against what the members
//! say of themselves, ids are theirs, and the log begins empty: it comes from the leader (facts: peer-protocol, 6).
//!
//! Nothing is asked here: the caller brings the answers. The steps are public, so that it can stop at the first that fails.

use std::collections::{BTreeMap, BTreeSet};

use proto::raftpb::HardState;
use state::members::Member;
use state::{State, Version};
use wal::{Initial, MemberDir, Wal};

use super::bootstrap::{grouped, refuse_duplicates};
use super::{BootError, BootOptions, Found, InitialMember, restart};
use crate::node::Log;

/// What the members of a running cluster say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingCluster {
    /// From the header of the answer.
    pub cluster_id: u64,
    /// The answer of `/members` of the first member that gave one.
    pub members: Vec<Member>,
    /// What each other member that answered says on `/version` of the cluster version (`not_decided` where it is not).
    pub cluster_versions: Vec<(u64, String)>,
    /// The answer of `/downgrade/enabled` of the first member that gave one.
    pub downgrade_enabled: bool,
    /// Peer URLs with their host names resolved, where the caller could resolve them; others stand for themselves.
    pub resolved: BTreeMap<String, String>,
    /// Why a name could not be resolved.
    pub resolve_error: Option<String>,
}

/// The place found in a running cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub member_id: u64,
    /// The initial cluster with the ids that the cluster knows.
    pub members: Vec<Member>,
}

impl BootOptions {
    /// The first checks of one who joins; nobody need be asked for them. The peer URLs need not be those advertised: the
    /// cluster was told of them when the member was added.
    pub fn check_joining(&self) -> Result<(), BootError> {
        let named = self.initial_cluster.iter().any(|member| member.name == self.node.name);
        if !named {
            return Err(BootError::NameNotInCluster { name: self.node.name.clone() });
        }
        refuse_duplicates(&self.initial_cluster)
    }

    /// The peer URLs of the other members of the initial cluster, sorted: those to be asked about the cluster.
    pub fn remote_peer_urls(&self) -> Vec<String> {
        let others = self.initial_cluster.iter().filter(|member| member.name != self.node.name);
        others.flat_map(|member| member.peer_urls.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl ExistingCluster {
    /// Finds each member of the initial cluster in the running one by its URLs.
    pub fn match_members(&self, initial: &[InitialMember], name: &str) -> Result<Joined, BootError> {
        let mut members: Vec<Member> = grouped(initial)?
            .into_iter()
            .map(|(name, peer_urls)| Member { name, peer_urls, ..Member::default() })
            .collect();
        self.assign_ids(&mut members).map_err(|reason| BootError::PeerUrlsInvalid { cluster: self.text(), reason })?;
        let own = members.iter().find(|member| member.name == name);
        let own = own.ok_or_else(|| BootError::NameNotInCluster { name: name.to_owned() })?;
        Ok(Joined { member_id: own.id, members })
    }

    fn assign_ids(&self, local: &mut [Member]) -> Result<(), String> {
        if self.members.len() != local.len() {
            return Err("member count is unequal".to_owned());
        }
        let mut existing: Vec<&Member> = self.members.iter().collect();
        existing.sort_by_key(|member| member.id);
        local.sort_by(|a, b| a.peer_urls.first().cmp(&b.peer_urls.first()));
        for known in existing {
            let mut last = "<nil>".to_owned();
            let found = local.iter_mut().find(|member| match self.same_urls(&known.peer_urls, &member.peer_urls) {
                Ok(()) => true,
                Err(why) => {
                    last = why;
                    false
                }
            });
            let Some(member) = found else {
                let urls = known.peer_urls.join(" ");
                return Err(format!(
                    "PeerURLs: no match found for existing member ({:x}, [{urls}]), last resolver error ({last})",
                    known.id
                ));
            };
            member.id = known.id;
        }
        Ok(())
    }

    /// Whether two sets of URLs lead to the same places; if not, in what they differ.
    fn same_urls(&self, a: &[String], b: &[String]) -> Result<(), String> {
        if a.len() != b.len() {
            return Err(format!("len({}) != len({})", quoted(a), quoted(b)));
        }
        let sorted = |urls: &[String]| urls.iter().cloned().collect::<BTreeSet<_>>();
        if sorted(a) == sorted(b) {
            return Ok(());
        }
        if let Some(error) = &self.resolve_error {
            return Err(error.clone());
        }
        let resolved = |urls: &[String]| {
            let mut all: Vec<String> = urls.iter().map(|url| self.resolved.get(url).unwrap_or(url).clone()).collect();
            all.sort();
            all
        };
        match resolved(a).iter().zip(&resolved(b)).find(|(a, b)| a != b) {
            Some((a, b)) => Err(format!("resolved urls: {a:?} != {b:?}")),
            None => Ok(()),
        }
    }

    /// Whether a member of version `own` may join: no member may report a cluster version above it, except by one minor
    /// version during a downgrade, and at least one must report a version at all.
    pub fn check_versions(&self, own: Version) -> Result<(), BootError> {
        let mut highest = own.minor_line();
        highest.minor += u64::from(self.downgrade_enabled);
        let mut seen = false;
        // What is no version is passed over: it is `not_decided`.
        for version in self.cluster_versions.iter().filter_map(|(_, text)| text.parse::<Version>().ok()) {
            if version < Version::V3_0 || version > highest {
                return Err(BootError::Incompatible);
            }
            seen = true;
        }
        if seen { Ok(()) } else { Err(BootError::Incompatible) }
    }

    /// Whether there are not more learners already than this member allows.
    pub fn check_learners(&self, learners_max: usize) -> Result<(), BootError> {
        let learners = self.members.iter().filter(|member| member.is_learner).count();
        if learners > learners_max { Err(BootError::TooManyLearners) } else { Ok(()) }
    }

    /// The cluster as etcd prints it.
    fn text(&self) -> String {
        let members: Vec<String> = self.members.iter().map(member_text).collect();
        format!("{{ClusterID:{:x} Members:[{}] RemovedMemberIDs:[]}}", self.cluster_id, members.join(" "))
    }
}

/// `["a" "b"]`
fn quoted(urls: &[String]) -> String {
    let urls: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
    format!("[{}]", urls.join(" "))
}

fn member_text(member: &Member) -> String {
    format!(
        "&{{ID:{:x} RaftAttributes:{{PeerURLs:[{}] IsLearner:{}}} Attributes:{{Name:{} ClientURLs:[{}]}}}}",
        member.id,
        member.peer_urls.join(" "),
        member.is_learner,
        member.name,
        member.client_urls.join(" ")
    )
}

/// Makes an empty log that knows only who and where it is, and an empty database.
pub(super) fn join(options: &BootOptions, dir: &MemberDir, existing: &ExistingCluster) -> Result<Found, BootError> {
    options.check_joining()?;
    let joined = existing.match_members(&options.initial_cluster, &options.node.name)?;
    existing.check_versions(options.node.compat)?;
    existing.check_learners(options.node.learners_max)?;
    if existing.cluster_id == 0 || joined.member_id == 0 {
        let reason = "0 is the id of nobody".to_owned();
        return Err(BootError::PeerUrlsInvalid { cluster: existing.text(), reason });
    }
    let state_options = options.state_options(dir, joined.member_id);
    let state = State::open(state_options.clone()).map_err(|error| restart::state_error(error, dir))?;
    if state.consistent().index > 0 {
        let (db, wal) = (dir.db(), dir.wal().to_owned());
        return Err(BootError::DbWithoutLog { db, wal, index: state.consistent().index });
    }
    let wal_options = wal::Options { segment_bytes: options.wal_segment_bytes };
    let (disk, cluster_id) = (options.disk.clone(), existing.cluster_id);
    let wal = Wal::create_with(disk, dir.wal(), joined.member_id, cluster_id, &Initial::default(), wal_options)?;
    Ok(Found {
        member_id: joined.member_id,
        cluster_id,
        wal,
        hard_state: HardState::default(),
        log: Log::default(),
        state,
        state_options,
        fresh: true,
    })
}
