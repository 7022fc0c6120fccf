//! A watcher sees every change from where it began, once and in order, whatever happens to the members it watches.

use proto::mvccpb::{Event, event::EventType};

use crate::model::Model;

/// What a watcher was told and what it is to be told next.
#[derive(Debug)]
pub struct WatchCheck {
    /// The next revision it has not been told of.
    pub next: i64,
    pub events: u64,
}

impl WatchCheck {
    pub fn new(next: i64) -> Self {
        Self { next, events: 0 }
    }

    /// Judges one answer, which holds whole revisions.
    pub fn events(&mut self, events: &[Event], header_revision: i64, model: &Model) {
        let Some(last) = events.last().and_then(|event| event.kv.as_ref()).map(|kv| kv.mod_revision) else { return };
        let expected = model.changes_from(self.next);
        let expected = &expected[..expected.partition_point(|change| change.revision <= last)];
        let as_tuple = |event: &Event| {
            let kv = event.kv.clone().unwrap_or_default();
            let value = (event.event_type == EventType::Put as i32).then_some(kv.value);
            (kv.mod_revision, kv.key, value)
        };
        let got: Vec<_> = events.iter().map(as_tuple).collect();
        let expected: Vec<_> = expected.iter().map(|c| (c.revision, c.key.clone(), c.value.clone())).collect();
        assert_eq!(got, expected, "watch from revision {} (left: told, right: ought to be)", self.next);
        assert!(header_revision >= last, "an event of revision {last} under a header of {header_revision}");
        self.next = last + 1;
        self.events += got.len() as u64;
    }

    /// A progress notice: everything up to this revision was told.
    pub fn progress(&self, revision: i64, model: &Model) {
        let untold = model.changes_from(self.next);
        let untold = untold.first().filter(|change| change.revision <= revision);
        assert!(untold.is_none(), "progress at {revision} before {untold:?} was told");
    }

    /// The watcher was ended because what it wants is compacted: it begins anew behind that.
    pub fn compacted(&mut self, compact_revision: i64, model: &Model) {
        assert!(
            compact_revision <= model.compacted,
            "compacted at {compact_revision}, the model at {}",
            model.compacted
        );
        assert!(self.next <= compact_revision, "nothing that watcher wants from {} is compacted", self.next);
        self.next = compact_revision + 1;
    }
}
