//! Carrying out what nodes want done.

use proto::raftpb::{Entry, HardState, Message, MessageType};
use raft::{AnyConfChange, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, describe};

use super::{Cluster, Node};

impl Node {
    fn apply(&mut self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            let change = AnyConfChange::from_entry(entry).map_err(|error| error.to_string())?;
            let conf_state = change.map(|change| self.raw.apply_conf_change(change)).transpose();
            let conf_state = conf_state.map_err(|error| error.to_string())?;
            self.raw.storage_mut().record(entry, conf_state);
        }
        Ok(())
    }
}

/// Whether a message must not be lost: it never leaves its node.
fn is_local(message: &Message) -> bool {
    let thread = |id| id == LOCAL_APPEND_THREAD || id == LOCAL_APPLY_THREAD;
    message.from == message.to || thread(message.from) || thread(message.to)
}

impl Cluster {
    pub(super) fn process_ready(&mut self, id: u64) -> Result<(), String> {
        let ready = self.node(id).raw.ready();
        self.print(describe::ready(&ready));
        let node = self.node(id);
        let asynchronous = node.config.async_storage_writes;
        if !asynchronous {
            let appended = node.raw.storage_mut().append(ready.hard_state, ready.snapshot, &ready.entries);
            appended.map_err(|error| error.to_string())?;
            node.apply(&ready.committed_entries)?;
        }
        for message in ready.messages {
            match message.to {
                LOCAL_APPEND_THREAD => self.node(id).append_work.push_back(message),
                LOCAL_APPLY_THREAD => self.node(id).apply_work.push_back(message),
                _ => self.messages.push(message),
            }
        }
        if !asynchronous {
            self.node(id).raw.advance();
        }
        Ok(())
    }

    pub(super) fn process_append(&mut self, id: u64) -> Result<(), String> {
        let Some(mut work) = self.node(id).append_work.pop_front() else {
            self.print("no append work to perform");
            return Ok(());
        };
        let responses = std::mem::take(&mut work.responses);
        self.print("Processing:");
        self.print(describe::message(&work));
        let hard_state = HardState { term: work.term, vote: work.vote, commit: work.commit };
        let hard_state = (hard_state != HardState::default()).then_some(hard_state);
        let appended = self.node(id).raw.storage_mut().append(hard_state, work.snapshot, &work.entries);
        appended.map_err(|error| error.to_string())?;
        self.respond(responses);
        Ok(())
    }

    pub(super) fn process_apply(&mut self, id: u64) -> Result<(), String> {
        let Some(mut work) = self.node(id).apply_work.pop_front() else {
            self.print("no apply work to perform");
            return Ok(());
        };
        let responses = std::mem::take(&mut work.responses);
        self.print("Processing:");
        self.print(describe::message(&work));
        self.node(id).apply(&work.entries)?;
        self.respond(responses);
        Ok(())
    }

    fn respond(&mut self, responses: Vec<Message>) {
        self.print("Responses:");
        for response in &responses {
            self.print(describe::message(response));
        }
        self.messages.extend(responses);
    }

    /// Takes out the messages to a node, in order.
    fn take_messages(&mut self, to: u64, msg_type: Option<MessageType>, drop: bool) -> Vec<Message> {
        let wanted = |message: &Message| {
            message.to == to
                && !(drop && is_local(message))
                && msg_type.is_none_or(|msg_type| message.msg_type() == msg_type)
        };
        let (taken, left) = std::mem::take(&mut self.messages).into_iter().partition(wanted);
        self.messages = left;
        taken
    }

    /// Delivers the messages to a node; how many there were.
    pub(super) fn deliver(&mut self, to: u64, msg_type: Option<MessageType>) -> usize {
        let messages = self.take_messages(to, msg_type, false);
        let count = messages.len();
        for message in messages {
            self.print(describe::message(&message));
            if let Err(error) = self.node(to).raw.step(message) {
                self.print(error.to_string());
            }
        }
        count
    }

    /// Loses the messages to a node; how many there were.
    pub(super) fn drop_messages(&mut self, to: u64, msg_type: Option<MessageType>) -> usize {
        let messages = self.take_messages(to, msg_type, true);
        for message in &messages {
            self.print(format!("dropped: {}", describe::message(message)));
        }
        messages.len()
    }

    /// Does whatever there is to do on these nodes, until there is nothing more.
    pub(super) fn stabilize(&mut self, ids: &[u64]) -> Result<(), String> {
        loop {
            let mut done = true;
            for &id in ids.iter().filter(|&&id| self.nodes[id as usize - 1].raw.has_ready()).collect::<Vec<_>>() {
                self.print(format!("> {id} handling Ready"));
                self.indented(|cluster| cluster.process_ready(id))?;
                done = false;
            }
            for &id in ids {
                if self.messages.iter().any(|message| message.to == id) {
                    self.print(format!("> {id} receiving messages"));
                    self.indented(|cluster| cluster.deliver(id, None));
                    done = false;
                }
            }
            for &id in ids {
                if !self.node(id).append_work.is_empty() {
                    self.print(format!("> {id} processing append thread"));
                    while !self.node(id).append_work.is_empty() {
                        self.indented(|cluster| cluster.process_append(id))?;
                    }
                    done = false;
                }
            }
            for &id in ids {
                if !self.node(id).apply_work.is_empty() {
                    self.print(format!("> {id} processing apply thread"));
                    while !self.node(id).apply_work.is_empty() {
                        self.indented(|cluster| cluster.process_apply(id))?;
                    }
                    done = false;
                }
            }
            if done {
                return Ok(());
            }
        }
    }
}
