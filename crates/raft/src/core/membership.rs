//! Taking a configuration into force.

use proto::raftpb::ConfState;

use super::Raft;
use crate::NONE;
use crate::confchange::Changer;
use crate::error::ConfChangeError;
use crate::raw_node::AnyConfChange;
use crate::storage::Storage;
use crate::tracker::{Configuration, ProgressMap};

impl<S: Storage> Raft<S> {
    /// Takes a committed change into force.
    pub(crate) fn apply_conf_change(&mut self, change: AnyConfChange) -> Result<ConfState, ConfChangeError> {
        let changer = Changer {
            config: &self.members,
            progress: &self.progress,
            last_index: self.log.last_index(),
            inflights: &self.empty_inflights(),
        };
        let (members, progress) = changer.change(&change.into_v2())?;
        self.switch_to(members, progress);
        Ok(self.members.conf_state())
    }

    pub(super) fn switch_to(&mut self, members: Configuration, progress: ProgressMap) {
        self.members = members;
        self.progress = progress;
        tracing::info!("{:x} switched to configuration {}", self.id, self.members);
        let own = self.progress.get(&self.id);
        self.is_learner = own.is_some_and(|own| own.is_learner);
        if !self.role.is_leader() {
            return;
        }
        if own.is_none() || self.is_learner {
            // Not a voter any more. It may go on until the others have learned of the change, or somebody else is
            // elected: its entries are committed by the voters alone.
            if self.config.step_down_on_removal {
                self.become_follower(self.term, NONE);
            }
            return;
        }
        if self.members.voters.incoming.is_empty() {
            return;
        }
        if self.maybe_commit() {
            // Fewer voters may be a quorum for what was not committed by more.
            self.broadcast_append();
        } else {
            // New members are probed at once.
            let peers: Vec<u64> = self.peers().collect();
            for peer in peers {
                self.maybe_send_append(peer, false);
            }
        }
        // A member that can't lead any more will not take over.
        let transferee = self.role.transferee();
        if transferee != NONE && !self.members.voters.contains(transferee) {
            self.abort_leader_transfer();
        }
    }
}
