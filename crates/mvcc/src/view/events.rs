//! History as events, for watchers that catch up.

use proto::mvccpb::KeyValue;

use crate::backend::log::Record;
use crate::backend::scan::RecordScan;
use crate::error::Result;
use crate::event::{Event, EventKind};
use crate::record;
use crate::revision::Revision;
use crate::view::{Keep, View};

/// The changes of all keys in revision order, read from the `key` bucket as the scan is advanced. Ends after an error.
pub struct EventScan {
    view: View,
    records: RecordScan,
}

impl EventScan {
    pub(crate) fn new(view: View, from: i64) -> EventScan {
        let end = Revision::first_of(view.revision().saturating_add(1));
        let records = view.layers.records(Revision::first_of(from.max(0)), end);
        EventScan { view, records }
    }

    /// `None` for what a sweep takes, or took, away, and for records that are no change of a key.
    fn event(&self, (key, record): Record) -> Result<Option<Event>> {
        let revision = key.revision;
        let kv = record::decode(record.clone())?;
        let compacted = self.view.compact_revision();
        // At the compacted revision itself only what compaction keeps is served, before the sweep as after it.
        if revision.main <= compacted && !Keep::new(&self.view.index, compacted).by_compaction(&kv.key, revision) {
            return Ok(None);
        }
        if kv.key.is_empty() {
            return Ok(None);
        }
        Ok(Some(if key.tombstone {
            let kv = KeyValue { key: kv.key, mod_revision: revision.main, ..KeyValue::default() };
            Event { kind: EventKind::Delete, revision, kv, record }
        } else {
            Event { kind: EventKind::Put, revision, kv, record }
        }))
    }
}

impl Iterator for EventScan {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.records.next()?.and_then(|record| self.event(record)) {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
