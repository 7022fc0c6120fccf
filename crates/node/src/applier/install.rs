//! A received snapshot takes the place of the state, whole (contract 6).
//!
//! Fates: open views keep the old file; readers handed out before see the new state; the old state's unfinished sweep and
//! unsealed changes vanish with it; answers held back are given; snapshots asked for are made of the new state; lease
//! deadlines and members are told anew to the node, which drops what it knew; waiting proposals time out by themselves,
//! waiting reads are released by the new applied index.

use proto::raftpb::Snapshot;
use state::V2Snapshot;

use super::{Applier, ApplierError, effects};
use crate::event::{Applied, LeaseChange, Now};

impl Applier {
    pub(super) fn install(
        &mut self,
        snapshot: &Snapshot,
        batch: &mut effects::Batch,
        now: Now,
    ) -> Result<(), ApplierError> {
        let metadata = snapshot.metadata.clone().unwrap_or_default();
        let mut options = self.options.state.clone();
        options.v2_snapshot = Some(V2Snapshot { index: metadata.index, json: snapshot.data.clone() });
        options.snapshot_conf_state = metadata.conf_state;
        let received = self.options.snap_files.received_db(metadata.index);
        crate::boot::install_received_db(options.disk.as_ref(), &received, &options.db_path)
            .map_err(|source| ApplierError::Install { path: received, source })?;
        self.state.replace(options)?;
        self.held.release_all(&mut batch.replies);
        self.commits.replaced(metadata.index, &mut batch.replies);
        self.hashing = None;
        self.sweep_at = Some(now.monotonic);
        self.migrate_at = now.monotonic;
        batch.members_changed = true;
        // Who waits for a conf change or another request of this run is told; the rest counts for nothing any more.
        let Applied { tickets, conf_changes, .. } = std::mem::take(&mut batch.applied);
        let leases = lease_changes(&self.state.reader().view());
        batch.applied = Applied { snapshot_installed: true, tickets, conf_changes, leases, ..Applied::default() };
        Ok(())
    }
}

/// All leases, as changes to a node that knows of none.
pub(crate) fn lease_changes(view: &state::StateView) -> Vec<LeaseChange> {
    let granted = |lease: &state::lease::Lease| LeaseChange::Granted { id: lease.id, ttl_secs: lease.ttl_secs };
    let checkpointed = |lease: &state::lease::Lease| {
        (lease.remaining_secs > 0)
            .then_some(LeaseChange::Checkpointed { id: lease.id, remaining_secs: lease.remaining_secs })
    };
    view.leases().iter().flat_map(|lease| std::iter::once(granted(lease)).chain(checkpointed(lease))).collect()
}
