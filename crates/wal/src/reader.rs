//! Reads records across segments and checks the chain of checksums.
//!
//! Every failure is either a torn tail (last segment only, reported as [`WalError::UnexpectedEof`]) or corruption, with
//! the file and the offset of the frame. A sector is taken to reach the platter whole, and frames are appended in order:
//! so in a sector that was written at all, zeros can only stand after everything else.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use disk::File;
use prost::Message;
use proto::walpb;

use crate::WalError;
use crate::error::Context;
use crate::frame::{Kind, WORD, length_by_head, padding, record_bytes};

/// Bytes that a disk writes whole.
const SECTOR: u64 = 512;

/// Bytes read at a time. Entries are slices of such a window, so one of them keeps at most this much alive.
const WINDOW: u64 = 256 << 10;

/// A segment to read.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

/// A record other than a checksum record, which the reader keeps to itself.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) data: Bytes,
    /// Where its frame begins.
    pub(crate) offset: u64,
}

/// Reads the records of some segments, in order.
pub(crate) struct Reader<'a> {
    segments: &'a [Segment],
    current: usize,
    file_bytes: u64,
    /// The next frame begins here in the current segment; all before is valid.
    offset: u64,
    crc: u32,
    window: Bytes,
    window_offset: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(segments: &'a [Segment]) -> Result<Reader<'a>, WalError> {
        let mut reader =
            Reader { segments, current: 0, file_bytes: 0, offset: 0, crc: 0, window: Bytes::new(), window_offset: 0 };
        if !segments.is_empty() {
            reader.enter(0)?;
        }
        Ok(reader)
    }

    /// The end of the last valid record in the current segment.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The checksum of all data read so far.
    pub(crate) fn crc(&self) -> u32 {
        self.crc
    }

    /// The segment being read.
    pub(crate) fn path(&self) -> PathBuf {
        self.segments.get(self.current).map(|segment| segment.path.clone()).unwrap_or_default()
    }

    /// The next record; `None` at the end of the log.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, WalError> {
        loop {
            if self.current >= self.segments.len() {
                return Ok(None);
            }
            let Some(frame) = self.frame()? else {
                if self.is_last() {
                    return Ok(None);
                }
                self.enter(self.current + 1)?;
                continue;
            };
            let offset = self.offset;
            let (kind, data) = self.check(&frame)?;
            self.offset += WORD as u64 + frame.len() as u64 + padding(frame.len() as u64);
            match kind {
                Kind::Crc => {}
                Kind::Metadata | Kind::Entry | Kind::State | Kind::Snapshot => {
                    return Ok(Some(Item { kind, data, offset }));
                }
            }
        }
    }

    fn enter(&mut self, segment: usize) -> Result<(), WalError> {
        self.current = segment;
        self.file_bytes = self.segments[segment].file.len().context("stat", &self.path())?;
        self.offset = 0;
        self.window = Bytes::new();
        self.window_offset = 0;
        Ok(())
    }

    fn is_last(&self) -> bool {
        self.current + 1 == self.segments.len()
    }

    /// The record bytes of the frame at the current offset; `None` at the end of the segment.
    fn frame(&mut self) -> Result<Option<Bytes>, WalError> {
        let left = self.file_bytes - self.offset;
        if left == 0 {
            return Ok(None);
        }
        if left < WORD as u64 {
            return Err(self.torn_or(|| "the file ends within a length word".into()));
        }
        let word = self.bytes(self.offset, WORD as u64)?;
        let word = word.as_ref().try_into().map_or(0, u64::from_le_bytes);
        if word == 0 {
            return match self.is_zero_to_sector_end(self.offset)? {
                true => Ok(None),
                false => Err(self.corrupt("data follows an empty length word".into())),
            };
        }
        let Some(bytes) = record_bytes(word) else {
            return Err(self.corrupt(format!("impossible length word {word:016x}")));
        };
        if bytes + padding(bytes) > left - WORD as u64 {
            if self.head_contradicts(bytes)? {
                return Err(self.corrupt(format!("the length word promises {bytes} bytes, the record another number")));
            }
            return Err(self.torn_or(|| format!("a record of {bytes} bytes reaches beyond the end of the file")));
        }
        self.bytes(self.offset + WORD as u64, bytes).map(Some)
    }

    /// Parses a record and carries the checksum on.
    fn check(&mut self, frame: &Bytes) -> Result<(Kind, Bytes), WalError> {
        let record = match walpb::Record::decode(frame.clone()) {
            Ok(record) => record,
            Err(error) => {
                if self.is_torn(frame.len() as u64)? {
                    return Err(self.torn());
                }
                return Err(self.corrupt(format!("unreadable record: {error}")));
            }
        };
        let kind = Kind::from_number(record.record_type);
        let computed = match kind {
            Some(Kind::Crc) if self.crc == 0 => record.crc,
            Some(Kind::Crc) => self.crc,
            _ => crc32c::crc32c_append(self.crc, &record.data),
        };
        if computed != record.crc {
            if self.is_torn(frame.len() as u64)? {
                return Err(self.torn());
            }
            let (file, offset) = (self.path(), self.offset);
            return Err(WalError::CrcMismatch { file, offset, expected: record.crc, computed });
        }
        let Some(kind) = kind else {
            return Err(self.corrupt(format!("unexpected record type {}", record.record_type)));
        };
        self.crc = computed;
        Ok((kind, record.data))
    }

    /// Whether the bad record at the current offset was only partly written: a sector of it is missing, in the last
    /// segment, and its length word is believable.
    fn is_torn(&mut self, bytes: u64) -> Result<bool, WalError> {
        if !self.is_last() || self.head_contradicts(bytes)? {
            return Ok(false);
        }
        let start = self.offset + WORD as u64;
        let mut at = start;
        while at < start + bytes {
            if self.is_zero_to_sector_end(at)? {
                return Ok(true);
            }
            at = (at / SECTOR + 1) * SECTOR;
        }
        Ok(false)
    }

    /// Whether the head of the record, as far as it shares the length word's sector, proves the length word wrong.
    fn head_contradicts(&mut self, bytes: u64) -> Result<bool, WalError> {
        let start = self.offset + WORD as u64;
        let end = ((self.offset / SECTOR + 1) * SECTOR).min(self.file_bytes);
        let sector = self.bytes(start, end - start)?;
        let written = sector.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Ok(length_by_head(&sector[..written]).is_some_and(|by_head| by_head != bytes))
    }

    fn is_zero_to_sector_end(&mut self, from: u64) -> Result<bool, WalError> {
        let end = ((from / SECTOR + 1) * SECTOR).min(self.file_bytes);
        Ok(self.bytes(from, end - from)?.iter().all(|byte| *byte == 0))
    }

    /// Bytes of the current segment, which must be there.
    fn bytes(&mut self, offset: u64, len: u64) -> Result<Bytes, WalError> {
        let window_end = self.window_offset + self.window.len() as u64;
        if offset < self.window_offset || offset + len > window_end {
            let wanted = len.max(WINDOW).min(self.file_bytes - offset) as usize;
            let mut window = vec![0; wanted];
            let path = &self.segments[self.current].path;
            self.segments[self.current].file.read_exact_at(offset, &mut window).context("read", path)?;
            self.window = window.into();
            self.window_offset = offset;
        }
        let start = (offset - self.window_offset) as usize;
        Ok(self.window.slice(start..start + len as usize))
    }

    fn torn(&self) -> WalError {
        WalError::UnexpectedEof { file: self.path(), offset: self.offset }
    }

    fn torn_or(&self, what: impl FnOnce() -> String) -> WalError {
        if self.is_last() { self.torn() } else { self.corrupt(what()) }
    }

    fn corrupt(&self, what: String) -> WalError {
        WalError::Corrupt { file: self.path(), offset: self.offset, what }
    }
}
