//! Who is a member, and in which role.

use std::collections::BTreeSet;
use std::fmt;

use proto::raftpb::ConfState;

use crate::quorum::JointConfig;

/// A configuration of the cluster. Voters and learners are disjoint; `learners_next` is a subset of the outgoing
/// voters and empty outside of a joint configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    pub voters: JointConfig,
    /// The leader leaves the joint configuration by itself as soon as it is applied.
    pub auto_leave: bool,
    pub learners: BTreeSet<u64>,
    /// Voters of the outgoing set that become learners when the joint configuration is left: nobody is both at once.
    pub learners_next: BTreeSet<u64>,
}

impl Configuration {
    /// The form in which snapshots carry it, each list in ascending order.
    pub fn conf_state(&self) -> ConfState {
        ConfState {
            voters: self.voters.incoming.iter().collect(),
            learners: self.learners.iter().copied().collect(),
            voters_outgoing: self.voters.outgoing.iter().collect(),
            learners_next: self.learners_next.iter().copied().collect(),
            auto_leave: self.auto_leave,
        }
    }

    /// Whether there is exactly one voter, in one set.
    pub fn is_singleton(&self) -> bool {
        self.voters.incoming.len() == 1 && !self.voters.is_joint()
    }
}

fn write_ids(f: &mut fmt::Formatter<'_>, name: &str, ids: &BTreeSet<u64>) -> fmt::Result {
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = ids.iter().map(u64::to_string).collect();
    write!(f, " {name}=({})", ids.join(" "))
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "voters={}", self.voters)?;
        write_ids(f, "learners", &self.learners)?;
        write_ids(f, "learners_next", &self.learners_next)?;
        if self.auto_leave {
            f.write_str(" autoleave")?;
        }
        Ok(())
    }
}
