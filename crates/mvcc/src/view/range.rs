//! A range as a cursor over one moment.

use std::borrow::Borrow;

use bytes::{Bytes, BytesMut};
use proto::mvccpb::KeyValue;

use crate::error::Result;
use crate::view::Image;

/// The keys found by a range, read one by one from one moment: `I` is `&Image` or [`crate::View`].
/// Holds no values; sorted orders hold a few bytes per key, or per key up to the limit.
pub struct Range<I: Borrow<Image>> {
    _image: I,
}

/// One key of a range: either what the index knows (keys only) or the record.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeItem {
    /// The encoded `KeyValue`, ready for the wire.
    pub record: Bytes,
}

impl RangeItem {
    /// Decodes.
    pub fn kv(&self) -> Result<KeyValue> {
        todo!()
    }
}

impl<I: Borrow<Image>> Range<I> {
    /// The number of keys in the range at the asked revision, before filters and limit.
    pub fn count(&self) -> i64 {
        todo!()
    }

    /// Whether the limit cut the answer.
    pub fn more(&self) -> bool {
        todo!()
    }

    /// The store's current revision at this moment (for the header), not the asked one.
    pub fn revision(&self) -> i64 {
        todo!()
    }

    /// The next key, `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<RangeItem>> {
        todo!()
    }

    /// The next key decoded, `None` at the end.
    pub fn next_kv(&mut self) -> Result<Option<KeyValue>> {
        todo!()
    }

    /// Back to the first key.
    pub fn rewind(&mut self) {
        todo!()
    }

    /// Walks the whole range once and gives the encoding of the `kvs` of a `RangeResponse`, whose length is then known.
    pub fn encode(self) -> Result<EncodedRange<I>> {
        todo!()
    }
}

/// The second pass: yields the bytes of the field `kvs` (field 2) of a `RangeResponse`, exactly `len()` in all.
pub struct EncodedRange<I: Borrow<Image>> {
    _range: Range<I>,
}

impl<I: Borrow<Image>> EncodedRange<I> {
    /// Length of all bytes in all.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`Range::count`].
    pub fn count(&self) -> i64 {
        todo!()
    }

    /// See [`Range::more`].
    pub fn more(&self) -> bool {
        todo!()
    }

    /// Appends whole keys until `out` holds at least `bytes_min` bytes or the end is reached; false at the end.
    pub fn fill(&mut self, _out: &mut BytesMut, _bytes_min: usize) -> Result<bool> {
        todo!()
    }
}
