//! The message stream, and the message ahead of a database.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use proto::raftpb::{Message, MessageType};

use super::{CodecError, Decoded, ENVELOPE_BYTES_MAX, FRAME_BYTES_MAX, Input, Output, decode};

/// Adds one message to a message stream. Returns its size.
pub(crate) fn encode_message(message: Message, out: &mut Output) -> u64 {
    out.put_framed_message(message)
}

/// Adds a sign of life to a message stream, in the form of 3.7. Returns its size.
pub(crate) fn encode_heartbeat(out: &mut Output) -> u64 {
    let message = Message { msg_type: MessageType::MsgHeartbeat.into(), ..Message::default() };
    out.put_framed_message(message)
}

/// Reads a message stream.
#[derive(Debug, Default)]
pub(crate) struct MessageDecoder {
    /// The length of the message that has not arrived wholly.
    len: Option<u64>,
}

impl MessageDecoder {
    /// The next message, once it is there.
    pub fn next(&mut self, input: &mut Input) -> Result<Option<Decoded>, CodecError> {
        let Some(frame) = next_frame(&mut self.len, input, FRAME_BYTES_MAX)? else { return Ok(None) };
        let bytes = frame.len() as u64;
        Ok(Some(Decoded::new(decode(frame)?, bytes)))
    }
}

/// The message ahead of a database.
pub(crate) fn encode_envelope(message: &Message) -> Bytes {
    let len = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(8 + len);
    buffer.put_u64(len as u64);
    message.encode_raw(&mut buffer);
    buffer.freeze()
}

/// Reads the message ahead of a database; what follows stays in the input.
#[derive(Debug, Default)]
pub(crate) struct EnvelopeDecoder {
    len: Option<u64>,
}

impl EnvelopeDecoder {
    /// The message, once it is there.
    pub fn next(&mut self, input: &mut Input) -> Result<Option<Message>, CodecError> {
        let Some(frame) = next_frame(&mut self.len, input, ENVELOPE_BYTES_MAX)? else { return Ok(None) };
        Ok(Some(decode(frame)?))
    }
}

/// The bytes after a length, once they are there; `len` is remembered in between.
pub(super) fn next_frame(len: &mut Option<u64>, input: &mut Input, max: u64) -> Result<Option<Bytes>, CodecError> {
    let wanted = match *len {
        Some(len) => len,
        None => match input.take_u64() {
            Some(len) => len,
            None => return Ok(None),
        },
    };
    if wanted > max {
        return Err(CodecError::TooLarge(wanted));
    }
    *len = Some(wanted);
    let frame = usize::try_from(wanted).ok().and_then(|wanted| input.take(wanted));
    if frame.is_some() {
        *len = None;
    }
    Ok(frame)
}
