//! Which messages of a peer may reach raft at all. Whatever raft itself can judge is left to it.

use proto::raftpb::{Message, MessageType};

/// Why a message may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("its type {0} is none that members send each other")]
    Type(i32),
    #[error("it is for member {0:x}")]
    To(u64),
    #[error("it claims to be from member {0:x}")]
    From(u64),
    #[error("a snapshot must come with its database")]
    Snapshot,
    #[error("its entries have gaps")]
    Gap,
}

/// Lets a message pass that came from `remote` (`None` where the sender did not say who it is) to this member.
pub(crate) fn admit(mut message: Message, local: u64, remote: Option<u64>) -> Result<Message, Unfit> {
    let kind = match MessageType::try_from(message.msg_type) {
        Ok(kind) => kind,
        Err(_) => return Err(Unfit::Type(message.msg_type)),
    };
    match kind {
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum
        | MessageType::MsgStorageAppend
        | MessageType::MsgStorageAppendResp
        | MessageType::MsgStorageApply
        | MessageType::MsgStorageApplyResp
        | MessageType::MsgForgetLeader => return Err(Unfit::Type(message.msg_type)),
        MessageType::MsgSnap => return Err(Unfit::Snapshot),
        // Handed on by a member that is not the leader, these keep the id of the first sender.
        MessageType::MsgProp | MessageType::MsgReadIndex | MessageType::MsgTransferLeader => {}
        MessageType::MsgApp
        | MessageType::MsgAppResp
        | MessageType::MsgVote
        | MessageType::MsgVoteResp
        | MessageType::MsgHeartbeat
        | MessageType::MsgHeartbeatResp
        | MessageType::MsgTimeoutNow
        | MessageType::MsgReadIndexResp
        | MessageType::MsgPreVote
        | MessageType::MsgPreVoteResp => {
            if remote.is_some_and(|remote| remote != message.from) || message.from == 0 {
                return Err(Unfit::From(message.from));
            }
        }
    }
    if message.to != local {
        return Err(Unfit::To(message.to));
    }
    if message.from == local {
        return Err(Unfit::From(message.from));
    }
    let mut next = message.index;
    let mut follows = |index: u64| {
        next = next.wrapping_add(1);
        index == next && index != 0
    };
    if kind == MessageType::MsgApp && !message.entries.iter().all(|entry| follows(entry.index)) {
        return Err(Unfit::Gap);
    }
    clear_local(&mut message);
    Ok(message)
}

/// Fields that mean something only within a member.
pub(crate) fn clear_local(message: &mut Message) {
    message.vote = 0;
    message.responses.clear();
}
