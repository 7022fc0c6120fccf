//! What the storage has done: appends that are durable, entries that are applied.

use proto::raftpb::{ConfChangeV2, Entry, Message};

use super::Raft;
use crate::log::{EntryId, snapshot_id};
use crate::raw_node::AnyConfChange;
use crate::sizes::{encoded_sizes, payload_sizes};
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// An append is durable. The response carries the id of the last entry in the log when it was handed out, and the
    /// term this member was in: in a later term, entries that replace those may be on their way to the storage behind
    /// them, so that what it holds now is not what it will hold. Only a response of the present term tells that the
    /// log up to that entry stays as it is; one always follows, because a term's first append ends with one.
    pub(super) fn appended(&mut self, response: Message) {
        if response.index != 0 {
            if response.term == self.term {
                self.log.stable_to(EntryId { term: response.log_term, index: response.index });
            } else {
                tracing::info!(
                    "{:x} [term: {}] ignored entry appends from a MsgStorageAppendResp message with lower term [term: {}]",
                    self.id,
                    self.term,
                    response.term
                );
            }
        }
        // Snapshots only ever replace older ones: no such danger.
        if let Some(snapshot) = &response.snapshot {
            let index = snapshot_id(snapshot).index;
            self.log.stable_snapshot_to(index);
            self.applied_to(index, 0);
        }
    }

    /// Entries are applied.
    pub(super) fn applied(&mut self, entries: &[Entry]) {
        if let Some(last) = entries.last() {
            self.applied_to(last.index, encoded_sizes(entries));
            self.reduce_uncommitted(payload_sizes(entries));
        }
    }

    fn applied_to(&mut self, index: u64, bytes: u64) {
        let index = index.max(self.log.applied());
        self.log.applied_to(index, bytes);
        let Some(leader) = self.role.leader() else { return };
        if self.members.auto_leave && index >= leader.pending_conf_index {
            // The joint configuration is in force: leave it. Should this be dropped, the next applied entry tries again.
            let leave = AnyConfChange::from(ConfChangeV2::default()).to_entry();
            match self.propose(vec![leave]) {
                Ok(()) => tracing::info!("initiating automatic transition out of joint configuration {}", self.members),
                Err(error) => {
                    tracing::debug!("not initiating automatic transition out of joint configuration: {error}")
                }
            }
        }
    }

    fn reduce_uncommitted(&mut self, bytes: u64) {
        if let Some(leader) = self.role.leader_mut() {
            // Entries of earlier terms were never counted.
            leader.uncommitted_bytes = leader.uncommitted_bytes.saturating_sub(bytes);
        }
    }
}
