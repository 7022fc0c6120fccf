//! A committed state as a file: what `snapshot` sends.

use bytes::{Bytes, BytesMut};

use crate::error::{During, Error, Result};
use crate::meta::Meta;
use crate::read::ReadTx;

const CHUNK_PAGES_BYTES: u64 = 128 << 10;

/// Yields the image of a read transaction: both meta pages, then pages 2 to the high-water mark as they stand in the
/// file. The pages of the transaction are whole; what stands in free ones is of no meaning.
pub struct SnapshotStream {
    tx: ReadTx,
    offset: u64,
}

impl SnapshotStream {
    pub(crate) fn new(tx: ReadTx) -> SnapshotStream {
        SnapshotStream { tx, offset: 0 }
    }

    /// Length of the whole image.
    pub fn len(&self) -> u64 {
        self.tx.size()
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes that have not been yielded yet.
    pub fn remaining(&self) -> u64 {
        self.len() - self.offset
    }

    /// The next piece; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let page_size = u64::from(self.tx.meta().page_size);
        if self.remaining() == 0 {
            return Ok(None);
        }
        if self.offset < 2 * page_size {
            let slot = self.offset / page_size;
            self.offset += page_size;
            return Ok(Some(self.meta_page(slot)));
        }
        let len = CHUNK_PAGES_BYTES.max(page_size).min(self.remaining());
        let mut chunk = BytesMut::zeroed(len as usize);
        let got = self.tx.shared().source.file.read_at(self.offset, &mut chunk).during("read for a snapshot")?;
        if got < chunk.len() {
            return Err(Error::corrupt((self.offset + got as u64) / page_size, "beyond the end of the file"));
        }
        self.offset += len;
        Ok(Some(chunk.freeze()))
    }

    /// Page 0 holds the transaction's meta, page 1 the same with the transaction id before.
    fn meta_page(&self, slot: u64) -> Bytes {
        let meta = *self.tx.meta();
        Meta { txid: meta.txid.saturating_sub(slot), ..meta }.encode(slot)
    }
}
