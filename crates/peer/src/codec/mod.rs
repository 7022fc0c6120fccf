//! The bytes of streams, posts and snapshots, without any I/O (facts: peer-protocol, 2 and 3).
//!
//! ```text
//! message stream   u64 BE length | raftpb.Message
//! msgappv2 stream  0
//!                  1 | u64 BE n | n × (u64 BE length | raftpb.Entry) | u64 BE commit
//!                  2 | u64 BE length | raftpb.Message
//! snapshot         u64 BE length | raftpb.Message | database until the end of the body
//! ```
//!
//! Decoders take bytes in pieces of any size and never reserve memory for bytes that have not arrived.

mod admit;
mod append;
mod decode;
mod input;
mod message;
mod output;
#[cfg(test)]
mod tests;

pub(crate) use admit::{Unfit, admit, clear_local};
pub(crate) use append::{AppendDecoder, AppendEncoder};
pub(crate) use decode::decode;
pub(crate) use input::Input;
pub(crate) use message::{EnvelopeDecoder, MessageDecoder, encode_envelope, encode_heartbeat, encode_message};
pub(crate) use output::Output;

use proto::raftpb::{Message, MessageType};

/// The largest message on a stream.
pub(crate) const FRAME_BYTES_MAX: u64 = 512 << 20;
/// The largest message ahead of a database.
pub(crate) const ENVELOPE_BYTES_MAX: u64 = 64 << 20;

/// Bytes that follow no rule of the protocol: the connection is of no further use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("a message of {0} bytes is too large")]
    TooLarge(u64),
    #[error("unreadable message: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("unknown kind {0} of message")]
    UnknownKind(u8),
}

/// What a stream has brought.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "signs of life are rare, and live as shortly as messages")]
pub(crate) enum Decoded {
    /// Nothing but a sign of life.
    Heartbeat {
        bytes: u64,
    },
    Message {
        message: Message,
        bytes: u64,
    },
}

/// A heartbeat from nobody to nobody is a sign of life of the stream, whatever else it holds: releases differ in that.
fn is_link_heartbeat(message: &Message) -> bool {
    message.msg_type == MessageType::MsgHeartbeat as i32 && message.from == 0 && message.to == 0
}

impl Decoded {
    fn new(message: Message, bytes: u64) -> Decoded {
        if is_link_heartbeat(&message) { Decoded::Heartbeat { bytes } } else { Decoded::Message { message, bytes } }
    }
}
