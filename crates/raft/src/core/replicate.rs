//! What a leader sends to the others: appends, snapshots, heartbeats.

use proto::raftpb::MessageType;

use super::{Raft, message};
use crate::error::StorageError;
use crate::log::{EntryId, snapshot_id};
use crate::sizes::payload_sizes;
use crate::storage::Storage;
use crate::tracker::ProgressState;

impl<S: Storage> Raft<S> {
    /// The other members, in ascending order.
    pub(super) fn peers(&self) -> impl Iterator<Item = u64> + use<'_, S> {
        self.progress.keys().copied().filter(|&id| id != self.id)
    }

    pub(super) fn broadcast_append(&mut self) {
        let peers: Vec<u64> = self.peers().collect();
        for peer in peers {
            self.send_append(peer);
        }
    }

    /// Sends the next append, also an empty one: that tells the commit index, or probes.
    pub(super) fn send_append(&mut self, to: u64) {
        self.maybe_send_append(to, true);
    }

    /// Sends the next append unless the member is paused, or, where it no longer has the entries, a snapshot. Without
    /// `send_if_empty` only appends that carry entries. Whether anything was sent.
    pub(super) fn maybe_send_append(&mut self, to: u64, send_if_empty: bool) -> bool {
        let Some(progress) = self.progress.get_mut(&to) else { return false };
        if progress.is_paused() {
            return false;
        }
        let prev = progress.next - 1;
        let window_full = progress.state == ProgressState::Replicate && progress.inflights.is_full();
        // A full window still lets an empty append through from time to time (see `Progress::sent_entries`): its answer
        // tells what became of the window.
        let wanted = self.log.term(prev).and_then(|term| {
            let max_size = self.config.max_size_per_message;
            let entries = if window_full { Vec::new() } else { self.log.entries_from(progress.next, max_size)? };
            Ok((term, entries))
        });
        let (prev_term, entries) = match wanted {
            Ok((_, entries)) if entries.is_empty() && !send_if_empty => return false,
            Ok(wanted) => wanted,
            Err(StorageError::Compacted) => return self.maybe_send_snapshot(to),
            Err(error) => {
                // The storage can't tell what it had acknowledged.
                tracing::error!("{:x} can't read its log after {prev}: {error}", self.id);
                return self.maybe_send_snapshot(to);
            }
        };
        let committed = self.log.committed();
        progress.sent_entries(entries.len(), payload_sizes(&entries));
        progress.sent_commit(committed);
        let mut append = message(MessageType::MsgApp, to);
        append.index = prev;
        append.log_term = prev_term;
        append.commit = committed;
        append.entries = entries;
        self.send(append);
        true
    }

    fn maybe_send_snapshot(&mut self, to: u64) -> bool {
        let Some(progress) = self.progress.get_mut(&to) else { return false };
        if !progress.recent_active {
            tracing::debug!("{:x} ignores sending a snapshot to {to:x} since it is not recently active", self.id);
            return false;
        }
        let snapshot = match self.log.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::debug!("{:x} failed to send a snapshot to {to:x}: {error}", self.id);
                return false;
            }
        };
        let id = snapshot_id(&snapshot);
        assert!(id.index + 1 >= self.log.first_index(), "snapshot {} ends before the log begins", id.index);
        tracing::debug!(
            "{:x} [firstindex: {}, commit: {}] sent snapshot[index: {}, term: {}] to {to:x} [{progress}]",
            self.id,
            self.log.first_index(),
            self.log.committed(),
            id.index,
            id.term
        );
        progress.become_snapshot(id.index);
        let mut send = message(MessageType::MsgSnap, to);
        send.snapshot = Some(snapshot);
        self.send(send);
        true
    }

    /// Sends heartbeats that ask for the confirmation of all reads that wait.
    pub(super) fn broadcast_heartbeat(&mut self) {
        let Some(leader) = self.role.leader() else { return };
        let context = leader.reads.context();
        let committed = self.log.committed();
        let peers: Vec<u64> = self.peers().collect();
        for peer in peers {
            let Some(progress) = self.progress.get_mut(&peer) else { continue };
            // What lies beyond is not known to be the same in its log.
            let commit = progress.matched.min(committed);
            progress.sent_commit(commit);
            let mut heartbeat = message(MessageType::MsgHeartbeat, peer);
            heartbeat.commit = commit;
            heartbeat.context = context.clone();
            self.send(heartbeat);
        }
    }

    /// Commits what a quorum has. Whether that is anything new.
    pub(super) fn maybe_commit(&mut self) -> bool {
        let index = self.members.voters.committed_index(|id| self.progress.get(&id).map(|member| member.matched));
        let committed = self.log.maybe_commit(EntryId { term: self.term, index });
        if committed {
            self.release_postponed_reads();
        }
        committed
    }
}
