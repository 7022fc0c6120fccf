//! A watcher sees every change it wants from where it began, once and in order, whatever happens to the members it
//! watches.

use bytes::Bytes;
use proto::etcdserverpb::WatchCreateRequest;
use proto::etcdserverpb::watch_create_request::FilterType;
use proto::mvccpb::{Event, event::EventType};

use crate::model::{Change, Model, in_range};

/// What a watcher wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub key: Bytes,
    pub range_end: Bytes,
    pub no_put: bool,
    pub no_delete: bool,
    pub prev_kv: bool,
    pub fragment: bool,
}

impl Wants {
    /// Every change of every key.
    pub fn everything() -> Self {
        let zero = Bytes::from_static(b"\0");
        Self { key: zero.clone(), range_end: zero, ..Self::default() }
    }

    /// The request for it.
    pub fn request(&self, start_revision: i64) -> WatchCreateRequest {
        let mut filters = Vec::new();
        filters.extend(self.no_put.then_some(FilterType::Noput as i32));
        filters.extend(self.no_delete.then_some(FilterType::Nodelete as i32));
        WatchCreateRequest {
            key: self.key.clone(),
            range_end: self.range_end.clone(),
            start_revision,
            progress_notify: true,
            filters,
            prev_kv: self.prev_kv,
            fragment: self.fragment,
            ..WatchCreateRequest::default()
        }
    }

    fn wants(&self, change: &Change) -> bool {
        let filtered = if change.value.is_some() { self.no_put } else { self.no_delete };
        !filtered && in_range(&change.key, &self.key, &self.range_end)
    }
}

/// An event by what matters of it.
type Told = (i64, Bytes, Option<Bytes>, Option<Bytes>);

/// What a watcher was told and what it is to be told next.
#[derive(Debug)]
pub struct WatchCheck {
    pub wants: Wants,
    /// The next revision it has not been told of.
    pub next: i64,
    pub events: u64,
    pub progresses: u64,
    /// Parts of an answer that goes on.
    fragments: Vec<Told>,
}

impl WatchCheck {
    pub fn new(wants: Wants, next: i64) -> Self {
        Self { wants, next, events: 0, progresses: 0, fragments: Vec::new() }
    }

    /// The connection is gone, and with it what was told by half.
    pub fn disconnected(&mut self) {
        self.fragments.clear();
    }

    /// The first change that it ought to hear of and has not.
    pub fn missed<'m>(&self, model: &'m Model) -> Option<&'m Change> {
        model.changes_from(self.next).iter().find(|change| self.wants.wants(change))
    }

    /// Judges one answer; all its parts together hold whole revisions.
    pub fn events(&mut self, events: &[Event], goes_on: bool, header_revision: i64, model: &Model) {
        let mut got = std::mem::take(&mut self.fragments);
        got.extend(events.iter().map(|event| self.told(event)));
        if goes_on {
            self.fragments = got;
            return;
        }
        let Some(last) = got.last().map(|told| told.0) else { return };
        let expected = model.changes_from(self.next);
        let expected = &expected[..expected.partition_point(|change| change.revision <= last)];
        let before = |c: &Change| c.before.clone().filter(|_| self.wants.prev_kv);
        let mut expected: Vec<Told> = expected
            .iter()
            .filter(|change| self.wants.wants(change))
            .map(|c| (c.revision, c.key.clone(), c.value.clone(), before(c)))
            .collect();
        // What came before an event goes with a compaction that reaches the event.
        for (told, expected) in got.iter().zip(&mut expected) {
            if told.3.is_none() && told.0 <= model.compacted {
                expected.3 = None;
            }
        }
        assert_eq!(got, expected, "watch from revision {} (left: told, right: ought to be)", self.next);
        assert!(header_revision >= last, "an event of revision {last} under a header of {header_revision}");
        self.next = last + 1;
        self.events += got.len() as u64;
    }

    fn told(&self, event: &Event) -> Told {
        let kv = event.kv.clone().unwrap_or_default();
        let value = (event.event_type == EventType::Put as i32).then_some(kv.value);
        (kv.mod_revision, kv.key, value, event.prev_kv.clone().map(|kv| kv.value))
    }

    /// A progress notice: everything up to this revision was told.
    pub fn progress(&mut self, revision: i64, model: &Model) {
        let untold = self.missed(model).filter(|change| change.revision <= revision);
        assert!(untold.is_none(), "progress at {revision} before {untold:?} was told");
        assert!(self.fragments.is_empty(), "progress amid the parts of an answer");
        self.progresses += 1;
    }

    /// The watcher was ended because what it wants is compacted: it begins anew behind that.
    pub fn compacted(&mut self, compact_revision: i64, model: &Model) {
        assert!(
            compact_revision <= model.compacted,
            "compacted at {compact_revision}, the model at {}",
            model.compacted
        );
        assert!(self.next < compact_revision, "nothing that watcher wants from {} is compacted", self.next);
        self.next = compact_revision;
    }
}
