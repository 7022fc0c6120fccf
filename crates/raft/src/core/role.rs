//! What a member is in its term, with the state that only this role has.

use std::collections::BTreeMap;

use proto::raftpb::Message;

use super::read_only::ReadOnly;
use crate::NONE;
use crate::status::RoleName;

/// The votes of a campaign: by voter, yes or no.
pub(super) type Votes = BTreeMap<u64, bool>;

#[derive(Debug)]
pub(crate) enum Role {
    Follower,
    /// Asks whether it would be elected; the term and vote of the followership stand.
    PreCandidate(Votes),
    Candidate(Votes),
    Leader(Leader),
}

/// What only a leader knows, apart from the members' progress.
#[derive(Debug)]
pub(crate) struct Leader {
    /// Where leadership is being transferred to; 0 if nowhere.
    pub(super) transferee: u64,
    /// No conf change is accepted while this index isn't applied: at first the last index of the terms before, then that
    /// of the newest conf change.
    pub(super) pending_conf_index: u64,
    /// Payload bytes of the entries proposed and not yet committed and applied; an estimate, 0 at the start of the term.
    pub(super) uncommitted_bytes: u64,
    pub(super) reads: ReadOnly,
    /// Read index requests from before the first commit of this term, which alone shows what is committed.
    pub(super) postponed_reads: Vec<Message>,
}

impl Leader {
    pub(super) fn new(last_index: u64) -> Self {
        Self {
            transferee: NONE,
            pending_conf_index: last_index,
            uncommitted_bytes: 0,
            reads: ReadOnly::default(),
            postponed_reads: Vec::new(),
        }
    }
}

impl Role {
    pub(crate) fn name(&self) -> RoleName {
        match self {
            Self::Follower => RoleName::Follower,
            Self::PreCandidate(_) => RoleName::PreCandidate,
            Self::Candidate(_) => RoleName::Candidate,
            Self::Leader(_) => RoleName::Leader,
        }
    }

    pub(crate) fn is_leader(&self) -> bool {
        matches!(self, Self::Leader(_))
    }

    pub(crate) fn transferee(&self) -> u64 {
        self.leader().map_or(NONE, |leader| leader.transferee)
    }

    pub(super) fn leader(&self) -> Option<&Leader> {
        match self {
            Self::Leader(leader) => Some(leader),
            Self::Follower | Self::PreCandidate(_) | Self::Candidate(_) => None,
        }
    }

    pub(super) fn leader_mut(&mut self) -> Option<&mut Leader> {
        match self {
            Self::Leader(leader) => Some(leader),
            Self::Follower | Self::PreCandidate(_) | Self::Candidate(_) => None,
        }
    }
}
