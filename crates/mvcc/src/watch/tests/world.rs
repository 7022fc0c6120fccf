//! A store, a hub, and the batches on their way between them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use disk::MemDisk;
use prost::Message;
use proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

use crate::watch::{Hub, HubConfig, OutputKind, StreamId};
use crate::{EntryId, EventBatch, Options, Store, View};

/// One change of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Put(Bytes, Bytes),
    Delete(Bytes, Bytes),
}

pub(super) struct World {
    pub(super) store: Store,
    pub(super) hub: Hub,
    /// Published, but not yet fed to the hub.
    pub(super) on_the_way: VecDeque<Arc<EventBatch>>,
    index: u64,
}

impl World {
    pub(super) fn new(config: HubConfig) -> World {
        let store = Store::open(Arc::new(MemDisk::new(1)), Path::new("/db"), Options::default()).unwrap();
        let hub = Hub::new(&store.reader().view(), config);
        World { store, hub, on_the_way: VecDeque::new(), index: 0 }
    }

    pub(super) fn view(&self) -> View {
        self.store.reader().view()
    }

    pub(super) fn published(&self) -> i64 {
        self.view().revision()
    }

    fn entry(&mut self) -> EntryId {
        self.index += 1;
        EntryId { term: 1, index: self.index }
    }

    /// One transaction, not published yet.
    pub(super) fn apply(&mut self, ops: &[Op]) {
        let entry = self.entry();
        let mut txn = self.store.begin(entry);
        for op in ops {
            match op {
                Op::Put(key, value) => {
                    txn.put(key, value, 0);
                }
                Op::Delete(key, end) => {
                    txn.delete_range(key, end, &mut |_| {});
                }
            }
        }
        txn.commit();
    }

    pub(super) fn publish(&mut self) {
        self.on_the_way.extend(self.store.publish());
    }

    pub(super) fn compact(&mut self, revision: i64) -> crate::Result<()> {
        let entry = self.entry();
        let mut txn = self.store.begin(entry);
        let result = txn.compact(revision);
        txn.commit();
        self.publish();
        while self.store.is_sweeping() {
            self.store.sweep(100)?;
        }
        self.publish();
        result
    }

    /// Feeds the hub what is on the way.
    pub(super) fn feed(&mut self) {
        while let Some(batch) = self.on_the_way.pop_front() {
            self.hub.publish(&batch).unwrap();
        }
    }

    pub(super) fn sync(&mut self) {
        let view = self.view();
        self.hub.sync(&view).unwrap();
    }

    /// Takes everything that a stream has to say.
    pub(super) fn drain(&mut self, stream: StreamId) -> Vec<WatchResponse> {
        std::iter::from_fn(|| self.next(stream).map(|(_, response)| response)).collect()
    }

    pub(super) fn next(&mut self, stream: StreamId) -> Option<(OutputKind, WatchResponse)> {
        let output = self.hub.next_output(stream)?;
        let message = output.to_message();
        // The two forms agree, and the form is the one that anyone would encode.
        assert_eq!(output.encoded_len(), message.encoded_len());
        assert_eq!(output.to_bytes(), message.encode_to_vec());
        assert_eq!(output.event_count(), message.events.len());
        assert_eq!((output.watch_id(), output.revision()), (message.watch_id, message.header.unwrap().revision));
        Some((output.kind(), message))
    }

    pub(super) fn open(&mut self) -> StreamId {
        self.hub.open_stream(Duration::ZERO, Duration::from_secs(600))
    }
}

/// A request to watch `key`, or the range up to `range_end` where that is not empty.
pub(super) fn create(key: &str, range_end: &str, start_revision: i64) -> WatchCreateRequest {
    let bytes = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    WatchCreateRequest { key: bytes(key), range_end: bytes(range_end), start_revision, ..Default::default() }
}

pub(super) fn put(key: &str, value: &str) -> Op {
    Op::Put(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
}
