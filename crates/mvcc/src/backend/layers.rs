//! One moment of the database: a pinned root, the overlays frozen above it, the live overlay on top.

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::base::Root;
use crate::backend::overlay::{Overlay, Said};
use crate::backend::scan::{RawScan, RecordScan};
use crate::backend::schema::Bucket;
use crate::error::Result;
use crate::revision::{RecordKey, Revision};

/// Persistent: a clone is a snapshot in O(1).
#[derive(Clone)]
pub struct Layers {
    pub root: Root,
    /// Oldest first.
    pub frozen: Arc<[Arc<Overlay>]>,
    pub live: Overlay,
}

impl Layers {
    /// The overlays, newest first.
    pub fn overlays(&self) -> impl Iterator<Item = &Overlay> {
        std::iter::once(&self.live).chain(self.frozen.iter().rev().map(|overlay| &**overlay))
    }

    /// A record of the `key` bucket.
    pub fn record(&self, key: RecordKey) -> Result<Option<Bytes>> {
        for overlay in self.overlays() {
            match overlay.record(key) {
                Said::Put(value) => return Ok(Some(value)),
                Said::Deleted => return Ok(None),
                Said::Nothing => {}
            }
        }
        self.root.get(Bucket::Key, key.to_bytes().as_slice())
    }

    /// The records of the `key` bucket from `from` on and below `end`.
    pub fn records(&self, from: Revision, end: Revision) -> RecordScan {
        RecordScan::new(self.clone(), from, end)
    }

    /// A raw pair of any bucket but `key`.
    pub fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>> {
        for overlay in self.overlays() {
            match overlay.get(bucket, key) {
                Said::Put(value) => return Ok(Some(value)),
                Said::Deleted => return Ok(None),
                Said::Nothing => {}
            }
        }
        self.root.get(bucket, key)
    }

    /// The raw pairs of any bucket but `key` within bounds.
    pub fn scan(&self, bucket: Bucket, start: &[u8], end: Option<&[u8]>) -> RawScan {
        let tables = self.overlays().map(|overlay| overlay.table(bucket).clone()).collect();
        RawScan::new(tables, self.root.cursor(bucket), start, end)
    }

    /// Bytes in all overlays.
    pub fn overlay_bytes(&self) -> usize {
        self.overlays().map(Overlay::bytes).sum()
    }
}
