//! Membership as the tree keeps it under `/0` (facts: disk-formats, 3).

use super::error::V2Error;
use super::history::History;
use super::ops::{DeleteScope, Ttl};
use super::{AUTH_PREFIX, CLUSTER_PREFIX, KEYS_PREFIX, Tree, TreeView};
use crate::members::{Attributes, Member, Membership, RaftAttributes, id_text, parse_id};
use crate::versions::Version;

/// What is under `/0` cannot be read as a membership.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct MembershipError {
    pub path: String,
    pub what: String,
}

impl TreeView {
    /// Members and removed ids.
    pub fn membership(&self) -> Result<Membership, MembershipError> {
        let members =
            self.names(&members_path()).iter().map(|name| self.member(name)).collect::<Result<Vec<_>, _>>()?;
        let removed = self.names(&removed_path()).into_iter();
        let removed = removed.map(|name| id_of(&name, &removed_path())).collect::<Result<Vec<_>, _>>()?;
        Ok(Membership::new(members, removed))
    }

    fn member(&self, name: &str) -> Result<Member, MembershipError> {
        let id = id_of(name, &members_path())?;
        let raft_path = format!("{}/{name}/raftAttributes", members_path());
        let bad = |path: &str, what: String| MembershipError { path: path.to_owned(), what };
        let raft = self.value(&raft_path).ok_or_else(|| bad(&raft_path, "missing".to_owned()))?;
        let raft = RaftAttributes::from_json(raft.as_bytes()).map_err(|e| bad(&raft_path, e.to_string()))?;
        let path = format!("{}/{name}/attributes", members_path());
        let told = match self.value(&path) {
            Some(json) => Attributes::from_json(json.as_bytes()).map_err(|e| bad(&path, e.to_string()))?,
            None => Attributes::default(),
        };
        Ok(Member {
            id,
            name: told.name,
            peer_urls: raft.peer_urls,
            client_urls: told.client_urls,
            is_learner: raft.is_learner,
        })
    }

    /// The cluster version; `None` where it was never decided.
    pub fn cluster_version(&self) -> Result<Option<Version>, MembershipError> {
        let path = version_path();
        let Some(text) = self.value(&path) else {
            return Ok(None);
        };
        let version = text.parse().map_err(|_| MembershipError { path, what: format!("no version: {text:?}") })?;
        Ok(Some(version))
    }

    /// Whether clients have ever put something into the tree that is still there.
    pub fn has_user_content(&self) -> bool {
        !self.is_empty_below(KEYS_PREFIX) || self.nodes.contains_key(super::path::Key::of(AUTH_PREFIX).as_str())
    }

    /// The JSON of a snapshot for releases that keep membership in buckets and still want the tree to tell it: the
    /// generated form where clients have nothing in the tree, else the whole tree with `/0` made to agree.
    pub fn to_json_for(&self, membership: &Membership, version: Option<Version>) -> Vec<u8> {
        if !self.has_user_content() {
            return membership_json(membership, version);
        }
        let told = self.membership().ok().zip(self.cluster_version().ok());
        if told.is_some_and(|(m, v)| m == *membership && v == version) {
            return self.to_json();
        }
        let mut tree = Tree::from_view(self.clone());
        tree.set_membership(membership, version);
        tree.to_json()
    }
}

impl Tree {
    /// A member was added by a conf change.
    pub fn add_member(&mut self, id: u64, raft: &RaftAttributes) -> Result<(), V2Error> {
        self.create(&raft_path(id), false, &text(raft.to_json()), Ttl::PERMANENT).map(|_| ())
    }

    /// A member's peer URLs or role were changed by a conf change.
    pub fn update_member(&mut self, id: u64, raft: &RaftAttributes) -> Result<(), V2Error> {
        self.update(&raft_path(id), &text(raft.to_json()), Ttl::PERMANENT).map(|_| ())
    }

    /// A member was removed by a conf change, for ever.
    pub fn remove_member(&mut self, id: u64) -> Result<(), V2Error> {
        self.delete(&member_path(id), DeleteScope { dir: true, recursive: true })?;
        self.add_removed(id)
    }

    fn add_removed(&mut self, id: u64) -> Result<(), V2Error> {
        let path = format!("{}/{}", removed_path(), id_text(id));
        self.create(&path, false, "", Ttl::PERMANENT).map(|_| ())
    }

    /// What a member tells of itself. False, and without effect, where there is no such member.
    pub fn set_member_attributes(&mut self, id: u64, attributes: &Attributes) -> bool {
        if self.view.is_empty_below(&member_path(id)) {
            return false;
        }
        self.set(&attributes_path(id), false, &text(attributes.to_json()), Ttl::PERMANENT).is_ok()
    }

    /// The version that all members speak. False, and without effect, where a directory is in its place.
    pub fn set_cluster_version(&mut self, version: Version) -> bool {
        self.set(&version_path(), false, &version.to_string(), Ttl::PERMANENT).is_ok()
    }

    /// Makes `/0` tell exactly this, and leaves all else as it is.
    pub fn set_membership(&mut self, membership: &Membership, version: Option<Version>) {
        for path in [members_path(), removed_path(), version_path()] {
            // What is not there needs no deleting.
            self.delete(&path, DeleteScope { dir: true, recursive: true }).ok();
        }
        self.write_membership(membership, version);
    }

    // Into an empty `/0`, where no change can be refused.
    fn write_membership(&mut self, membership: &Membership, version: Option<Version>) {
        for member in membership.iter() {
            self.add_member(member.id, &member.raft_attributes()).expect("nothing is there");
            self.set_member_attributes(member.id, &member.attributes());
        }
        for id in membership.removed() {
            self.add_removed(id).expect("nothing is there");
        }
        if let Some(version) = version {
            self.set_cluster_version(version);
        }
    }
}

/// The JSON that 3.6 and later make from their buckets: membership and version, and nothing else.
pub fn membership_json(membership: &Membership, version: Option<Version>) -> Vec<u8> {
    let mut tree = Tree::new();
    tree.write_membership(membership, version);
    TreeView { history: History::default(), ..tree.view }.to_json()
}

fn members_path() -> String {
    format!("{CLUSTER_PREFIX}/members")
}

fn removed_path() -> String {
    format!("{CLUSTER_PREFIX}/removed_members")
}

fn version_path() -> String {
    format!("{CLUSTER_PREFIX}/version")
}

fn member_path(id: u64) -> String {
    format!("{}/{}", members_path(), id_text(id))
}

fn raft_path(id: u64) -> String {
    format!("{}/raftAttributes", member_path(id))
}

fn attributes_path(id: u64) -> String {
    format!("{}/attributes", member_path(id))
}

fn id_of(name: &str, dir: &str) -> Result<u64, MembershipError> {
    parse_id(name).ok_or_else(|| MembershipError { path: format!("{dir}/{name}"), what: "no member id".to_owned() })
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("JSON is text")
}
