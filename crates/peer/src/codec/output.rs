//! Bytes to be written together.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, int32, uint64};
use proto::raftpb::{Entry, Message};

/// Entries from this size on are not copied but written from where they lie.
const SHARED_BYTES_MIN: usize = 16 << 10;
/// The buffer is given this much room at a time.
const BUFFER_BYTES: usize = 32 << 10;
/// Field of `Message.entries`; its key takes one byte.
const ENTRIES: u32 = 7;
/// Field of `Entry.data`.
const DATA: u32 = 4;

/// One buffer, used again once what was in it has been written, and large values between its parts.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: BytesMut,
    parts: VecDeque<Bytes>,
}

impl Output {
    /// Where bytes are added.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < 1024 {
            self.buffer.reserve(BUFFER_BYTES);
        }
        &mut self.buffer
    }

    /// Ends a group: it is ready for [`Output::next_part`].
    pub fn finish(&mut self) {
        if !self.buffer.is_empty() {
            self.parts.push_back(self.buffer.split().freeze());
        }
    }

    /// The next bytes to write.
    pub fn next_part(&mut self) -> Option<Bytes> {
        self.parts.pop_front()
    }

    fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.buffer.put_slice(bytes);
        } else {
            self.finish();
            self.parts.push_back(bytes.clone());
        }
    }

    /// A length of eight bytes, then the entry.
    pub fn put_framed_entry(&mut self, entry: &Entry) {
        let len = entry.encoded_len();
        self.buffer().put_u64(len as u64);
        self.put_entry(entry);
    }

    /// A length of eight bytes, then the message. Returns that length.
    pub fn put_framed_message(&mut self, mut message: Message) -> u64 {
        let entries = std::mem::take(&mut message.entries);
        let lens = entries.iter().map(|entry| entry.encoded_len());
        let framed = |len: usize| 1 + encoded_len_varint(len as u64) + len;
        let len = message.encoded_len() + lens.map(framed).sum::<usize>();
        let buffer = self.buffer();
        buffer.put_u64(len as u64);
        // Fields may stand in any order: the entries, whose bytes may be shared, come last.
        message.encode_raw(buffer);
        for entry in &entries {
            let buffer = self.buffer();
            encode_key(ENTRIES, WireType::LengthDelimited, buffer);
            encode_varint(entry.encoded_len() as u64, buffer);
            self.put_entry(entry);
        }
        len as u64
    }

    fn put_entry(&mut self, entry: &Entry) {
        let buffer = self.buffer();
        if entry.entry_type != 0 {
            int32::encode(1, &entry.entry_type, buffer);
        }
        if entry.term != 0 {
            uint64::encode(2, &entry.term, buffer);
        }
        if entry.index != 0 {
            uint64::encode(3, &entry.index, buffer);
        }
        if !entry.data.is_empty() {
            encode_key(DATA, WireType::LengthDelimited, buffer);
            encode_varint(entry.data.len() as u64, buffer);
            self.put_shared(&entry.data);
        }
    }
}
