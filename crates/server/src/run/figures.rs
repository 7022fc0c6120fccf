//! Numbers that are kept up to date beside the work, for whoever asks: the metrics page.

use super::pins::Pins;
use mvcc::{EventBatch, EventKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What no view and no status tells.
#[derive(Default)]
pub struct Figures {
    /// Keys that exist; counted once at the start and then with each event, because a walk over all of them takes long.
    live_keys: AtomicI64,
    /// When the last compaction was swept, in seconds since 1970; 0 before.
    compaction_last: AtomicI64,
    defragmenting: AtomicI64,
    pub pins: Arc<Pins>,
}

/// A defragmentation under way.
pub struct Defragmenting<'a>(&'a Figures);

impl Figures {
    pub fn set_live_keys(&self, keys: i64) {
        self.live_keys.store(keys, Ordering::Relaxed);
    }

    pub fn live_keys(&self) -> i64 {
        self.live_keys.load(Ordering::Relaxed)
    }

    /// Counts the keys that a batch has made and taken away.
    pub fn count_keys(&self, batch: &EventBatch) {
        let change = |event: &mvcc::Event| match event.kind {
            EventKind::Put => i64::from(event.is_create()),
            EventKind::Delete => -1,
        };
        self.live_keys.fetch_add(batch.events.iter().map(change).sum(), Ordering::Relaxed);
    }

    pub fn compacted_at(&self, unix_secs: i64) {
        self.compaction_last.store(unix_secs, Ordering::Relaxed);
    }

    pub fn compaction_last(&self) -> i64 {
        self.compaction_last.load(Ordering::Relaxed)
    }

    /// Counts a defragmentation until the guard is dropped.
    pub fn defragmenting(&self) -> Defragmenting<'_> {
        self.defragmenting.fetch_add(1, Ordering::Relaxed);
        Defragmenting(self)
    }

    pub fn is_defragmenting(&self) -> bool {
        self.defragmenting.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Defragmenting<'_> {
    fn drop(&mut self) {
        self.0.defragmenting.fetch_sub(1, Ordering::Relaxed);
    }
}
