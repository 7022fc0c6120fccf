//! Elections, from the side of whoever wants to be elected.

use bytes::Bytes;
use proto::raftpb::{Entry, EntryType, MessageType};

use super::role::{Leader, Votes};
use super::{CAMPAIGN_TRANSFER, Raft, Role, message};
use crate::NONE;
use crate::quorum::VoteResult;
use crate::storage::Storage;

/// How a campaign goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Campaign {
    /// Asks whether an election would be won, without a new term.
    PreElection,
    Election,
    /// An election that the leader asked for, which overrides its lease.
    Transfer,
}

impl<S: Storage> Raft<S> {
    /// Whether this member may become leader: a voter by its own account, with its state in order.
    pub(super) fn is_promotable(&self) -> bool {
        self.progress.get(&self.id).is_some_and(|own| !own.is_learner) && !self.log.has_unstable_snapshot()
    }

    /// The time for an election has come.
    pub(crate) fn hup(&mut self) {
        self.start_campaign(if self.config.pre_vote { Campaign::PreElection } else { Campaign::Election });
    }

    pub(super) fn start_campaign(&mut self, campaign: Campaign) {
        if self.role.is_leader() {
            tracing::debug!("{:x} ignores an election because it is leader already", self.id);
            return;
        }
        if !self.is_promotable() {
            tracing::warn!("{:x} is unpromotable and can not campaign", self.id);
            return;
        }
        // It could win by the rules of a configuration that is no longer in force.
        if self.has_unapplied_conf_changes() {
            tracing::warn!(
                "{:x} cannot campaign at term {} since there are still pending configuration changes to apply",
                self.id,
                self.term
            );
            return;
        }
        tracing::info!("{:x} is starting a new election at term {}", self.id, self.term);
        self.campaign(campaign);
    }

    fn has_unapplied_conf_changes(&self) -> bool {
        let conf_change =
            |entry: &Entry| matches!(entry.entry_type(), EntryType::EntryConfChange | EntryType::EntryConfChangeV2);
        self.log.applied() < self.log.committed() && self.log.any_unapplied(conf_change)
    }

    fn campaign(&mut self, campaign: Campaign) {
        let (request, response, term) = if campaign == Campaign::PreElection {
            self.become_pre_candidate();
            (MessageType::MsgPreVote, MessageType::MsgPreVoteResp, self.term + 1)
        } else {
            self.become_candidate();
            (MessageType::MsgVote, MessageType::MsgVoteResp, self.term)
        };
        let last = self.log.last_id();
        for id in self.members.voters.ids() {
            if id == self.id {
                // Its own vote counts once it is durable.
                let mut vote = message(response, id);
                vote.term = term;
                self.send(vote);
                continue;
            }
            let mut ask = message(request, id);
            ask.term = term;
            ask.index = last.index;
            ask.log_term = last.term;
            if campaign == Campaign::Transfer {
                ask.context = Bytes::from_static(CAMPAIGN_TRANSFER);
            }
            self.send(ask);
        }
    }

    fn become_pre_candidate(&mut self) {
        assert!(!self.role.is_leader(), "a leader wants to be elected");
        self.leader = NONE;
        self.role = Role::PreCandidate(Votes::new());
        tracing::info!("{:x} became pre-candidate at term {}", self.id, self.term);
    }

    fn become_candidate(&mut self) {
        assert!(!self.role.is_leader(), "a leader wants to be elected");
        self.reset(self.term + 1);
        self.vote = self.id;
        self.role = Role::Candidate(Votes::new());
        tracing::info!("{:x} became candidate at term {}", self.id, self.term);
    }

    /// Counts the vote of a member; its first one stands.
    pub(super) fn count_vote(&mut self, from: u64, granted: bool) {
        let (Role::PreCandidate(votes) | Role::Candidate(votes)) = &mut self.role else {
            unreachable!("votes are counted by candidates");
        };
        votes.entry(from).or_insert(granted);
        let result = self.members.voters.vote_result(votes);
        tracing::info!(
            "{:x} has received {} votes and {} vote rejections",
            self.id,
            votes.values().filter(|&&granted| granted).count(),
            votes.values().filter(|&&granted| !granted).count()
        );
        match result {
            VoteResult::Pending => {}
            VoteResult::Lost => self.become_follower(self.term, NONE),
            VoteResult::Won if matches!(self.role, Role::PreCandidate(_)) => self.campaign(Campaign::Election),
            VoteResult::Won => {
                self.become_leader();
                self.broadcast_append();
            }
        }
    }

    fn become_leader(&mut self) {
        assert!(matches!(self.role, Role::Candidate(_)), "leader without an election");
        self.reset(self.term);
        self.leader = self.id;
        self.role = Role::Leader(Leader::new(self.log.last_index()));
        if let Some(own) = self.progress.get_mut(&self.id) {
            own.become_replicate();
            own.recent_active = true;
        }
        // Entries of earlier terms are committed along with one of this term, so there is one at once.
        let accepted = self.append_own(vec![Entry::default()]);
        assert!(accepted, "an empty entry does not count against any limit");
        tracing::info!("{:x} became leader at term {}", self.id, self.term);
    }
}
