//! Taking over a snapshot from the leader.

use proto::raftpb::{ConfState, Message, MessageType, Snapshot};

use super::{Raft, message};
use crate::confchange;
use crate::error::Error;
use crate::log::snapshot_id;
use crate::storage::Storage;

impl<S: Storage> Raft<S> {
    pub(super) fn handle_snapshot(&mut self, received: Message) -> Result<(), Error> {
        let mut answer = message(MessageType::MsgAppResp, received.from);
        let snapshot = received.snapshot.ok_or(Error::MalformedMessage("a MsgSnap without a snapshot"))?;
        let id = snapshot_id(&snapshot);
        let restored = self.restore(snapshot)?;
        tracing::info!(
            "{:x} [commit: {}] {} snapshot [index: {}, term: {}]",
            self.id,
            self.log.committed(),
            if restored { "restored" } else { "ignored" },
            id.index,
            id.term
        );
        answer.index = if restored { self.log.last_index() } else { self.log.committed() };
        self.send(answer);
        Ok(())
    }

    /// Replaces log and configuration by the snapshot, unless that has nothing new for this member.
    fn restore(&mut self, snapshot: Snapshot) -> Result<bool, Error> {
        let id = snapshot_id(&snapshot);
        if id.index <= self.log.committed() {
            return Ok(false);
        }
        let conf_state =
            snapshot.metadata.as_ref().and_then(|metadata| metadata.conf_state.clone()).unwrap_or_default();
        if !names(&conf_state, self.id) {
            tracing::warn!(
                "{:x} attempted to restore snapshot but it is not in the ConfState; should never happen",
                self.id
            );
            return Ok(false);
        }
        if self.log.matches(id) {
            // The log has all of it: no need to throw away what follows.
            self.log.commit_to(id.index)?;
            return Ok(false);
        }
        let (members, progress) = confchange::restore(&conf_state, id.index, &self.empty_inflights())?;
        self.log.restore(snapshot);
        self.restored_index = id.index;
        self.switch_to(members, progress);
        Ok(true)
    }
}

/// Whether the member has any role. Coming learners are outgoing voters.
fn names(conf_state: &ConfState, id: u64) -> bool {
    [&conf_state.voters, &conf_state.learners, &conf_state.voters_outgoing].iter().any(|ids| ids.contains(&id))
}
