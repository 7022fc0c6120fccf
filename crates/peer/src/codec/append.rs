//! The msgappv2 stream. Both ends keep the term and index of the last entry, and so most appends need neither.

use bytes::BufMut;
use prost::Message as _;
use proto::raftpb::{Entry, Message, MessageType};

use super::message::next_frame;
use super::{CodecError, Decoded, FRAME_BYTES_MAX, Input, Output, decode};

const HEARTBEAT: u8 = 0;
const ENTRIES: u8 = 1;
const WHOLE: u8 = 2;
/// What an entry costs beside its bytes, so that many empty ones are a large message too.
const ENTRY_BYTES: u64 = 64;

/// Writes a msgappv2 stream, from its beginning.
#[derive(Debug, Default)]
pub(crate) struct AppendEncoder {
    term: u64,
    index: u64,
}

impl AppendEncoder {
    /// Adds one `MsgApp`. Returns its size.
    pub fn encode(&mut self, message: Message, out: &mut Output) -> u64 {
        let follows = message.index == self.index && message.log_term == self.term && message.log_term == message.term;
        let entries = message.entries.iter().zip(self.index.saturating_add(1)..);
        // Of a leader's own term only, entries that go on where the last ones ended: else the other end can't tell.
        if follows && self.term != 0 && entries.clone().all(|(entry, index)| entry.index == index) {
            return self.encode_entries(&message, out);
        }
        self.term = message.term;
        self.index = message.entries.last().map_or(message.index, |last| last.index);
        out.buffer().put_u8(WHOLE);
        out.put_framed_message(message)
    }

    fn encode_entries(&mut self, message: &Message, out: &mut Output) -> u64 {
        let buffer = out.buffer();
        buffer.put_u8(ENTRIES);
        buffer.put_u64(message.entries.len() as u64);
        let mut bytes = 16;
        for entry in &message.entries {
            bytes += entry.encoded_len() as u64 + 8;
            out.put_framed_entry(entry);
        }
        out.buffer().put_u64(message.commit);
        self.index += message.entries.len() as u64;
        bytes
    }

    /// Adds a sign of life. Returns its size.
    pub fn heartbeat(out: &mut Output) -> u64 {
        out.buffer().put_u8(HEARTBEAT);
        1
    }
}

/// Reads a msgappv2 stream, from its beginning.
#[derive(Debug)]
pub(crate) struct AppendDecoder {
    local: u64,
    remote: u64,
    term: u64,
    index: u64,
    stage: Stage,
    len: Option<u64>,
}

/// What is to be read next.
#[derive(Debug)]
enum Stage {
    Kind,
    Whole,
    Count,
    Entries { left: u64, entries: Vec<Entry>, bytes: u64 },
    Commit { entries: Vec<Entry>, bytes: u64 },
}

impl AppendDecoder {
    /// For a stream on which `remote` sends to this member.
    pub fn new(local: u64, remote: u64) -> AppendDecoder {
        AppendDecoder { local, remote, term: 0, index: 0, stage: Stage::Kind, len: None }
    }

    /// The next message, once it is there. After an error the stream is of no use.
    pub fn next(&mut self, input: &mut Input) -> Result<Option<Decoded>, CodecError> {
        loop {
            match &mut self.stage {
                Stage::Kind => match input.take_u8() {
                    None => return Ok(None),
                    Some(HEARTBEAT) => return Ok(Some(Decoded::Heartbeat { bytes: 1 })),
                    Some(ENTRIES) => self.stage = Stage::Count,
                    Some(WHOLE) => self.stage = Stage::Whole,
                    Some(other) => return Err(CodecError::UnknownKind(other)),
                },
                Stage::Whole => {
                    let Some(frame) = next_frame(&mut self.len, input, FRAME_BYTES_MAX)? else { return Ok(None) };
                    let bytes = frame.len() as u64;
                    let message = decode(frame)?;
                    self.term = message.term;
                    self.index = message.entries.last().map_or(message.index, |last| last.index);
                    self.stage = Stage::Kind;
                    return Ok(Some(Decoded::new(message, bytes)));
                }
                Stage::Count => {
                    let Some(left) = input.take_u64() else { return Ok(None) };
                    self.stage = Stage::Entries { left, entries: Vec::new(), bytes: 16 };
                }
                Stage::Entries { left: 0, entries, bytes } => {
                    self.stage = Stage::Commit { entries: std::mem::take(entries), bytes: *bytes };
                }
                Stage::Entries { left, entries, bytes } => {
                    let held = entries.len() as u64 * ENTRY_BYTES + *bytes;
                    let max = FRAME_BYTES_MAX.checked_sub(held).ok_or(CodecError::TooLarge(held))?;
                    let Some(frame) = next_frame(&mut self.len, input, max)? else { return Ok(None) };
                    *bytes += frame.len() as u64 + 8;
                    *left -= 1;
                    // Copied, as in `decode`.
                    entries.push(Entry::decode(&frame[..])?);
                }
                Stage::Commit { .. } => {
                    let Some(commit) = input.take_u64() else { return Ok(None) };
                    return Ok(Some(self.message(commit)));
                }
            }
        }
    }

    /// The message that the entries and the commit index stand for.
    fn message(&mut self, commit: u64) -> Decoded {
        let Stage::Commit { entries, bytes } = std::mem::replace(&mut self.stage, Stage::Kind) else {
            unreachable!("called when the commit index is read")
        };
        let index = self.index;
        // Entries that don't go on are refused later, by their own indexes; a sum beyond the last index belongs to such.
        self.index = index.saturating_add(entries.len() as u64);
        let message = Message {
            msg_type: MessageType::MsgApp.into(),
            from: self.remote,
            to: self.local,
            term: self.term,
            log_term: self.term,
            index,
            entries,
            commit,
            ..Message::default()
        };
        Decoded::Message { message, bytes }
    }
}
