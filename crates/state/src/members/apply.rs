//! Conf changes, names and URLs of members at apply.

use std::sync::Arc;

use proto::errors::ClientError;
use proto::membershippb;
use proto::raftpb::ConfChange;

use super::{Attributes, MemberChange, Source};
use crate::applied::{Effect, Outcome};
use crate::apply::{Ran, Run, store, v2};
use crate::live::{Live, Rules};
use crate::versions::Version;

impl From<membershippb::Attributes> for Attributes {
    fn from(a: membershippb::Attributes) -> Attributes {
        Attributes { name: a.name, client_urls: a.client_urls }
    }
}

/// How many learners there may be: one while members of 3.4 or 3.5, which know no other number, may judge the same entry.
fn learners_max(rules: &Rules, cluster: Option<Version>) -> usize {
    match cluster {
        Some(version) if version < Version::V3_6 => 1,
        Some(_) | None => rules.learners_max,
    }
}

/// What the replay of an old conf change leaves to do: raft is told where its configuration does not know it yet.
pub(crate) fn replay_conf_change(live: &mut Live, rules: &Rules, index: u64, change: &ConfChange) -> Vec<Effect> {
    match &mut live.source {
        Source::Tree { .. } => {
            let judged = live.members.check(change, learners_max(rules, live.versions.cluster));
            let mut effects = to_raft(live, index, change, judged.is_ok());
            if let Ok(member_change) = &judged {
                Arc::make_mut(&mut live.members).apply(member_change);
                member_change.apply_to_conf(change, &mut live.conf);
                v2::change_member(&mut live.tree, member_change, &live.members);
                effects.extend(told(member_change, rules));
            }
            effects
        }
        Source::Buckets { behind: Some(behind), .. } => {
            let cluster = live.tree.view().cluster_version().ok().flatten();
            if let Ok(member_change) = behind.check(change, learners_max(rules, cluster)) {
                behind.apply(&member_change);
                v2::change_member(&mut live.tree, &member_change, behind);
            }
            Vec::new()
        }
        Source::Buckets { behind: None, .. } => Vec::new(),
    }
}

fn to_raft(live: &Live, index: u64, change: &ConfChange, accepted: bool) -> Vec<Effect> {
    if index <= live.source.index() {
        return Vec::new();
    }
    let node_id = if accepted { change.node_id } else { 0 };
    vec![Effect::ConfChange(ConfChange { node_id, ..change.clone() })]
}

/// What follows from an accepted change besides raft's part.
fn told(change: &MemberChange, rules: &Rules) -> impl Iterator<Item = Effect> + use<> {
    let removed_self = *change == MemberChange::Remove(rules.member_id);
    [Effect::MembersChanged].into_iter().chain(removed_self.then_some(Effect::RemovedSelf))
}

impl Run<'_, '_> {
    /// A change that is refused still goes to raft, without a node, because raft waits for it.
    pub(crate) fn conf_change(&mut self, change: &ConfChange) -> Ran {
        let learners_max = learners_max(self.rules, self.live.versions.cluster);
        let judged = self.live.members.check(change, learners_max);
        self.effects.extend(to_raft(self.live, self.index, change, judged.is_ok()));
        let member_change = judged?;
        let removed = Arc::make_mut(&mut self.live.members).apply(&member_change);
        member_change.apply_to_conf(change, &mut self.live.conf);
        v2::change_member(&mut self.live.tree, &member_change, &self.live.members);
        self.write_change(&member_change);
        self.effects.extend(told(&member_change, self.rules));
        let member = removed.as_ref().or(self.live.members.get(member_change.id())).map(super::Member::to_proto);
        Ok(Some(Outcome::Members { member, members: self.live.members.to_proto() }))
    }

    fn write_change(&mut self, change: &MemberChange) {
        match (change, self.live.members.get(change.id())) {
            (MemberChange::Remove(id), _) => store::remove_member(self.txn, *id),
            (_, Some(member)) => store::write_member(self.txn, member),
            (_, None) => {}
        }
        if self.rules.release >= Version::V3_5 {
            self.txn.set_conf_state(&self.live.conf);
        }
    }

    /// What a member tells of itself. A member that is unknown, or was removed in the meantime, is passed over.
    pub(crate) fn set_member_attributes(&mut self, id: u64, attributes: Attributes) {
        self.live.tree.set_member_attributes(id, &attributes);
        self.record_attributes(id, attributes);
    }

    /// Takes up attributes that the tree has.
    pub(crate) fn record_attributes(&mut self, id: u64, attributes: Attributes) {
        if Arc::make_mut(&mut self.live.members).set_attributes(id, attributes)
            && let Some(member) = self.live.members.get(id)
        {
            store::write_member(self.txn, member);
            self.effects.push(Effect::MembersChanged);
        }
    }
}

/// Attributes set by an entry that the backend has already.
pub(crate) fn replay_attributes(live: &mut Live, id: u64, attributes: Attributes) {
    live.tree.set_member_attributes(id, &attributes);
    replay_told(live, id, attributes);
}

/// Attributes that the tree has: the membership that the tree is the authority for follows.
pub(crate) fn replay_told(live: &mut Live, id: u64, attributes: Attributes) {
    match &mut live.source {
        Source::Tree { .. } => Arc::make_mut(&mut live.members).set_attributes(id, attributes),
        Source::Buckets { behind: Some(behind), .. } => behind.set_attributes(id, attributes),
        Source::Buckets { behind: None, .. } => false,
    };
}

/// Refusals by conf changes as the peer endpoint for promotions words them.
pub fn refusal_text(refusal: ClientError) -> &'static str {
    match refusal {
        ClientError::MemberNotFound => "membership: ID not found",
        ClientError::MemberNotLearner => "membership: can only promote a learner member",
        ClientError::MemberExist => "membership: ID exists",
        ClientError::PeerURLExist => "membership: peerURL exists",
        ClientError::TooManyLearners => "membership: too many learner members in cluster",
        other => other.text(),
    }
}
