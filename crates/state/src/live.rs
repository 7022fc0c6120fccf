//! The tables beside the keys, as the applier changes them, and the rules it was opened with.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::raftpb::ConfState;

use crate::alarm::Alarms;
use crate::auth::AuthStore;
use crate::lease::LeaseTable;
use crate::members::{Membership, Source};
use crate::options::StateOptions;
use crate::quota::Quota;
use crate::reader::Tables;
use crate::v2::Tree;
use crate::versions::{Version, Versions};

/// Everything that replicates beside the keys.
pub(crate) struct Live {
    pub leases: LeaseTable,
    pub auth: Arc<AuthStore>,
    pub alarms: Arc<Alarms>,
    pub members: Arc<Membership>,
    /// Raft's configuration: what the accepted conf changes made of that of the source. It can differ from the members'
    /// own account, because an update of a learner's URLs may make that forget that it is one.
    pub conf: ConfState,
    pub versions: Versions,
    pub tree: Tree,
    pub source: Source,
    /// The buckets may not say what `members` and `versions` do; the next entry's transaction puts that right.
    pub buckets_stale: bool,
    /// Bcrypt texts made elsewhere for entries to come, by index.
    pub hashes: BTreeMap<u64, String>,
}

impl Live {
    /// The published form.
    pub(crate) fn tables(&self, applied: mvcc::EntryId) -> Tables {
        Tables {
            leases: self.leases.leases().clone(),
            auth: self.auth.clone(),
            alarms: self.alarms.clone(),
            members: self.members.clone(),
            versions: self.versions,
            applied,
        }
    }
}

/// What apply needs to know from outside. All members of a cluster are to be started alike in these; the member id only
/// tells one's own removal.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub member_id: u64,
    /// What this member passes itself off as.
    pub release: Version,
    pub quota: Quota,
    pub lease_ttl_secs_min: i64,
    pub lease_checkpoint_persist: bool,
    pub learners_max: usize,
}

impl Rules {
    pub(crate) fn of(options: &StateOptions) -> Rules {
        Rules {
            member_id: options.member_id,
            release: options.compat_version.minor_line(),
            quota: options.quota,
            lease_ttl_secs_min: options.lease_ttl_secs_min,
            lease_checkpoint_persist: options.lease_checkpoint_persist,
            learners_max: options.learners_max,
        }
    }
}
