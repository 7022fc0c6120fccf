//! Walking the pairs of a bucket in key order, through overlays and file.

use bytes::Bytes;

use crate::error::Result;

/// The pairs of one bucket in key order.
pub struct RawScan {}

impl Iterator for RawScan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
