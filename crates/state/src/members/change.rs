//! Changes of membership: etcd's rules for a conf change at apply (facts: peer-protocol, 7.1; errors, 10).

use std::collections::BTreeSet;

use proto::errors::ClientError;
use proto::raftpb::{ConfChange, ConfChangeType, ConfState};

use super::{ChangeContext, Member, Membership};

/// What an accepted conf change does to the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    Add(Member),
    Promote(u64),
    Remove(u64),
    /// New peer URLs, and whether it is a learner, by the word of the update.
    Update(Member),
}

impl MemberChange {
    /// The member it is about.
    pub fn id(&self) -> u64 {
        match self {
            MemberChange::Add(member) | MemberChange::Update(member) => member.id,
            MemberChange::Promote(id) | MemberChange::Remove(id) => *id,
        }
    }
}

impl MemberChange {
    /// Carries the change out on raft's configuration, as raft itself does.
    pub(crate) fn apply_to_conf(&self, change: &ConfChange, conf: &mut ConfState) {
        if matches!(self, MemberChange::Update(_)) {
            return;
        }
        let id = self.id();
        conf.voters.retain(|voter| *voter != id);
        conf.learners.retain(|learner| *learner != id);
        let place = match self {
            MemberChange::Remove(_) | MemberChange::Update(_) => return,
            _ if change.change_type == ConfChangeType::ConfChangeAddLearnerNode as i32 => &mut conf.learners,
            MemberChange::Add(_) | MemberChange::Promote(_) => &mut conf.voters,
        };
        place.push(id);
        place.sort_unstable();
    }
}

impl Membership {
    /// Judges a conf change against this membership. `learners_max` bounds the learners after it.
    ///
    /// A context that does not parse, or names another node than the change itself, makes etcd panic; it is refused as
    /// bad URLs, by every member alike.
    pub fn check(&self, change: &ConfChange, learners_max: usize) -> Result<MemberChange, ClientError> {
        if self.is_removed(change.node_id) || change.node_id == 0 {
            return Err(ClientError::MemberNotFound);
        }
        match ConfChangeType::try_from(change.change_type) {
            Ok(kind @ (ConfChangeType::ConfChangeAddNode | ConfChangeType::ConfChangeAddLearnerNode)) => {
                let context = context_of(change)?;
                if context.is_promote {
                    return self.check_promote(change.node_id);
                }
                self.check_add(context.member, kind == ConfChangeType::ConfChangeAddLearnerNode, learners_max)
            }
            Ok(ConfChangeType::ConfChangeRemoveNode) => {
                self.get(change.node_id).ok_or(ClientError::MemberNotFound)?;
                Ok(MemberChange::Remove(change.node_id))
            }
            Ok(ConfChangeType::ConfChangeUpdateNode) => {
                self.get(change.node_id).ok_or(ClientError::MemberNotFound)?;
                let member = context_of(change)?.member;
                self.check_urls(&member)?;
                Ok(MemberChange::Update(member))
            }
            Err(_) => Err(ClientError::MemberBadURLs),
        }
    }

    fn check_promote(&self, id: u64) -> Result<MemberChange, ClientError> {
        let member = self.get(id).ok_or(ClientError::MemberNotFound)?;
        if !member.is_learner {
            return Err(ClientError::MemberNotLearner);
        }
        Ok(MemberChange::Promote(id))
    }

    fn check_add(&self, member: Member, as_learner: bool, learners_max: usize) -> Result<MemberChange, ClientError> {
        if self.get(member.id).is_some() {
            return Err(ClientError::MemberExist);
        }
        self.check_urls(&member)?;
        let learners = self.iter().filter(|m| m.is_learner).count();
        if as_learner && member.is_learner && learners + 1 > learners_max {
            return Err(ClientError::TooManyLearners);
        }
        Ok(MemberChange::Add(member))
    }

    /// No other member may have one of these peer URLs.
    fn check_urls(&self, member: &Member) -> Result<(), ClientError> {
        let taken: BTreeSet<&String> = self.iter().filter(|m| m.id != member.id).flat_map(|m| &m.peer_urls).collect();
        if member.peer_urls.iter().any(|url| taken.contains(url)) {
            return Err(ClientError::PeerURLExist);
        }
        Ok(())
    }

