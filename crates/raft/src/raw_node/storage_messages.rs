//! What the storage is asked to do, and what it will answer.

use proto::raftpb::{Entry, Message, MessageType};

use super::{LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, RawNode, Ready};
use crate::storage::Storage;

impl<S: Storage> RawNode<S> {
    /// Puts the work of the storage, with the answers it is to give, into the messages; or, without asynchronous storage
    /// writes, keeps the answers for [`RawNode::advance`].
    pub(super) fn hand_out_storage_work(&mut self, ready: &mut Ready) {
        let after_append = std::mem::take(&mut self.raft.messages_after_append);
        if self.raft.config.async_storage_writes {
            ready.messages.extend(self.append_message(ready, after_append));
            ready.messages.extend(self.apply_message(&ready.committed_entries));
            return;
        }
        for message in after_append {
            let queue = if message.to == self.raft.id { &mut self.on_advance } else { &mut ready.messages };
            queue.push(message);
        }
        self.on_advance.extend(self.append_response(ready));
        self.on_advance.extend(self.apply_response(&ready.committed_entries));
    }

    fn append_message(&self, ready: &Ready, mut responses: Vec<Message>) -> Option<Message> {
        let idle = ready.entries.is_empty() && ready.hard_state.is_none() && ready.snapshot.is_none();
        if idle && responses.is_empty() {
            return None;
        }
        responses.extend(self.append_response(ready));
        let hard_state = ready.hard_state.unwrap_or_default();
        Some(Message {
            msg_type: MessageType::MsgStorageAppend as i32,
            to: LOCAL_APPEND_THREAD,
            from: self.raft.id,
            term: hard_state.term,
            vote: hard_state.vote,
            commit: hard_state.commit,
            entries: ready.entries.clone(),
            snapshot: ready.snapshot.clone(),
            responses,
            ..Default::default()
        })
    }

    /// What an append that is durable tells: that the log is, up to its present end. This goes along with every append
    /// while anything is unstable, not just where there are entries: see `Raft::appended`.
    fn append_response(&self, ready: &Ready) -> Option<Message> {
        let unstable = self.raft.log.has_unstable_entries();
        if !unstable && ready.snapshot.is_none() {
            return None;
        }
        let last = if unstable { self.raft.log.last_id() } else { Default::default() };
        Some(Message {
            msg_type: MessageType::MsgStorageAppendResp as i32,
            to: self.raft.id,
            from: LOCAL_APPEND_THREAD,
            term: self.raft.term(),
            index: last.index,
            log_term: last.term,
            snapshot: ready.snapshot.clone(),
            ..Default::default()
        })
    }

    fn apply_message(&self, entries: &[Entry]) -> Option<Message> {
        let response = self.apply_response(entries)?;
        Some(Message {
            msg_type: MessageType::MsgStorageApply as i32,
            to: LOCAL_APPLY_THREAD,
            from: self.raft.id,
            entries: entries.to_vec(),
            responses: vec![response],
            ..Default::default()
        })
    }

    fn apply_response(&self, entries: &[Entry]) -> Option<Message> {
        (!entries.is_empty()).then(|| Message {
            msg_type: MessageType::MsgStorageApplyResp as i32,
            to: self.raft.id,
            from: LOCAL_APPLY_THREAD,
            entries: entries.to_vec(),
            ..Default::default()
        })
    }
}
