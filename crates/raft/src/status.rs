//! What a node shows of itself.

use std::collections::BTreeMap;

use proto::raftpb::HardState;

use crate::SoftState;
use crate::tracker::{Configuration, Progress};

/// The role a node plays in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RoleName {
    #[default]
    Follower,
    Candidate,
    Leader,
    PreCandidate,
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Follower => "StateFollower",
            Self::Candidate => "StateCandidate",
            Self::Leader => "StateLeader",
            Self::PreCandidate => "StatePreCandidate",
        })
    }
}

/// What is cheap to tell at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicStatus {
    pub id: u64,
    /// Term, vote and commit index as they are in memory, durable or not.
    pub hard_state: HardState,
    pub soft_state: SoftState,
    /// The last index reported as applied.
    pub applied: u64,
    /// The last index in the log, durable or not.
    pub last_index: u64,
    /// Where leadership is being transferred to; 0 if nowhere.
    pub lead_transferee: u64,
    /// Whether the newest configuration known has this member as a learner.
    pub is_learner: bool,
}

/// Everything worth showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub basic: BasicStatus,
    pub config: Configuration,
    /// Only filled on a leader.
    pub progress: BTreeMap<u64, Progress>,
}
