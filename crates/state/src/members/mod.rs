//! The members of the cluster and the ids that were removed from it for ever.

mod apply;
mod change;
mod json;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use proto::etcdserverpb as pb;
use proto::raftpb::ConfState;

pub use apply::refusal_text;
pub(crate) use apply::{replay_attributes, replay_conf_change, replay_told};
pub use change::MemberChange;
pub use json::{Attributes, ChangeContext, RaftAttributes};
pub(crate) use source::Source;

/// One member. Serialised as buckets and conf changes carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub id: u64,
    /// Empty until the member has started and told its name.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub is_learner: bool,
}

impl Member {
    /// The form of the wire.
    pub fn to_proto(&self) -> pb::Member {
        pb::Member {
            id: self.id,
            name: self.name.clone(),
            peer_urls: self.peer_urls.clone(),
            client_urls: self.client_urls.clone(),
            is_learner: self.is_learner,
        }
    }

    /// Whether the member has ever told its name.
    pub fn is_started(&self) -> bool {
        !self.name.is_empty()
    }
}

/// The membership of a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
}

impl Membership {
    /// The membership with exactly these members and removed ids.
    pub fn new(members: impl IntoIterator<Item = Member>, removed: impl IntoIterator<Item = u64>) -> Membership {
        Membership { members: members.into_iter().map(|m| (m.id, m)).collect(), removed: removed.into_iter().collect() }
    }

    /// The member of this id.
    pub fn get(&self, id: u64) -> Option<&Member> {
        self.members.get(&id)
    }

    /// All members by id.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether this id was removed for ever.
    pub fn is_removed(&self, id: u64) -> bool {
        self.removed.contains(&id)
    }

    /// Ids that can never come back.
    pub fn removed(&self) -> impl Iterator<Item = u64> {
        self.removed.iter().copied()
    }

    /// Members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|m| !m.is_learner)
    }

    /// Whether there is a member of this id that is a learner.
    pub fn is_learner(&self, id: u64) -> bool {
        self.get(id).is_some_and(|m| m.is_learner)
    }

    /// The configuration of raft that this membership tells: voters and learners by id.
    pub fn conf_state(&self) -> ConfState {
        let ids = |learners: bool| self.members.values().filter(|m| m.is_learner == learners).map(|m| m.id).collect();
        ConfState { voters: ids(false), learners: ids(true), ..ConfState::default() }
    }

    /// All members in the form of the wire, by id.
    pub fn to_proto(&self) -> Vec<pb::Member> {
        self.members.values().map(Member::to_proto).collect()
    }

    /// Sets what a member tells of itself. False where there is no such member.
    pub fn set_attributes(&mut self, id: u64, attributes: Attributes) -> bool {
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        member.name = attributes.name;
        member.client_urls = attributes.client_urls;
        true
    }
}

/// The name of a member in buckets, URLs and the v2 tree: lowercase hex without leading zeros.
pub fn id_text(id: u64) -> String {
    format!("{id:x}")
}

/// Reads [`id_text`], leading zeros allowed.
pub fn parse_id(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|id| *id != 0)
}
