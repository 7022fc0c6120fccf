//! A small state on a disk in memory, for the tests of this folder.

use disk::{Disk, MemDisk};
use mvcc::EventBatch;
use prost::Message;
use proto::etcdserverpb::{InternalRaftRequest, PutRequest};
use proto::raftpb::Entry;
use state::{State, StateOptions};
use std::path::Path;
use std::sync::Arc;

/// A state and the number of its last entry.
pub struct Machine {
    pub state: State,
    index: u64,
}

impl Machine {
    pub fn new() -> Machine {
        let disk = MemDisk::new(1);
        disk.create_dir_all(Path::new("/m/snap"), 0o700).expect("a folder");
        let state = State::open(StateOptions::new(Arc::new(disk), "/m/snap/db", 1)).expect("a state");
        Machine { state, index: 0 }
    }

    /// Applies a request and publishes it.
    pub fn apply(&mut self, request: InternalRaftRequest) -> Option<Arc<EventBatch>> {
        self.index += 1;
        let entry = Entry { index: self.index, term: 1, data: request.encode_to_vec().into(), ..Entry::default() };
        let applied = self.state.apply(&entry).expect("applied");
        assert!(!matches!(applied.outcome, Some(Err(_))), "refused: {:?}", applied.outcome);
        self.state.publish()
    }

    pub fn put(&mut self, key: &str) -> Arc<EventBatch> {
        let put = PutRequest { key: key.to_owned().into(), ..Default::default() };
        self.apply(InternalRaftRequest { put: Some(put), ..Default::default() }).expect("an event")
    }
}
