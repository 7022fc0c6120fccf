//! What a message must look like before anything is done with it.

use proto::raftpb::{Message, MessageType};

use super::{Raft, is_local_thread};
use crate::NONE;
use crate::error::Error;
use crate::log::snapshot_id;
use crate::storage::Storage;

/// Terms and indexes beyond this are nonsense; below it, sums with small numbers can't overflow.
const NUMBER_MAX: u64 = i64::MAX as u64;

impl<S: Storage> Raft<S> {
    /// Refuses what no member would send, or would not send to this one.
    pub(super) fn validate(&self, message: &Message, msg_type: MessageType) -> Result<(), Error> {
        let refuse = |reason| Err(Error::MalformedMessage(reason));
        if message.to != NONE && message.to != self.id {
            return refuse("for another member");
        }
        let numbers = [message.term, message.log_term, message.index, message.commit, message.reject_hint];
        if numbers.iter().any(|&number| number > NUMBER_MAX) {
            return refuse("a term or index out of range");
        }
        if is_local_thread(message.from) {
            return refuse("a local storage thread can't send this");
        }
        match msg_type {
            MessageType::MsgProp if message.entries.is_empty() => refuse("a MsgProp without entries"),
            MessageType::MsgReadIndex if message.entries.len() != 1 => refuse("a read index without its context"),
            // These are forwarded, or local requests: any sender, or none.
            MessageType::MsgProp
            | MessageType::MsgReadIndex
            | MessageType::MsgTransferLeader
            | MessageType::MsgForgetLeader => Ok(()),
            _ if message.from == NONE => refuse("nobody sent it"),
            MessageType::MsgPreVoteResp if message.reject => Ok(()),
            _ if message.term == 0 => refuse("it has no term"),
            // Only these does a member send to itself.
            MessageType::MsgAppResp | MessageType::MsgVoteResp | MessageType::MsgPreVoteResp => Ok(()),
            _ if message.from == self.id => refuse("it pretends to be from this member"),
            MessageType::MsgApp => check_entries(message),
            MessageType::MsgSnap => check_snapshot(message),
            MessageType::MsgReadIndexResp if message.entries.len() != 1 => refuse("a read index without its context"),
            _ => Ok(()),
        }
    }
}

/// The entries of an append follow each other, and their terms never decrease nor exceed the leader's.
fn check_entries(append: &Message) -> Result<(), Error> {
    let (mut index, mut term) = (append.index, append.log_term);
    for entry in &append.entries {
        index += 1;
        if entry.index != index {
            return Err(Error::MalformedMessage("the entries don't follow each other"));
        }
        if entry.term < term {
            return Err(Error::MalformedMessage("the terms of the entries decrease"));
        }
        term = entry.term;
    }
    if term > append.term {
        return Err(Error::MalformedMessage("an entry of a later term"));
    }
    Ok(())
}

fn check_snapshot(message: &Message) -> Result<(), Error> {
    let Some(snapshot) = &message.snapshot else {
        return Err(Error::MalformedMessage("a MsgSnap without a snapshot"));
    };
    let id = snapshot_id(snapshot);
    if id.index == 0 || id.index > NUMBER_MAX || id.term > message.term {
        return Err(Error::MalformedMessage("a MsgSnap whose snapshot has no place in the log"));
    }
    Ok(())
}
