//! What followers do with messages.

use proto::raftpb::{Message, MessageType};

use super::campaign::Campaign;
use super::{Raft, message};
use crate::NONE;
use crate::config::ReadOnlyOption;
use crate::error::Error;
use crate::log::EntryId;
use crate::raw_node::ReadState;
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    pub(super) fn step_follower(&mut self, message: Message) -> Result<(), Error> {
        match message.msg_type() {
            MessageType::MsgProp => {
                if self.leader == NONE {
                    tracing::info!("{:x} no leader at term {}; dropping proposal", self.id, self.term);
                    return Err(Error::ProposalDropped);
                }
                if self.config.disable_proposal_forwarding {
                    tracing::info!("{:x} not forwarding to leader {:x}; dropping proposal", self.id, self.leader);
                    return Err(Error::ProposalDropped);
                }
                self.forward(message);
            }
            MessageType::MsgApp => {
                self.follow(message.from);
                self.handle_append(message)?;
            }
            MessageType::MsgHeartbeat => {
                self.follow(message.from);
                self.handle_heartbeat(message)?;
            }
            MessageType::MsgSnap => {
                self.follow(message.from);
                self.handle_snapshot(message)?;
            }
            MessageType::MsgTransferLeader | MessageType::MsgReadIndex => {
                if self.leader == NONE {
                    tracing::info!("{:x} no leader at term {}; dropping {:?}", self.id, self.term, message.msg_type());
                    return Ok(());
                }
                self.forward(message);
            }
            MessageType::MsgForgetLeader => self.forget_leader(),
            MessageType::MsgTimeoutNow => {
                tracing::info!(
                    "{:x} [term {}] received MsgTimeoutNow from {:x} and starts an election to get leadership",
                    self.id,
                    self.term,
                    message.from
                );
                // The leader knows that this log is complete: nobody needs to be asked first.
                self.start_campaign(Campaign::Transfer);
            }
            MessageType::MsgReadIndexResp => {
                // One entry, as was checked; its data is what was asked with.
                let context = message.entries.into_iter().next().map(|entry| entry.data).unwrap_or_default();
                self.read_states.push(ReadState { index: message.index, context });
            }
            _ => {}
        }
        Ok(())
    }

    /// The leader was heard from.
    fn follow(&mut self, leader: u64) {
        self.election_elapsed = 0;
        self.leader = leader;
    }

    fn forward(&mut self, mut message: Message) {
        message.to = self.leader;
        // A member that follows itself would be a leader; but a stale forward may come back to where it started.
        if message.to != self.id {
            self.send(message);
        }
    }

    fn forget_leader(&mut self) {
        if self.config.read_only_option == ReadOnlyOption::LeaseBased {
            tracing::error!("ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
            return;
        }
        if self.leader != NONE {
            tracing::info!("{:x} forgetting leader {:x} at term {}", self.id, self.leader, self.term);
            self.leader = NONE;
        }
    }

    fn handle_append(&mut self, append: Message) -> Result<(), Error> {
        let mut answer = message(MessageType::MsgAppResp, append.from);
        if append.index < self.log.committed() {
            answer.index = self.log.committed();
            self.send(answer);
            return Ok(());
        }
        let prev = EntryId { term: append.log_term, index: append.index };
        match self.log.maybe_append(prev, append.entries, append.commit)? {
            Some(last) => answer.index = last,
            None => {
                tracing::debug!(
                    "{:x} [logterm: {}, index: {}] rejected MsgApp [logterm: {}, index: {}] from {:x}",
                    self.id,
                    self.log.term(prev.index).unwrap_or(0),
                    prev.index,
                    prev.term,
                    prev.index,
                    append.from
                );
                // The leader's entry at `prev` has `prev.term`, and terms never decrease along a log: entries here of a
                // higher term can't be in the leader's log before `prev`. It need not probe them.
                let start = prev.index.min(self.log.last_index());
                let (hint, hint_term) = self.log.find_conflict_by_term(start, prev.term);
                answer.index = prev.index;
                answer.reject = true;
                answer.reject_hint = hint;
                answer.log_term = hint_term;
            }
        }
        self.send(answer);
        Ok(())
    }

    fn handle_heartbeat(&mut self, heartbeat: Message) -> Result<(), Error> {
        self.log.commit_to(heartbeat.commit)?;
        let mut answer = message(MessageType::MsgHeartbeatResp, heartbeat.from);
        answer.context = heartbeat.context;
        self.send(answer);
        Ok(())
    }
}
