//! New entries in the leader's log.

use proto::raftpb::{Entry, MessageType};

use super::{Raft, message};
use crate::NONE;
use crate::error::Error;
use crate::raw_node::AnyConfChange;
use crate::sizes::payload_sizes;
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    /// A leader takes proposals into its log, all of them or none, and sends them to the others.
    pub(super) fn propose(&mut self, mut entries: Vec<Entry>) -> Result<(), Error> {
        if !self.progress.contains_key(&self.id) {
            // Removed, and leader only until somebody else is.
            return Err(Error::ProposalDropped);
        }
        let transferee = self.role.transferee();
        if transferee != NONE {
            tracing::debug!("{:x} is transferring leadership to {transferee:x}; dropping proposal", self.id);
            return Err(Error::ProposalDropped);
        }
        let pending_conf_index = self.check_conf_changes(&mut entries)?;
        if !self.append_own(entries) {
            return Err(Error::ProposalDropped);
        }
        if let Some(leader) = self.role.leader_mut() {
            leader.pending_conf_index = pending_conf_index;
        }
        self.broadcast_append();
        Ok(())
    }

    /// Replaces conf changes that can't be taken now by empty entries. Returns the index of the newest one that counts
    /// as pending when the entries are in the log.
    fn check_conf_changes(&self, entries: &mut [Entry]) -> Result<u64, Error> {
        let mut pending = self.role.leader().map_or(0, |leader| leader.pending_conf_index);
        let joint = self.members.voters.is_joint();
        for (index, entry) in (self.log.last_index() + 1..).zip(entries) {
            let Some(change) = AnyConfChange::from_entry(entry)? else { continue };
            let change = change.into_v2();
            let leaves = change.changes.is_empty();
            let refusal = if pending > self.log.applied() {
                Some("possible unapplied conf change")
            } else if joint && !leaves {
                Some("must transition out of joint config first")
            } else if !joint && leaves {
                Some("not in joint state; refusing empty conf change")
            } else {
                None
            };
            match refusal {
                Some(reason) if !self.config.disable_conf_change_validation => {
                    tracing::info!(
                        "{:x} ignoring conf change {change:?} at config {}: {reason}",
                        self.id,
                        self.members
                    );
                    *entry = Entry::default();
                }
                Some(_) | None => pending = index,
            }
        }
        Ok(pending)
    }

    /// Appends to the leader's own log, unless too much is uncommitted already.
    pub(super) fn append_own(&mut self, mut entries: Vec<Entry>) -> bool {
        let limit = self.config.max_uncommitted_size;
        let Some(leader) = self.role.leader_mut() else {
            unreachable!("entries are made by leaders");
        };
        // A single large proposal passes where nothing else is uncommitted, and empty entries always do: among them are
        // those on which progress depends.
        let bytes = payload_sizes(&entries);
        let total = leader.uncommitted_bytes.saturating_add(bytes);
        if leader.uncommitted_bytes > 0 && bytes > 0 && total > limit {
            tracing::debug!("{:x} dropping new entries: too much is uncommitted", self.id);
            return false;
        }
        leader.uncommitted_bytes = total;
        let mut last = self.log.last_index();
        for entry in &mut entries {
            last += 1;
            entry.index = last;
            entry.term = self.term;
        }
        self.log.append(entries);
        // Its own acknowledgement counts like any other, and comes like any other once the entries are durable.
        let mut own = message(MessageType::MsgAppResp, self.id);
        own.index = last;
        self.send(own);
        true
    }
}
