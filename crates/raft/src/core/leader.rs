//! What a leader does with messages.

use proto::raftpb::{Message, MessageType};

use super::{Raft, message};
use crate::NONE;
use crate::error::Error;
use crate::quorum::VoteResult;
use crate::raw_node::SnapshotStatus;
use crate::storage::Storage;
use crate::tracker::ProgressState;

impl<S: Storage> Raft<S> {
    pub(super) fn step_leader(&mut self, message: Message) -> Result<(), Error> {
        match message.msg_type() {
            MessageType::MsgProp => self.propose(message.entries)?,
            MessageType::MsgReadIndex => self.handle_read_index(message),
            MessageType::MsgAppResp if message.reject => self.handle_append_rejection(&message),
            MessageType::MsgAppResp => self.handle_append_response(&message)?,
            MessageType::MsgHeartbeatResp => self.handle_heartbeat_response(&message),
            MessageType::MsgTransferLeader => self.handle_transfer_leader(message.from),
            _ => {}
        }
        Ok(())
    }

    fn handle_append_rejection(&mut self, answer: &Message) {
        let Some(progress) = self.progress.get_mut(&answer.from) else { return };
        progress.recent_active = true;
        // The follower named the last index at which its log may agree with an entry of `log_term`. Entries here that
        // are of a higher term can't be in its log up to there, so they need not be probed either.
        let hint = if answer.log_term > 0 {
            self.log.find_conflict_by_term(answer.reject_hint, answer.log_term).0
        } else {
            answer.reject_hint
        };
        if !progress.maybe_decrease(answer.index, hint) {
            return;
        }
        tracing::debug!(
            "{:x} received MsgAppResp(rejected, hint: (index {}, term {})) from {:x} for index {}: now {progress}",
            self.id,
            answer.reject_hint,
            answer.log_term,
            answer.from,
            answer.index
        );
        if progress.state == ProgressState::Replicate {
            progress.become_probe();
        }
        self.send_append(answer.from);
    }

    fn handle_append_response(&mut self, answer: &Message) -> Result<(), Error> {
        if answer.index > self.log.last_index() {
            return Err(Error::MalformedMessage("an entry is acknowledged that was never sent"));
        }
        let first_index = self.log.first_index();
        let Some(progress) = self.progress.get_mut(&answer.from) else { return Ok(()) };
        progress.recent_active = true;
        // Also old news end a probe: they show that the logs agree where the follower was thought to be.
        let probe_answered = progress.matched == answer.index && progress.state == ProgressState::Probe;
        if !progress.maybe_update(answer.index) && !probe_answered {
            return Ok(());
        }
        match progress.state {
            ProgressState::Probe => progress.become_replicate(),
            // The snapshot need not be the one that was sent last, or at all, as long as the log goes on from there.
            ProgressState::Snapshot { .. } if progress.matched + 1 >= first_index => {
                tracing::debug!("{:x} recovered {:x} from needing a snapshot [{progress}]", self.id, answer.from);
                progress.become_probe();
                progress.become_replicate();
            }
            ProgressState::Snapshot { .. } => {}
            ProgressState::Replicate => progress.inflights.free_to(answer.index),
        }
        let can_bump_commit = progress.can_bump_commit(self.log.committed());
        let matched = progress.matched;
        let is_peer = answer.from != self.id;
        if self.maybe_commit() {
            self.broadcast_append();
        } else if is_peer && can_bump_commit {
            self.send_append(answer.from);
        }
        // There may be room for several messages now.
        while is_peer && self.maybe_send_append(answer.from, false) {}
        if answer.from == self.role.transferee() && matched == self.log.last_index() {
            tracing::info!("{:x} sent MsgTimeoutNow to {:x} after received MsgAppResp", self.id, answer.from);
            self.send_timeout_now(answer.from);
        }
        Ok(())
    }

    fn handle_heartbeat_response(&mut self, answer: &Message) {
        let last = self.log.last_index();
        let Some(progress) = self.progress.get_mut(&answer.from) else { return };
        progress.recent_active = true;
        // It lives: whatever was on its way may be lost, and one more append, if only an empty one, will show.
        progress.append_paused = false;
        if progress.matched < last || progress.state == ProgressState::Probe {
            self.send_append(answer.from);
        }
        self.read_index_echoed(answer.from, &answer.context);
    }

    /// A message to the member was not delivered: what was sent ahead is probably lost.
    pub(crate) fn report_unreachable(&mut self, id: u64) {
        if !self.role.is_leader() {
            return;
        }
        if let Some(progress) = self.progress.get_mut(&id) {
            if progress.state == ProgressState::Replicate {
                progress.become_probe();
            }
            tracing::debug!("{:x} failed to send message to {id:x} because it is unreachable [{progress}]", self.id);
        }
    }

    /// The fate of a snapshot on its way to the member.
    pub(crate) fn report_snapshot(&mut self, id: u64, status: SnapshotStatus) {
        if !self.role.is_leader() {
            return;
        }
        let Some(progress) = self.progress.get_mut(&id) else { return };
        if !matches!(progress.state, ProgressState::Snapshot { .. }) {
            return;
        }
        if status == SnapshotStatus::Failure {
            // Probing starts from what it had before.
            progress.state = ProgressState::Snapshot { pending: 0 };
        }
        progress.become_probe();
        // After a success the member will answer by itself; after a failure there is no hurry.
        progress.append_paused = true;
        tracing::debug!("{:x} snapshot to {id:x}: {status:?}, resumed sending [{progress}]", self.id);
    }

    fn handle_transfer_leader(&mut self, to: u64) {
        let last = self.log.last_index();
        let Some(progress) = self.progress.get_mut(&to) else { return };
        if progress.is_learner || to == self.id && self.role.transferee() == NONE {
            tracing::debug!("{:x} ignored the transfer of leadership to {to:x}", self.id);
            return;
        }
        let Some(leader) = self.role.leader_mut() else { return };
        if leader.transferee == to {
            tracing::info!("{:x} [term {}] transfer leadership to {to:x} is in progress", self.id, self.term);
            return;
        }
        // A newer wish replaces an older one; to stay where it is, is one as well.
        leader.transferee = if to == self.id { NONE } else { to };
        if to == self.id {
            return;
        }
        tracing::info!("{:x} [term {}] starts to transfer leadership to {to:x}", self.id, self.term);
        // It must be done within one election timeout.
        self.election_elapsed = 0;
        if progress.matched == last {
            self.send_timeout_now(to);
        } else {
            self.send_append(to);
        }
    }

    pub(super) fn abort_leader_transfer(&mut self) {
        if let Some(leader) = self.role.leader_mut() {
            leader.transferee = NONE;
        }
    }

    pub(super) fn send_timeout_now(&mut self, to: u64) {
        self.send(message(MessageType::MsgTimeoutNow, to));
    }

    /// Steps down unless a quorum was heard from since the last time.
    pub(super) fn check_quorum(&mut self) {
        let active = self.progress.iter().filter(|(_, member)| !member.is_learner);
        let active = active.map(|(&id, member)| (id, member.recent_active)).collect();
        if self.members.voters.vote_result(&active) != VoteResult::Won {
            tracing::warn!("{:x} stepped down to follower since quorum is not active", self.id);
            self.become_follower(self.term, NONE);
        }
        for (&id, member) in &mut self.progress {
            if id != self.id {
                member.recent_active = false;
            }
        }
    }
}
