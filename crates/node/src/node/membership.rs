//! Which changes of membership may be proposed: those after which a quorum of started and connected voters remains
//! (facts: peer-protocol, 7.1; errors, 10). What the replicated membership itself forbids is refused at apply.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::errors::ClientError;
use proto::etcdserverpb::Member;
use proto::raftpb::{ConfChange, ConfChangeType};

/// A peer counts as connected only after this time.
const CONNECTED_FOR: Duration = Duration::from_secs(5);
/// A learner is ready once it holds this much of the leader's log, in percent.
const LEARNER_READY_PERCENT: u64 = 90;

/// Since when which peers are connected.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected_since: BTreeMap<u64, Duration>,
}

impl Peers {
    pub fn set(&mut self, peer: u64, connected: bool, now: Duration) {
        if connected {
            self.connected_since.entry(peer).or_insert(now);
        } else {
            self.connected_since.remove(&peer);
        }
    }

    pub fn connected_since(&self, peer: u64, moment: Duration) -> bool {
        self.connected_since.get(&peer).is_some_and(|since| *since <= moment)
    }

    /// How many peers are connected.
    pub fn active(&self) -> usize {
        self.connected_since.len()
    }

    pub fn is_active(&self, peer: u64) -> bool {
        self.connected_since.contains_key(&peer)
    }

    /// The peer among these that is connected for longest.
    pub fn longest_connected(&self, of: impl Iterator<Item = u64>) -> Option<u64> {
        of.filter_map(|peer| Some((*self.connected_since.get(&peer)?, peer))).min().map(|(_, peer)| peer)
    }
}

/// What the rules look at.
pub(super) struct Rules<'a> {
    pub own: u64,
    pub members: &'a [Member],
    pub peers: &'a Peers,
    pub now: Duration,
    pub strict: bool,
    /// How far each member's log reaches, as the leader knows; `None` on other members.
    pub matched: Option<&'a BTreeMap<u64, u64>>,
}

impl Rules<'_> {
    /// Whether the change may be proposed.
    pub fn check(&self, change: &ConfChange) -> Result<(), ClientError> {
        let promotion = is_promotion(change);
        match ConfChangeType::try_from(change.change_type) {
            Ok(ConfChangeType::ConfChangeAddNode) if promotion => self.check_promotion(change.node_id),
            Ok(ConfChangeType::ConfChangeAddNode) => {
                self.check_new_voter().and_then(|()| self.check_connected_to_add())
            }
            Ok(ConfChangeType::ConfChangeAddLearnerNode) => self.check_connected_to_add(),
            Ok(ConfChangeType::ConfChangeRemoveNode) => self.check_removal(change.node_id),
            Ok(ConfChangeType::ConfChangeUpdateNode) | Err(_) => Ok(()),
        }
    }

    fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_learner)
    }

    fn started_voters(&self) -> usize {
        self.voters().filter(|member| is_started(member)).count()
    }

    fn check_new_voter(&self) -> Result<(), ClientError> {
        let (voters, started) = (self.voters().count(), self.started_voters());
        if !self.strict || (voters == 1 && started == 1) || started >= quorum(voters + 1) {
            Ok(())
        } else {
            Err(ClientError::MemberNotEnoughStarted)
        }
    }

    fn check_connected_to_add(&self) -> Result<(), ClientError> {
        let voters = self.voters().count();
        if !self.strict || voters == 1 || self.connected_voters() >= quorum(voters + 1) {
            Ok(())
        } else {
            Err(ClientError::Unhealthy)
        }
    }

    fn check_removal(&self, id: u64) -> Result<(), ClientError> {
        let Some(target) = self.members.iter().find(|member| member.id == id) else { return Ok(()) };
        if !self.strict || target.is_learner {
            return Ok(());
        }
        let remaining = self.voters().count() - 1;
        let started = self.voters().filter(|member| member.id != id && is_started(member)).count();
        if remaining == 0 || started < quorum(remaining) {
            return Err(ClientError::MemberNotEnoughStarted);
        }
        if id != self.own && !self.peers.is_active(id) {
            return Ok(());
        }
        if self.connected_voters() > quorum_of_rest(remaining) { Ok(()) } else { Err(ClientError::Unhealthy) }
    }

    fn check_promotion(&self, id: u64) -> Result<(), ClientError> {
        // Only the leader knows how far the learner is, and whether there is one.
        let Some(matched) = self.matched else { return Err(ClientError::NotLeader) };
        let Some(target) = self.members.iter().find(|member| member.id == id) else {
            return Err(ClientError::MemberNotFound);
        };
        if !target.is_learner {
            return Err(ClientError::MemberNotLearner);
        }
        let leader = matched.get(&self.own).copied().unwrap_or(0);
        let learner = matched.get(&id).copied().unwrap_or(0);
        if learner * 100 < leader * LEARNER_READY_PERCENT {
            return Err(ClientError::LearnerNotReady);
        }
        let voters = self.voters().count();
        if !self.strict || self.started_voters() + 1 >= quorum(voters + 1) {
            Ok(())
        } else {
            Err(ClientError::MemberNotEnoughStarted)
        }
    }

    /// This member and the voters connected for long enough.
    fn connected_voters(&self) -> usize {
        let Some(moment) = self.now.checked_sub(CONNECTED_FOR) else { return 1 };
        self.voters().filter(|m| m.id == self.own || self.peers.connected_since(m.id, moment)).count()
    }
}

fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// Connected voters less the one that goes must reach `1 + (voters − 1) / 2`.
fn quorum_of_rest(remaining: usize) -> usize {
    1 + remaining / 2
}

/// A member counts as started once it has published its name.
fn is_started(member: &Member) -> bool {
    !member.name.is_empty()
}

/// Whether the change makes a voter of a learner.
pub(super) fn is_promotion(change: &ConfChange) -> bool {
    #[derive(serde::Deserialize)]
    struct Context {
        #[serde(default, rename = "isPromote")]
        is_promote: bool,
    }
    serde_json::from_slice::<Context>(&change.context).is_ok_and(|context| context.is_promote)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members from a line such as `a b* c~`: `*` not started, `~` learner; ids count from 1.
    fn members(line: &str) -> Vec<Member> {
        line.split_whitespace()
            .enumerate()
            .map(|(i, word)| Member {
                id: i as u64 + 1,
                name: if word.contains('*') { String::new() } else { word.into() },
                is_learner: word.contains('~'),
                ..Member::default()
            })
            .collect()
    }

    fn change(kind: ConfChangeType, node_id: u64, context: &'static str) -> ConfChange {
        ConfChange { id: 1, change_type: kind as i32, node_id, context: context.as_bytes().into() }
    }

    fn check(line: &str, connected: &[u64], change: &ConfChange) -> Result<(), ClientError> {
        let members = members(line);
        let mut peers = Peers::default();
        for peer in connected {
            peers.set(*peer, true, Duration::from_secs(10));
        }
        let matched = BTreeMap::from([(1, 1000), (2, 1000), (3, 899), (4, 900)]);
        let rules = Rules {
            own: 1,
            members: &members,
            peers: &peers,
            now: Duration::from_secs(15),
            strict: true,
            matched: Some(&matched),
        };
        rules.check(change)
    }

    #[test]
    fn adding_a_voter() {
        let add = change(ConfChangeType::ConfChangeAddNode, 9, "{}");
        assert_eq!(check("a", &[], &add), Ok(()));
        assert_eq!(check("a b*", &[2], &add), Err(ClientError::MemberNotEnoughStarted));
        assert_eq!(check("a b", &[2], &add), Ok(()));
        assert_eq!(check("a b", &[], &add), Err(ClientError::Unhealthy));
        assert_eq!(check("a b c", &[2, 3], &add), Ok(()));
        assert_eq!(check("a b c", &[2], &add), Err(ClientError::Unhealthy));
        assert_eq!(check("a b c d", &[2, 3], &add), Ok(()));
    }

    #[test]
    fn adding_a_learner_needs_connections_only() {
        let add = change(ConfChangeType::ConfChangeAddLearnerNode, 9, "{}");
        assert_eq!(check("a b*", &[2], &add), Ok(()));
        assert_eq!(check("a b", &[], &add), Err(ClientError::Unhealthy));
    }

    #[test]
    fn removing() {
        let remove = |id| change(ConfChangeType::ConfChangeRemoveNode, id, "");
        assert_eq!(check("a", &[], &remove(1)), Err(ClientError::MemberNotEnoughStarted));
        assert_eq!(check("a b*", &[], &remove(1)), Err(ClientError::MemberNotEnoughStarted));
        assert_eq!(check("a b*", &[], &remove(2)), Ok(()));
        assert_eq!(check("a b", &[], &remove(2)), Ok(()), "a dead one may go");
        assert_eq!(check("a b", &[2], &remove(2)), Ok(()));
        assert_eq!(check("a b c", &[2], &remove(2)), Err(ClientError::Unhealthy));
        assert_eq!(check("a b c", &[2], &remove(3)), Ok(()));
        assert_eq!(check("a b~", &[], &remove(2)), Ok(()));
        assert_eq!(check("a b", &[], &remove(9)), Ok(()), "refused at apply");
    }

    #[test]
    fn promoting() {
        let promote = |id| change(ConfChangeType::ConfChangeAddNode, id, r#"{"id":3,"isPromote":true}"#);
        assert_eq!(check("a b c~", &[2, 3], &promote(3)), Err(ClientError::LearnerNotReady));
        assert_eq!(check("a b c d~", &[2, 3, 4], &promote(4)), Ok(()));
        assert_eq!(check("a b", &[2], &promote(2)), Err(ClientError::MemberNotLearner));
        assert_eq!(check("a b", &[2], &promote(7)), Err(ClientError::MemberNotFound));
    }
}
