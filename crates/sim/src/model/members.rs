//! Who ought to be a member: the rules of changes at apply, told anew and without the code under test.

use std::collections::{BTreeMap, BTreeSet};

use proto::raftpb::{ConfChange, ConfChangeType};
use state::Version;
use state::members::ChangeContext;

/// A member as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelMember {
    pub peer_urls: Vec<String>,
    pub is_learner: bool,
}

/// A change that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Added { id: u64, peer_urls: Vec<String> },
    Removed { id: u64 },
}

/// The members as of the last entry.
#[derive(Clone, Debug, Default)]
pub struct Members {
    pub now: BTreeMap<u64, ModelMember>,
    removed: BTreeSet<u64>,
    learners_max: usize,
    /// The cluster version, once there is one.
    pub version: Option<Version>,
    /// What the members were after which entry.
    by_index: BTreeMap<u64, String>,
    news: Vec<News>,
    /// Changes that took effect, by kind: additions, learners, promotions, removals, updates.
    pub counts: [u64; 5],
}

impl Members {
    pub fn new(learners_max: usize) -> Self {
        Self { learners_max, ..Self::default() }
    }

    /// What happened since the last call.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    pub fn voters(&self) -> impl Iterator<Item = u64> {
        self.now.iter().filter(|(_, member)| !member.is_learner).map(|(id, _)| *id)
    }

    pub fn learners(&self) -> impl Iterator<Item = u64> {
        self.now.iter().filter(|(_, member)| member.is_learner).map(|(id, _)| *id)
    }

    /// The members after the entry at `index`, as [`member_line`] writes each.
    pub fn text_at(&self, index: u64) -> &str {
        self.by_index.range(..=index).next_back().map_or("", |(_, text)| text)
    }

    /// Follows a committed change; one that breaks a rule has no effect.
    pub fn apply(&mut self, index: u64, change: &ConfChange) {
        let id = change.node_id;
        if id == 0 || self.removed.contains(&id) {
            return;
        }
        let context = ChangeContext::from_json(&change.context).unwrap_or_default();
        let taken = self
            .now
            .iter()
            .filter(|(other, _)| **other != id)
            .any(|(_, other)| other.peer_urls.iter().any(|url| context.member.peer_urls.contains(url)));
        let is_learner = change.change_type == ConfChangeType::ConfChangeAddLearnerNode as i32;
        match ConfChangeType::try_from(change.change_type) {
            Ok(ConfChangeType::ConfChangeAddNode) if context.is_promote => {
                let Some(member) = self.now.get_mut(&id).filter(|member| member.is_learner) else { return };
                member.is_learner = false;
                self.counts[2] += 1;
            }
            Ok(ConfChangeType::ConfChangeAddNode | ConfChangeType::ConfChangeAddLearnerNode) => {
                // Members of 3.5 know no other number than one.
                let is_old = self.version.is_some_and(|version| version < Version::V3_6);
                let learners_max = if is_old { 1 } else { self.learners_max };
                let full = is_learner && self.learners().count() >= learners_max;
                if self.now.contains_key(&id) || taken || full {
                    return;
                }
                let peer_urls = context.member.peer_urls;
                self.now.insert(id, ModelMember { peer_urls: peer_urls.clone(), is_learner });
                self.news.push(News::Added { id, peer_urls });
                self.counts[usize::from(is_learner)] += 1;
            }
            Ok(ConfChangeType::ConfChangeRemoveNode) => {
                if self.now.remove(&id).is_none() {
                    return;
                }
                self.removed.insert(id);
                self.news.push(News::Removed { id });
                self.counts[3] += 1;
            }
            Ok(ConfChangeType::ConfChangeUpdateNode) => {
                let Some(member) = self.now.get_mut(&id).filter(|_| !taken) else { return };
                *member = ModelMember { peer_urls: context.member.peer_urls, is_learner: context.member.is_learner };
                self.counts[4] += 1;
            }
            Err(_) => return,
        }
        let lines = self.now.iter().map(|(id, m)| member_line(*id, &m.peer_urls, m.is_learner));
        self.by_index.insert(index, lines.collect::<Vec<_>>().join(" "));
    }
}

/// One member in one line, without what it says of itself.
pub fn member_line(id: u64, peer_urls: &[String], is_learner: bool) -> String {
    format!("{id:x}={}{}", peer_urls.join(","), if is_learner { " (learner)" } else { "" })
}
