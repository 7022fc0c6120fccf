//! The way in for messages: terms first, then votes, then the role.

use proto::raftpb::{Message, MessageType};

use super::{CAMPAIGN_TRANSFER, Raft, Role, is_local_thread, message};
use crate::NONE;
use crate::error::Error;
use crate::log::EntryId;
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    pub(crate) fn step(&mut self, mut message: Message) -> Result<(), Error> {
        let Ok(msg_type) = MessageType::try_from(message.msg_type) else {
            return Err(Error::MalformedMessage("a message of an unknown type"));
        };
        match msg_type {
            MessageType::MsgStorageAppendResp if is_local_thread(message.from) => {
                self.appended(message);
                return Ok(());
            }
            MessageType::MsgStorageApplyResp if is_local_thread(message.from) => {
                self.applied(&message.entries);
                return Ok(());
            }
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgStorageAppend
            | MessageType::MsgStorageAppendResp
            | MessageType::MsgStorageApply
            | MessageType::MsgStorageApplyResp => return Err(Error::StepLocalMessage),
            // Of whatever term whoever asks is.
            MessageType::MsgProp | MessageType::MsgReadIndex => message.term = 0,
            _ => {}
        }
        self.validate(&message, msg_type)?;
        let is_response = matches!(
            msg_type,
            MessageType::MsgAppResp
                | MessageType::MsgVoteResp
                | MessageType::MsgHeartbeatResp
                | MessageType::MsgReadIndexResp
                | MessageType::MsgPreVoteResp
        );
        if is_response && !self.progress.contains_key(&message.from) {
            return Err(Error::StepPeerNotFound);
        }
        if message.term > self.term {
            if !self.meet_higher_term(&message, msg_type) {
                return Ok(());
            }
        } else if message.term != 0 && message.term < self.term {
            self.meet_lower_term(&message, msg_type);
            return Ok(());
        }
        match msg_type {
            MessageType::MsgVote | MessageType::MsgPreVote => {
                self.handle_vote_request(&message, msg_type);
                Ok(())
            }
            _ => match self.role {
                Role::Follower => self.step_follower(message),
                Role::PreCandidate(_) | Role::Candidate(_) => self.step_candidate(message),
                Role::Leader(_) => self.step_leader(message),
            },
        }
    }

    /// Moves to the message's term where that is due. Whether the message still matters.
    fn meet_higher_term(&mut self, message: &Message, msg_type: MessageType) -> bool {
        match msg_type {
            MessageType::MsgVote | MessageType::MsgPreVote => {
                let forced = message.context.as_ref() == CAMPAIGN_TRANSFER;
                let in_lease = self.config.check_quorum
                    && self.leader != NONE
                    && self.election_elapsed < self.config.election_ticks;
                if in_lease && !forced {
                    // A leader was heard from within an election timeout: whoever asks lost touch with it, or was
                    // removed. Without this it could depose one leader after the other.
                    tracing::info!(
                        "{:x} [term: {}] ignored {msg_type:?} from {:x} at term {}: lease is not expired",
                        self.id,
                        self.term,
                        message.from,
                        message.term
                    );
                    return false;
                }
                if msg_type == MessageType::MsgPreVote {
                    // Only a question.
                    return true;
                }
                self.become_follower_of(message, NONE);
            }
            // Our own question named the term it would lead to. A refusal names the term of whoever refuses.
            MessageType::MsgPreVoteResp if !message.reject => {}
            // These come from a leader only.
            MessageType::MsgApp | MessageType::MsgHeartbeat | MessageType::MsgSnap => {
                self.become_follower_of(message, message.from);
            }
            _ => self.become_follower_of(message, NONE),
        }
        true
    }

    fn become_follower_of(&mut self, message: &Message, leader: u64) {
        tracing::info!(
            "{:x} [term: {}] received a {:?} message with higher term from {:x} [term: {}]",
            self.id,
            self.term,
            message.msg_type(),
            message.from,
            message.term
        );
        self.become_follower(message.term, leader);
    }

    fn meet_lower_term(&mut self, late: &Message, msg_type: MessageType) {
        match msg_type {
            // A leader of an earlier term is not deposed by elections that protected or pre-voting members ignore. So it
            // is told of the later term, or a member that came to it alone could never be reached again.
            MessageType::MsgHeartbeat | MessageType::MsgApp if self.config.check_quorum || self.config.pre_vote => {
                self.send(message(MessageType::MsgAppResp, late.from));
            }
            // Where some members pre-vote and some don't, two of different terms could refuse each other for ever.
            MessageType::MsgPreVote => {
                let mut refusal = message(MessageType::MsgPreVoteResp, late.from);
                refusal.term = self.term;
                refusal.reject = true;
                self.send(refusal);
            }
            _ => tracing::info!(
                "{:x} [term: {}] ignored a {msg_type:?} message with lower term from {:x} [term: {}]",
                self.id,
                self.term,
                late.from,
                late.term
            ),
        }
    }

    /// Grants the vote, or says no. Learners vote as well: the candidate may know that they are voters by now.
    fn handle_vote_request(&mut self, request: &Message, msg_type: MessageType) {
        let (pre, answer_type) = match msg_type {
            MessageType::MsgPreVote => (true, MessageType::MsgPreVoteResp),
            _ => (false, MessageType::MsgVoteResp),
        };
        let may_vote = self.vote == request.from
            || (self.vote == NONE && self.leader == NONE)
            || (pre && request.term > self.term);
        let granted = may_vote && self.log.is_up_to_date(EntryId { term: request.log_term, index: request.index });
        tracing::info!(
            "{:x} [term: {}, vote: {:x}] {} {msg_type:?} for {:x} [logterm: {}, index: {}] at term {}",
            self.id,
            self.term,
            self.vote,
            if granted { "cast" } else { "rejected" },
            request.from,
            request.log_term,
            request.index,
            request.term
        );
        let mut answer = message(answer_type, request.from);
        answer.reject = !granted;
        // A granted pre-vote is for the term asked about; a refusal names our own, which may be later.
        answer.term = if granted { request.term } else { self.term };
        self.send(answer);
        if granted && !pre {
            // Only a real vote puts off one's own campaign.
            self.election_elapsed = 0;
            self.vote = request.from;
        }
    }
}
