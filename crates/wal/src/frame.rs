//! Frames: a length word, a record, padding to a multiple of 8. Encoding into one buffer, with the running checksum.
//!
//! Scalars are written even when zero in every record but entries, as releases up to 3.6 do and all releases read.

use prost::Message;
use proto::raftpb::{Entry, HardState};
use proto::walpb;

/// Bytes of a length word, and what every frame is aligned to.
pub(crate) const WORD: usize = 8;

/// The types of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Metadata = 1,
    Entry = 2,
    State = 3,
    Crc = 4,
    Snapshot = 5,
}

impl Kind {
    pub(crate) fn from_number(number: i64) -> Option<Kind> {
        [Kind::Metadata, Kind::Entry, Kind::State, Kind::Crc, Kind::Snapshot]
            .into_iter()
            .find(|kind| *kind as i64 == number)
    }
}

/// The length word of a record: bits 0..55 its length, and where it needs padding bit 63 and in bits 56..58 how much.
pub(crate) fn length_word(record_bytes: usize) -> u64 {
    let padding = padding(record_bytes as u64);
    let flags = if padding == 0 { 0 } else { 0x80 | padding };
    record_bytes as u64 | flags << 56
}

/// Reads a length word; `None` if its parts contradict each other, which no writer produces.
pub(crate) fn record_bytes(word: u64) -> Option<u64> {
    let bytes = word & ((1 << 56) - 1);
    let flags = if padding(bytes) == 0 { 0 } else { 0x80 | padding(bytes) };
    (word >> 56 == flags).then_some(bytes)
}

/// Zero bytes after a record of this length.
pub(crate) fn padding(record_bytes: u64) -> u64 {
    record_bytes.wrapping_neg() % WORD as u64
}

/// What the head of a record (the fields before its data) says its length is. `None` if `prefix` ends too early.
/// A record that does not begin as all writers begin it has the impossible length 0.
pub(crate) fn length_by_head(prefix: &[u8]) -> Option<u64> {
    let mut at = Cursor { bytes: prefix, position: 0 };
    if at.byte()? != 0x08 {
        return Some(0);
    }
    let Some(kind) = Kind::from_number(i64::from(at.byte()?)) else { return Some(0) };
    let mut tag = at.byte();
    if tag == Some(0x10) {
        at.varint()?;
        tag = at.byte();
    }
    match (kind, tag) {
        (Kind::Crc, _) => Some(at.position as u64 - u64::from(tag.is_some())),
        (_, None) => None,
        (_, Some(0x1a)) => {
            let data = at.varint()?;
            (at.position as u64).checked_add(data).or(Some(0))
        }
        (_, Some(_)) => Some(0),
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        Some(u64::MAX)
    }
}

/// Encodes records one after the other. What was encoded stays in the buffer until the writer takes it to the file.
pub(crate) struct Encoder {
    buffer: Vec<u8>,
    crc: u32,
}

