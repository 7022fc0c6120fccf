//! Where membership comes from when a state opens.

/// The authority for members, removed ids and cluster version at open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Below cluster version 3.6: the v2 tree as of the raft snapshot; the log from there on is replayed into it, also
    /// where the rest of the state is further already. The buckets are rewritten from it.
    Tree { index: u64 },
    /// From 3.6 on: the buckets as of the consistent index. Entries up to it change only the v2 tree, whose own
    /// membership stands here until it has caught up.
    Buckets { index: u64, behind: Option<super::Membership> },
}

impl Source {
    /// Conf changes up to this index are part of the membership as it was at open.
    pub(crate) fn index(&self) -> u64 {
        match self {
            Source::Tree { index } | Source::Buckets { index, .. } => *index,
        }
    }

    pub(crate) fn is_tree(&self) -> bool {
        matches!(self, Source::Tree { .. })
    }
}
