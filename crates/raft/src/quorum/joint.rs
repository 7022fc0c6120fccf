//! Two sets of voters that must both agree, while a change moves from one to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{MajorityConfig, VoteResult};

/// The voters. Outside of a joint configuration `outgoing` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JointConfig {
    /// The voters that are, or will be once the joint configuration is left.
    pub incoming: MajorityConfig,
    /// The voters that were before the joint configuration was entered.
    pub outgoing: MajorityConfig,
}

impl JointConfig {
    /// Whether two majorities are needed.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the member is a voter in either set.
    pub fn contains(&self, id: u64) -> bool {
        self.incoming.contains(id) || self.outgoing.contains(id)
    }

    /// The voters of both sets.
    pub fn ids(&self) -> BTreeSet<u64> {
        self.incoming.iter().chain(self.outgoing.iter()).collect()
    }

    /// The highest index that is committed in both sets; `u64::MAX` if both are empty.
    pub fn committed_index(&self, acked: impl Fn(u64) -> Option<u64>) -> u64 {
        self.incoming.committed_index(&acked).min(self.outgoing.committed_index(&acked))
    }

    /// What the votes cast so far amount to: won where both sets are, lost where either is.
    pub fn vote_result(&self, votes: &BTreeMap<u64, bool>) -> VoteResult {
        match (self.incoming.vote_result(votes), self.outgoing.vote_result(votes)) {
            (VoteResult::Lost, _) | (_, VoteResult::Lost) => VoteResult::Lost,
            (VoteResult::Won, VoteResult::Won) => VoteResult::Won,
            (VoteResult::Pending, _) | (_, VoteResult::Pending) => VoteResult::Pending,
        }
    }

    /// Draws what each voter of either set has acknowledged.
    pub fn describe(&self, acked: impl Fn(u64) -> Option<u64>) -> String {
        self.ids().into_iter().collect::<MajorityConfig>().describe(acked)
    }
}

impl fmt::Display for JointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.incoming)?;
        if self.is_joint() {
            write!(f, "&&{}", self.outgoing)?;
        }
        Ok(())
    }
}