impl Encoder {
    /// `crc` is that of all data before.
    pub(crate) fn new(crc: u32) -> Encoder {
        Encoder { buffer: Vec::new(), crc }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Empties the buffer and keeps its space, unless a large batch made it unusually big.
    pub(crate) fn clear(&mut self) {
        const KEEP: usize = 4 << 20;
        self.buffer.clear();
        self.buffer.shrink_to(KEEP);
    }

    /// The record at the head of a segment, which carries the running checksum on.
    pub(crate) fn crc(&mut self) {
        let start = self.begin(Kind::Crc);
        self.finish(start);
    }

    pub(crate) fn metadata(&mut self, metadata: &[u8]) {
        self.record(Kind::Metadata, metadata, &[]);
    }

    pub(crate) fn state(&mut self, state: &HardState) {
        let mut data = Small::default();
        data.field(0x08, state.term);
        data.field(0x10, state.vote);
        data.field(0x18, state.commit);
        self.record(Kind::State, data.bytes(), &[]);
    }

    pub(crate) fn snapshot(&mut self, snapshot: &walpb::Snapshot) {
        let mut head = Small::default();
        head.field(0x08, snapshot.index);
        head.field(0x10, snapshot.term);
        let conf_state = snapshot.conf_state.as_ref().map(Message::encode_to_vec);
        if let Some(conf_state) = &conf_state {
            head.field(0x1a, conf_state.len() as u64);
        }
        self.record(Kind::Snapshot, head.bytes(), conf_state.as_deref().unwrap_or_default());
    }

    pub(crate) fn entry(&mut self, entry: &Entry) {
        let mut head = Small::default();
        if entry.entry_type != 0 {
            // As protobuf has it: a negative number would be sign-extended.
            head.field(0x08, i64::from(entry.entry_type) as u64);
        }
        head.field(0x10, entry.term);
        head.field(0x18, entry.index);
        if !entry.data.is_empty() {
            head.field(0x22, entry.data.len() as u64);
        }
        self.record(Kind::Entry, head.bytes(), &entry.data);
    }

    /// A record whose data is `head` followed by `rest`.
    fn record(&mut self, kind: Kind, head: &[u8], rest: &[u8]) {
        self.crc = crc32c::crc32c_append(crc32c::crc32c_append(self.crc, head), rest);
        let start = self.begin(kind);
        let mut length = Small::default();
        length.field(0x1a, (head.len() + rest.len()) as u64);
        self.buffer.extend_from_slice(length.bytes());
        self.buffer.extend_from_slice(head);
        self.buffer.extend_from_slice(rest);
        self.finish(start);
    }

    /// Starts a frame with room for the length word, and the first two fields.
    fn begin(&mut self, kind: Kind) -> usize {
        let start = self.buffer.len();
        let mut head = Small::default();
        head.field(0x08, kind as u64);
        head.field(0x10, u64::from(self.crc));
        self.buffer.extend_from_slice(&[0; WORD]);
        self.buffer.extend_from_slice(head.bytes());
        start
    }

    fn finish(&mut self, start: usize) {
        let record = self.buffer.len() - start - WORD;
        self.buffer[start..start + WORD].copy_from_slice(&length_word(record).to_le_bytes());
        let padded = self.buffer.len() + padding(record as u64) as usize;
        self.buffer.resize(padded, 0);
    }
}

/// Up to four fields of a tag and a number, on the stack.
struct Small {
    bytes: [u8; 44],
    len: usize,
}

impl Default for Small {
    fn default() -> Small {
        Small { bytes: [0; 44], len: 0 }
    }
}

impl Small {
    fn field(&mut self, tag: u8, mut value: u64) {
        self.push(tag);
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_words_say_length_and_padding() {
        assert_eq!(length_word(4), 0x8400_0000_0000_0004);
        assert_eq!(length_word(0x1f), 0x8100_0000_0000_001f);
        assert_eq!(length_word(16), 16);
        for bytes in 0..100 {
            assert_eq!(record_bytes(length_word(bytes)), Some(bytes as u64));
            for bit in 0..64 {
                let flipped = length_word(bytes) ^ 1 << bit;
                assert_ne!(record_bytes(flipped), Some(bytes as u64), "{bytes} {bit}");
            }
        }
        assert_eq!(record_bytes(0x8100_0000_0000_0004), None);
    }

    #[test]
    fn the_head_of_a_record_tells_its_length() {
        let mut encoder = Encoder::new(0xdead_beef);
        encoder.crc();
        encoder.metadata(b"0123456789");
        encoder.entry(&Entry { entry_type: 1, term: 300, index: 5, data: vec![1; 1000].into() });
        encoder.state(&HardState::default());
        let mut rest = encoder.bytes();
        while !rest.is_empty() {
            let word = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let bytes = record_bytes(word).unwrap();
            let record = &rest[8..8 + bytes as usize];
            assert_eq!(length_by_head(record), Some(bytes));
            assert_eq!(length_by_head(&record[..3]), None);
            rest = &rest[(8 + bytes + padding(bytes)) as usize..];
        }
        assert_eq!(length_by_head(b"\0\0\0"), Some(0));
        assert_eq!(length_by_head(b""), None);
    }

    #[test]
    fn records_are_what_protobuf_reads() {
        let mut encoder = Encoder::new(0);
        let entry = Entry { entry_type: 2, term: u64::MAX, index: u64::MAX, data: vec![7; 3].into() };
        encoder.entry(&entry);
        let bytes = record_bytes(u64::from_le_bytes(encoder.bytes()[..8].try_into().unwrap())).unwrap() as usize;
        let record = walpb::Record::decode(&encoder.bytes()[8..8 + bytes]).unwrap();
        assert_eq!(record.record_type, 2);
        assert_eq!(record.crc, crc32c::crc32c(&record.data));
        assert_eq!(Entry::decode(record.data).unwrap(), entry);
    }
}
