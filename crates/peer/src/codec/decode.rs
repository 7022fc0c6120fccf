//! One message from its bytes.

use bytes::{Buf, Bytes};
use prost::Message as _;
use prost::encoding::decode_varint;
use proto::raftpb::Message;

use super::CodecError;

/// Frames from this size on are looked through before they are decoded.
const LOOK_THROUGH_BYTES: usize = 1 << 20;
/// Entries, or other repeated fields, that one frame may hold for each of its bytes: those of etcd have ten bytes at the
/// least, and take about sixty in memory.
const BYTES_PER_FIELD_MIN: usize = 8;

/// Decodes a message, whose bytes are copied: they may be kept for long, and a part of the buffer that they arrived in would
/// keep all of it. Two bytes can stand for an empty entry, so a large frame of those is refused: it would take up many
/// times its size.
pub(crate) fn decode(frame: Bytes) -> Result<Message, CodecError> {
    if frame.len() >= LOOK_THROUGH_BYTES && fields(&frame) > frame.len() / BYTES_PER_FIELD_MIN {
        return Err(CodecError::TooLarge(frame.len() as u64));
    }
    Ok(Message::decode(&frame[..])?)
}

/// The number of fields at the top, up to the first that can't be read: there the decoder will stop too.
fn fields(mut frame: &[u8]) -> usize {
    const WIDE: usize = 8;
    const NARROW: usize = 4;
    let mut count = 0;
    while let Ok(key) = decode_varint(&mut frame) {
        let skipped = match key & 7 {
            0 => decode_varint(&mut frame).map(|_| 0).ok(),
            1 => Some(WIDE),
            2 => decode_varint(&mut frame).ok().and_then(|len| usize::try_from(len).ok()),
            5 => Some(NARROW),
            _ => None,
        };
        let Some(skipped) = skipped.filter(|skipped| *skipped <= frame.len()) else { break };
        frame.advance(skipped);
        count += 1;
    }
    count
}
