//! Founding a cluster.

use bytes::Bytes;
use proto::raftpb::{ConfChange, ConfChangeType, HardState};

use super::{AnyConfChange, RawNode};
use crate::error::Error;
use crate::storage::Storage;

/// A founding member; see [`RawNode::bootstrap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub id: u64,
    /// Goes into the conf change entry that adds the member.
    pub context: Bytes,
}

impl<S: Storage> RawNode<S> {
    /// Founds a cluster: puts one committed entry of term 1 for each peer into the empty log, in the order given, and
    /// takes the configuration into force. Every founding member does the same with the same peers. Errs where the log
    /// isn't empty, or there are no peers.
    pub fn bootstrap(&mut self, peers: &[Peer]) -> Result<(), Error> {
        if peers.is_empty() {
            return Err(Error::Config("must provide at least one peer to Bootstrap"));
        }
        if self.raft.log.last_index() != 0 {
            return Err(Error::Config("can't bootstrap a nonempty Storage"));
        }
        let changes: Vec<AnyConfChange> = peers
            .iter()
            .map(|peer| {
                let change_type = ConfChangeType::ConfChangeAddNode as i32;
                ConfChange { change_type, node_id: peer.id, context: peer.context.clone(), id: 0 }.into()
            })
            .collect();
        self.raft.found(&changes)?;
        // Nothing of it is on disk yet, so all of it is news to the first `Ready`.
        self.hard_state = HardState::default();
        Ok(())
    }
}
