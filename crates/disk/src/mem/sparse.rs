//! Bytes with holes: only chunks that were written take memory, and two states of a file share what they agree on.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes per chunk.
pub(super) const CHUNK: usize = 4096;

type Chunk = Arc<[u8; CHUNK]>;

/// A sequence of bytes in which an absent chunk reads as zeros. Bytes at and beyond `len` are zero in every chunk.
#[derive(Clone, Default)]
pub(super) struct Sparse {
    chunks: BTreeMap<u64, Chunk>,
    len: u64,
}

/// The parts of `offset..offset + len`, chunk by chunk: chunk number, start within it, position in the range, length.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let start = (at % CHUNK as u64) as usize;
        let take = (CHUNK - start).min(len - done);
        let piece = (at / CHUNK as u64, start, done, take);
        done += take;
        Some(piece)
    })
}

impl Sparse {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        for (number, start, done, take) in pieces(offset, len) {
            match self.chunks.get(&number) {
                Some(chunk) => buf[done..done + take].copy_from_slice(&chunk[start..start + take]),
                None => buf[done..done + take].fill(0),
            }
        }
        len
    }

    /// Writes without touching the length; a caller that writes beyond it sets it first.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        for (number, start, done, take) in pieces(offset, data.len()) {
            let chunk = self.chunks.entry(number).or_insert_with(|| Arc::new([0; CHUNK]));
            Arc::make_mut(chunk)[start..start + take].copy_from_slice(&data[done..done + take]);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let boundary = len.div_ceil(CHUNK as u64);
            self.chunks.split_off(&boundary);
            let keep = (len % CHUNK as u64) as usize;
            if keep > 0
                && let Some(chunk) = self.chunks.get_mut(&(len / CHUNK as u64))
            {
                Arc::make_mut(chunk)[keep..].fill(0);
            }
        }
        self.len = len;
    }

    /// Takes one chunk over from another state of the same file.
    pub(super) fn adopt(&mut self, from: &Sparse, number: u64) {
        match from.chunks.get(&number) {
            Some(chunk) => self.chunks.insert(number, chunk.clone()),
            None => self.chunks.remove(&number),
        };
    }

    /// How many chunks numbered `from` or higher hold data.
    pub(super) fn chunks_from(&self, from: u64) -> u64 {
        self.chunks.range(from..).count() as u64
    }

    /// How many chunks numbered `from` or higher a write to this range would add.
    pub(super) fn chunks_added_by(&self, offset: u64, len: usize, from: u64) -> u64 {
        pieces(offset, len).filter(|(number, ..)| *number >= from && !self.chunks.contains_key(number)).count() as u64
    }
}

/// The chunk numbers that a range touches.
pub(super) fn touched(offset: u64, len: usize) -> impl Iterator<Item = u64> {
    pieces(offset, len).map(|(number, ..)| number)
}
