//! The names of etcd's buckets and of the keys in `meta` and `cluster` (facts: disk-formats, 6): their one home.

/// A top-level bucket of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Alarms: marshalled `AlarmMember` -> empty.
    Alarm,
    /// [`Bucket::AUTH_ENABLED`] and [`Bucket::AUTH_REVISION`].
    Auth,
    /// Role name -> `authpb.Role`.
    AuthRoles,
    /// User name -> `authpb.User`.
    AuthUsers,
    /// [`Bucket::CLUSTER_VERSION`] and [`Bucket::DOWNGRADE`].
    Cluster,
    /// Revision -> `mvccpb.KeyValue`. Written by puts, deletes and the sweep only.
    Key,
    /// Lease id, big-endian i64 -> `leasepb.Lease`.
    Lease,
    /// Member id in hex -> JSON.
    Members,
    /// Member id in hex -> `removed`.
    MembersRemoved,
    /// The keys of [`MetaKey`].
    Meta,
}

impl Bucket {
    /// Every bucket, in the order of their names.
    pub const ALL: [Bucket; 10] = [
        Bucket::Alarm,
        Bucket::Auth,
        Bucket::AuthRoles,
        Bucket::AuthUsers,
        Bucket::Cluster,
        Bucket::Key,
        Bucket::Lease,
        Bucket::Members,
        Bucket::MembersRemoved,
        Bucket::Meta,
    ];

    /// One byte 0 or 1, in [`Bucket::Auth`].
    pub const AUTH_ENABLED: &'static [u8] = b"authEnabled";
    /// Big-endian u64, in [`Bucket::Auth`].
    pub const AUTH_REVISION: &'static [u8] = b"authRevision";
    /// Text such as `3.7.0`, in [`Bucket::Cluster`].
    pub const CLUSTER_VERSION: &'static [u8] = b"clusterVersion";
    /// JSON, in [`Bucket::Cluster`].
    pub const DOWNGRADE: &'static [u8] = b"downgrade";

    /// The name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Bucket::Alarm => "alarm",
            Bucket::Auth => "auth",
            Bucket::AuthRoles => "authRoles",
            Bucket::AuthUsers => "authUsers",
            Bucket::Cluster => "cluster",
            Bucket::Key => "key",
            Bucket::Lease => "lease",
            Bucket::Members => "members",
            Bucket::MembersRemoved => "members_removed",
            Bucket::Meta => "meta",
        }
    }

    pub(crate) const fn position(self) -> usize {
        self as usize
    }
}

/// A key of the `meta` bucket (facts: disk-formats, 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaKey {
    /// Big-endian u64: index of the last applied entry. Written by the commit itself.
    ConsistentIndex,
    /// Big-endian u64: term of that entry. Written by the commit itself.
    Term,
    /// JSON of the raft configuration.
    ConfState,
    /// 17 bytes: the newest compaction asked for.
    ScheduledCompact,
    /// 17 bytes: the newest compaction swept.
    FinishedCompact,
    /// Text such as `3.6.0`.
    StorageVersion,
}

impl MetaKey {
    /// The name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            MetaKey::ConsistentIndex => "consistent_index",
            MetaKey::Term => "term",
            MetaKey::ConfState => "confState",
            MetaKey::ScheduledCompact => "scheduledCompactRev",
            MetaKey::FinishedCompact => "finishedCompactRev",
            MetaKey::StorageVersion => "storageVersion",
        }
    }

    /// The name as bytes.
    pub const fn bytes(self) -> &'static [u8] {
        self.name().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_stand_in_name_order_at_their_positions() {
        assert!(Bucket::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        assert!(Bucket::ALL.iter().enumerate().all(|(i, bucket)| bucket.position() == i));
    }
}
