//! Linearizable reads, from the leader's side.

use proto::raftpb::{Message, MessageType};

use super::{Raft, message};
use crate::NONE;
use crate::config::ReadOnlyOption;
use crate::log::EntryId;
use crate::raw_node::ReadState;
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    pub(super) fn handle_read_index(&mut self, request: Message) {
        if self.has_committed_in_term() {
            self.confirm_read(request);
        } else if let Some(leader) = self.role.leader_mut() {
            // What earlier leaders committed is known only then, also on a cluster of one.
            leader.postponed_reads.push(request);
        }
    }

    fn has_committed_in_term(&self) -> bool {
        self.log.matches(EntryId { term: self.term, index: self.log.committed() })
    }

    fn confirm_read(&mut self, request: Message) {
        let index = self.log.committed();
        if self.config.read_only_option == ReadOnlyOption::LeaseBased {
            return self.answer_read(request, index);
        }
        let id = self.id;
        let Some(leader) = self.role.leader_mut() else { return };
        leader.reads.add(request, index);
        leader.reads.echo_self(id);
        self.answer_confirmed_reads();
        if self.role.leader().is_some_and(|leader| !leader.reads.context().is_empty()) {
            self.broadcast_heartbeat();
        }
    }

    /// A member echoed the context of a heartbeat.
    pub(super) fn read_index_echoed(&mut self, from: u64, context: &[u8]) {
        if let Some(leader) = self.role.leader_mut() {
            leader.reads.echo(from, context);
            self.answer_confirmed_reads();
        }
    }

    fn answer_confirmed_reads(&mut self) {
        let Some(leader) = self.role.leader_mut() else { return };
        for read in leader.reads.take_confirmed(&self.members.voters) {
            self.answer_read(read.request, read.index);
        }
    }

    fn answer_read(&mut self, mut request: Message, index: u64) {
        if request.from == NONE || request.from == self.id {
            // One entry, as was checked.
            let context = request.entries.pop().map(|entry| entry.data).unwrap_or_default();
            self.read_states.push(ReadState { index, context });
            return;
        }
        let mut answer = message(MessageType::MsgReadIndexResp, request.from);
        answer.index = index;
        answer.entries = request.entries;
        self.send(answer);
    }

    /// Something was committed.
    pub(super) fn release_postponed_reads(&mut self) {
        let Some(leader) = self.role.leader_mut() else { return };
        if leader.postponed_reads.is_empty() {
            return;
        }
        let postponed = std::mem::take(&mut leader.postponed_reads);
        for request in postponed {
            self.handle_read_index(request);
        }
    }
}
