//! What a state needs from outside to open.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use disk::Disk;
use proto::raftpb::ConfState;

use crate::quota::Quota;
use crate::versions::Version;

/// The v2 part of the newest valid raft snapshot.
#[derive(Clone, Debug)]
pub struct V2Snapshot {
    /// Index of the last entry that the tree covers: the index of the raft snapshot.
    pub index: u64,
    /// The tree as JSON; empty where the snapshot carries none.
    pub json: Bytes,
}

/// How to open a [`crate::State`].
#[derive(Clone)]
pub struct StateOptions {
    pub disk: Arc<dyn Disk>,
    /// The bolt file, `member/snap/db`; created where absent.
    pub db_path: PathBuf,
    /// This member.
    pub member_id: u64,
    /// The v2 part of the newest valid raft snapshot; `None` where the log starts at 1.
    pub v2_snapshot: Option<V2Snapshot>,
    /// Raft's configuration at that snapshot, where it is known. Used where the v2 tree is the source of membership.
    pub snapshot_conf_state: Option<ConfState>,
    /// The release this member reports; caps the storage keys it writes.
    pub compat_version: Version,
    /// The size of the backend above which writes answer NoSpace.
    pub quota: Quota,
    /// Leases are granted at least this TTL, in seconds.
    pub lease_ttl_secs_min: i64,
    /// Checkpoints of leases are written to disk also below cluster version 3.6.
    pub lease_checkpoint_persist: bool,
    /// Learners allowed at a time (`--max-learners`).
    pub learners_max: usize,
    /// Bytes of pages that the backend may keep in memory.
    pub cache_bytes: usize,
}

impl StateOptions {
    /// Options with etcd's defaults for a file of this disk.
    pub fn new(disk: Arc<dyn Disk>, db_path: impl Into<PathBuf>, member_id: u64) -> StateOptions {
        StateOptions {
            disk,
            db_path: db_path.into(),
            member_id,
            v2_snapshot: None,
            snapshot_conf_state: None,
            compat_version: Version::V3_7,
            quota: Quota::default(),
            lease_ttl_secs_min: crate::lease::TTL_SECS_MIN_DEFAULT,
            lease_checkpoint_persist: false,
            learners_max: 1,
            cache_bytes: 64 << 20,
        }
    }
}
