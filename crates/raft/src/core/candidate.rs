//! What candidates do with messages.

use proto::raftpb::{Message, MessageType};

use super::{Raft, Role};
use crate::error::Error;
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    pub(super) fn step_candidate(&mut self, message: Message) -> Result<(), Error> {
        let pre = matches!(self.role, Role::PreCandidate(_));
        match message.msg_type() {
            MessageType::MsgProp => {
                tracing::info!("{:x} no leader at term {}; dropping proposal", self.id, self.term);
                Err(Error::ProposalDropped)
            }
            // Somebody else was elected in this term.
            MessageType::MsgApp | MessageType::MsgHeartbeat | MessageType::MsgSnap => {
                self.become_follower(message.term, message.from);
                self.step_follower(message)
            }
            // Answers to the other kind of question are left over from earlier.
            MessageType::MsgPreVoteResp if pre => {
                self.count_vote(message.from, !message.reject);
                Ok(())
            }
            MessageType::MsgVoteResp if !pre => {
                self.count_vote(message.from, !message.reject);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
