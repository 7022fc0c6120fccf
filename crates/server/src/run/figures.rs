//! Numbers that are kept up to date beside the work, for whoever asks: the metrics page.

use super::pins::Pins;
use mvcc::{EventBatch, EventKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// What no view and no status tells.
#[derive(Default)]
pub struct Figures {
    /// Keys that exist; counted once at the start and then with each event, because a walk over all of them takes long.
    live_keys: AtomicI64,
    /// When the last compaction was swept, in seconds since 1970; 0 before.
    compaction_last: AtomicI64,
    defragmenting: AtomicI64,
    installing: AtomicBool,
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

    /// Says whether a received snapshot is being installed.
    pub fn set_installing(&self, installing: bool) {
        self.installing.store(installing, Ordering::Relaxed);
    }

    pub fn is_installing(&self) -> bool {
        self.installing.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use super::super::testing::Machine;
    use super::*;
    use proto::etcdserverpb::{DeleteRangeRequest, InternalRaftRequest};

    #[test]
    fn keys_are_counted_by_their_events() {
        let (mut machine, figures) = (Machine::new(), Figures::default());
        for key in ["a", "b", "a", "c"] {
            figures.count_keys(&machine.put(key));
        }
        assert_eq!(figures.live_keys(), 3);
        let all = DeleteRangeRequest { key: "a".into(), range_end: "c".into(), ..Default::default() };
        let deleted = machine.apply(InternalRaftRequest { delete_range: Some(all), ..Default::default() });
        figures.count_keys(&deleted.expect("events"));
        figures.count_keys(&machine.put("b"));
        assert_eq!(figures.live_keys(), machine.state.reader().view().kv().count(b"\0", b"\0"));
        assert_eq!(figures.live_keys(), 2);
    }

    #[test]
    fn a_defragmentation_counts_while_it_runs() {
        let figures = Figures::default();
        let (first, second) = (figures.defragmenting(), figures.defragmenting());
        drop(first);
        assert!(figures.is_defragmenting());
        drop(second);
        assert!(!figures.is_defragmenting());
    }
}
