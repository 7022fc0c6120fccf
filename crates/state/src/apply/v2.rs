//! Requests to the v2 tree, and what the tree tells about members and cluster version.

use proto::etcdserverpb::V2Request;

use super::{Ran, Run};
use crate::applied::Outcome;
use crate::error::{ApplyError, Error, Result};
use crate::live::{Live, Rules};
use crate::members::{self, MemberChange, Membership, Source};
use crate::v2::{MembershipError, Reply, Tree};
use crate::versions::{self, Version};

/// The tree of a snapshot; empty where the snapshot carries none.
pub(crate) fn load_tree(json: &[u8]) -> Result<Tree> {
    if json.is_empty() {
        return Ok(Tree::new());
    }
    Tree::from_json(json).map_err(|e| Error::V2Snapshot(e.to_string()))
}

impl From<MembershipError> for Error {
    fn from(e: MembershipError) -> Error {
        Error::V2Snapshot(e.to_string())
    }
}

/// Records in the tree a change that `members` holds already. What is missing there, because the snapshot had no tree,
/// is no failure: the tree is brought in line when the state has caught up.
pub(crate) fn change_member(tree: &mut Tree, change: &MemberChange, members: &Membership) {
    let recorded = match (change, members.get(change.id())) {
        (MemberChange::Remove(id), _) => tree.remove_member(*id),
        (MemberChange::Add(_), Some(member)) => tree.add_member(member.id, &member.raft_attributes()),
        (MemberChange::Promote(_) | MemberChange::Update(_), Some(member)) => {
            tree.update_member(member.id, &member.raft_attributes())
        }
        (_, None) => Ok(()),
    };
    recorded.ok();
}

/// Makes the tree tell what the buckets tell, where it does not.
pub(crate) fn follow(tree: &mut Tree, members: &Membership, cluster: Option<Version>) {
    let view = tree.view();
    let told = view.membership().ok().zip(view.cluster_version().ok());
    if told.is_none_or(|(m, version)| m != *members || version != cluster) {
        tree.set_membership(members, cluster);
    }
}

/// The v2 part of a snapshot of the state as it stands.
pub(crate) fn snapshot_json(live: &Live) -> Vec<u8> {
    let replaying = matches!(live.source, Source::Buckets { behind: Some(_), .. });
    let by_buckets = live.versions.storage.is_some_and(|version| version >= Version::V3_6);
    if by_buckets && !replaying {
        return live.tree.view().to_json_for(&live.members, live.versions.cluster);
    }
    live.tree.to_json()
}

/// A v2 request at or below the consistent index: the tree, and the membership it is the authority for.
pub(crate) fn replay(live: &mut Live, rules: &Rules, request: &V2Request) -> Result<()> {
    // A refusal went to whoever waited when the entry was new.
    match live.tree.apply(request) {
        Ok(Reply::MemberAttributes { id, attributes }) => members::replay_told(live, id, attributes),
        Ok(Reply::ClusterVersion(version)) if live.source.is_tree() => {
            versions::check_own(Some(version), rules.release)?;
            live.versions.cluster = Some(version);
        }
        Ok(_) | Err(_) => {}
    }
    Ok(())
}

impl Run<'_, '_> {
    pub(crate) fn v2(&mut self, request: &V2Request) -> Result<Ran> {
        let reply = match self.live.tree.apply(request) {
            Ok(reply) => reply,
            Err(refusal) => return Ok(Err(ApplyError::V2(refusal))),
        };
        match &reply {
            Reply::MemberAttributes { id, attributes } => self.record_attributes(*id, attributes.clone()),
            Reply::ClusterVersion(version) => self.record_cluster_version(*version)?,
            Reply::Event(_) | Reply::Expired(_) | Reply::Ignored | Reply::UnknownMethod => {}
        }
        Ok(Ok(Some(Outcome::V2(reply))))
    }
}