    /// Carries out a change; what a removal took away is returned.
    pub fn apply(&mut self, change: &MemberChange) -> Option<Member> {
        match change {
            MemberChange::Add(member) => {
                self.members.insert(member.id, member.clone());
                None
            }
            MemberChange::Promote(id) => {
                if let Some(member) = self.members.get_mut(id) {
                    member.is_learner = false;
                }
                None
            }
            MemberChange::Remove(id) => {
                self.removed.insert(*id);
                self.members.remove(id)
            }
            MemberChange::Update(update) => {
                if let Some(member) = self.members.get_mut(&update.id) {
                    member.peer_urls = update.peer_urls.clone();
                    member.is_learner = update.is_learner;
                }
                None
            }
        }
    }
}

fn context_of(change: &ConfChange) -> Result<ChangeContext, ClientError> {
    match ChangeContext::from_json(&change.context) {
        Ok(context) if context.member.id == change.node_id => Ok(context),
        Ok(_) | Err(_) => Err(ClientError::MemberBadURLs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, url: &str, is_learner: bool) -> Member {
        Member { id, peer_urls: vec![url.into()], is_learner, ..Member::default() }
    }

    fn change(kind: ConfChangeType, member: Member, is_promote: bool) -> ConfChange {
        let node_id = member.id;
        let context = ChangeContext { member, is_promote }.to_json().into();
        ConfChange { id: 1, change_type: kind as i32, node_id, context }
    }

    #[test]
    fn rules_of_conf_changes() {
        use ConfChangeType::*;
        let mut m = Membership::new([member(1, "a", false), member(2, "b", true)], [9]);
        let check = |m: &Membership, c: ConfChange| m.check(&c, 1);
        assert_eq!(
            check(&m, change(ConfChangeAddNode, member(9, "z", false), false)),
            Err(ClientError::MemberNotFound)
        );
        assert_eq!(check(&m, change(ConfChangeAddNode, member(1, "z", false), false)), Err(ClientError::MemberExist));
        assert_eq!(check(&m, change(ConfChangeAddNode, member(3, "b", false), false)), Err(ClientError::PeerURLExist));
        let learner = change(ConfChangeAddLearnerNode, member(3, "c", true), false);
        assert_eq!(check(&m, learner.clone()), Err(ClientError::TooManyLearners));
        assert!(m.check(&learner, 2).is_ok());
        assert_eq!(
            check(&m, change(ConfChangeAddNode, member(1, "a", false), true)),
            Err(ClientError::MemberNotLearner)
        );
        assert_eq!(check(&m, change(ConfChangeAddNode, member(4, "d", false), true)), Err(ClientError::MemberNotFound));
        assert_eq!(
            check(&m, change(ConfChangeRemoveNode, member(4, "d", false), false)),
            Err(ClientError::MemberNotFound)
        );
        assert_eq!(
            check(&m, change(ConfChangeUpdateNode, member(1, "b", false), false)),
            Err(ClientError::PeerURLExist)
        );

        let promote = check(&m, change(ConfChangeAddNode, member(2, "b", false), true)).unwrap();
        m.apply(&promote);
        assert!(!m.is_learner(2));
        let update = check(&m, change(ConfChangeUpdateNode, member(1, "y", false), false)).unwrap();
        m.apply(&update);
        assert_eq!(m.get(1).unwrap().peer_urls, ["y"]);
        // Whoever updates a learner must say that it is one; raft's configuration stays as it is.
        let forgets = change(ConfChangeUpdateNode, member(1, "y", true), false);
        let mut conf = m.conf_state();
        let update = check(&m, forgets.clone()).unwrap();
        update.apply_to_conf(&forgets, &mut conf);
        m.apply(&update);
        assert!(m.is_learner(1) && conf.voters == [1, 2]);
        let remove = check(&m, change(ConfChangeRemoveNode, member(1, "", false), false)).unwrap();
        assert_eq!(m.apply(&remove).unwrap().id, 1);
        assert!(m.is_removed(1));
        assert_eq!(m.conf_state().voters, [2]);
    }

    #[test]
    fn contexts_from_outside_may_be_anything() {
        let m = Membership::default();
        let mut bad = change(ConfChangeType::ConfChangeAddNode, member(1, "a", false), false);
        bad.node_id = 2;
        assert_eq!(m.check(&bad, 1), Err(ClientError::MemberBadURLs));
        bad.context = b"{".to_vec().into();
        assert_eq!(m.check(&bad, 1), Err(ClientError::MemberBadURLs));
        bad.change_type = 17;
        assert_eq!(m.check(&bad, 1), Err(ClientError::MemberBadURLs));
    }
}
