//! Bytes as they arrive, taken in pieces of known length.

use bytes::{Buf, Bytes, BytesMut};

/// What has arrived and is not taken yet. Each piece is asked for until it is there: a call that yields nothing must be
/// followed by the same call.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The beginning of a piece whose end has not arrived. Empty, or shorter than the piece asked for.
    partial: BytesMut,
    chunk: Bytes,
}

impl Input {
    /// Adds what has arrived, once nothing more can be taken from what was there.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut joined = BytesMut::from(&self.chunk[..]);
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The next `len` bytes, without a copy where they arrived in one piece.
    pub fn take(&mut self, len: usize) -> Option<Bytes> {
        if self.partial.is_empty() && self.chunk.len() >= len {
            return Some(self.chunk.split_to(len));
        }
        let missing = len.saturating_sub(self.partial.len());
        let part = self.chunk.split_to(missing.min(self.chunk.len()));
        self.partial.extend_from_slice(&part);
        (self.partial.len() >= len).then(|| self.partial.split_to(len).freeze())
    }

    /// The next eight bytes as a number.
    pub fn take_u64(&mut self) -> Option<u64> {
        if self.partial.is_empty() && self.chunk.len() >= 8 {
            return Some(self.chunk.get_u64());
        }
        self.take(8).map(|mut bytes| bytes.get_u64())
    }

    /// The next byte.
    pub fn take_u8(&mut self) -> Option<u8> {
        if self.partial.is_empty() && !self.chunk.is_empty() {
            return Some(self.chunk.get_u8());
        }
        self.take(1).map(|mut byte| byte.get_u8())
    }

    /// Everything that is there and not part of a piece asked for.
    pub fn take_rest(&mut self) -> Bytes {
        debug_assert!(self.partial.is_empty(), "a piece is half taken");
        std::mem::take(&mut self.chunk)
    }

    /// The memory held for a piece that is not whole.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.partial.capacity()
    }
}
