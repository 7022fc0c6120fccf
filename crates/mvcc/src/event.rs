//! What watchers are told: the changes of keys, in revision order, batch by published batch.

use bytes::Bytes;
use proto::mvccpb::KeyValue;

use crate::revision::Revision;
use crate::view::View;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    Put,
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: EventKind,
    pub revision: Revision,
    /// As the client sees it: for a delete only `key` and `mod_revision` are set.
    pub kv: KeyValue,
    /// The record in the `key` bucket: for a put, the encoding of `kv`; for a delete, a message with only the key.
    pub record: Bytes,
}

impl Event {
    /// Whether the key did not exist before.
    pub fn is_create(&self) -> bool {
        self.kind == EventKind::Put && self.kv.create_revision == self.kv.mod_revision
    }
}

/// All changes that one [`crate::Store::publish`] made visible, in revision order; no revision is split between two
/// batches.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// Never empty.
    pub events: Vec<Event>,
    /// The moment at which the events became readable; `view.revision()` is the revision of the last event.
    /// Previous values: `view.get_kv(key, event.revision.main - 1)`.
    pub view: View,
}

impl EventBatch {
    /// The main revision of the first event.
    pub fn first_revision(&self) -> i64 {
        self.events.first().map_or(self.view.revision(), |event| event.revision.main)
    }

    /// The main revision of the last event.
    pub fn last_revision(&self) -> i64 {
        self.events.last().map_or(self.view.revision(), |event| event.revision.main)
    }
}
