//! Grants, revocations and checkpoints at apply.

use proto::errors::ClientError;
use proto::etcdserverpb as pb;

use super::{Lease, TTL_SECS_MAX};
use crate::applied::{Effect, Outcome};
use crate::apply::{Run, store};
use crate::versions::Version;

type Checked = std::result::Result<Outcome, ClientError>;

impl Run<'_, '_> {
    /// The TTL is raised to the minimum in silence.
    pub(crate) fn lease_grant(&mut self, r: pb::LeaseGrantRequest) -> Checked {
        if r.id == 0 {
            return Err(ClientError::LeaseNotFound);
        }
        if r.ttl > TTL_SECS_MAX {
            return Err(ClientError::LeaseTTLTooLarge);
        }
        if self.live.leases.leases().get(r.id).is_some() {
            return Err(ClientError::LeaseExist);
        }
        let ttl_secs = r.ttl.max(self.rules.lease_ttl_secs_min);
        let lease = Lease { id: r.id, ttl_secs, ..Lease::default() };
        store::write_lease(self.txn, &lease);
        self.live.leases.insert(lease);
        self.effects.push(Effect::LeaseGranted { id: r.id, ttl_secs });
        let header = Some(self.header());
        Ok(Outcome::LeaseGrant(pb::LeaseGrantResponse { header, id: r.id, ttl: ttl_secs, ..Default::default() }))
    }

    /// Deletes the lease and, in key order and one revision, its keys.
    pub(crate) fn lease_revoke(&mut self, r: pb::LeaseRevokeRequest) -> Checked {
        let Some(lease) = self.live.leases.remove(r.id) else {
            return Err(ClientError::LeaseNotFound);
        };
        for key in &lease.keys {
            self.delete_keys(key, b"");
        }
        store::erase_lease(self.txn, r.id);
        self.effects.push(Effect::LeaseRevoked { id: r.id });
        Ok(Outcome::LeaseRevoke(pb::LeaseRevokeResponse { header: Some(self.header()) }))
    }

    /// Unknown leases are passed over. The remainder is on disk only from cluster version 3.6 on, or by the flag.
    pub(crate) fn lease_checkpoint(&mut self, r: pb::LeaseCheckpointRequest) -> Outcome {
        let persist =
            self.rules.lease_checkpoint_persist || self.live.versions.cluster.is_some_and(|v| v >= Version::V3_6);
        for pb::LeaseCheckpoint { id, remaining_ttl } in r.checkpoints {
            let Some(lease) = self.live.leases.checkpoint(id, remaining_ttl).cloned() else {
                continue;
            };
            if persist {
                store::write_lease(self.txn, &lease);
            }
            self.effects.push(Effect::LeaseCheckpointed { id, remaining_secs: remaining_ttl });
        }
        Outcome::LeaseCheckpoint(pb::LeaseCheckpointResponse { header: Some(self.header()) })
    }
}
