//! What a range asks for.

use bytes::Bytes;
use proto::etcdserverpb as pb;

use crate::index::{KeyMeta, KeyRange};

/// The order of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// By key as it comes; with a target other than the key this is as ascending, but only the first limit + 1 keys take part.
    #[default]
    None,
    Ascend,
    Descend,
}

/// What the answer is sorted by. Equal ones stand in key order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTarget {
    #[default]
    Key,
    Version,
    Create,
    Mod,
    Value,
}

/// Whether values are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeysOnly {
    #[default]
    No,
    /// Answered from the index alone: `lease` is 0 too (3.7).
    FromIndex,
    /// Answered from the records, whose `lease` stands (up to 3.6).
    FromRecords,
}

/// A Range request past the door. Filters are inclusive bounds, 0 = off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeQuery {
    pub key: Bytes,
    /// Empty = one key; a single zero byte = all keys from `key` on; else exclusive.
    pub range_end: Bytes,
    /// 0 or less = none.
    pub limit: i64,
    /// 0 or less = the current one.
    pub revision: i64,
    pub sort_order: SortOrder,
    pub sort_target: SortTarget,
    pub keys_only: KeysOnly,
    pub count_only: bool,
    /// The count is of no interest: a walk by key with a limit ends behind it, instead of going through all the rest.
    /// For the later chunks of a stream.
    pub uncounted: bool,
    pub min_mod_revision: i64,
    pub max_mod_revision: i64,
    pub min_create_revision: i64,
    pub max_create_revision: i64,
}

impl From<&pb::RangeRequest> for RangeQuery {
    /// By the rules of 3.7. Unknown sort options, which the door refuses, count as none.
    fn from(request: &pb::RangeRequest) -> RangeQuery {
        use pb::range_request::{SortOrder as PbOrder, SortTarget as PbTarget};
        RangeQuery {
            key: request.key.clone(),
            range_end: request.range_end.clone(),
            limit: request.limit,
            revision: request.revision,
            sort_order: match request.sort_order() {
                PbOrder::None => SortOrder::None,
                PbOrder::Ascend => SortOrder::Ascend,
                PbOrder::Descend => SortOrder::Descend,
            },
            sort_target: match request.sort_target() {
                PbTarget::Key => SortTarget::Key,
                PbTarget::Version => SortTarget::Version,
                PbTarget::Create => SortTarget::Create,
                PbTarget::Mod => SortTarget::Mod,
                PbTarget::Value => SortTarget::Value,
            },
            keys_only: if request.keys_only { KeysOnly::FromIndex } else { KeysOnly::No },
            count_only: request.count_only,
            uncounted: false,
            min_mod_revision: request.min_mod_revision,
            max_mod_revision: request.max_mod_revision,
            min_create_revision: request.min_create_revision,
            max_create_revision: request.max_create_revision,
        }
    }
}

impl RangeQuery {
    pub(crate) fn key_range(&self) -> KeyRange<'_> {
        KeyRange::new(&self.key, &self.range_end)
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter {
            min_mod: self.min_mod_revision,
            max_mod: self.max_mod_revision,
            min_create: self.min_create_revision,
            max_create: self.max_create_revision,
        }
    }
}

/// The revision bounds of a query, 0 = off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    min_mod: i64,
    max_mod: i64,
    min_create: i64,
    max_create: i64,
}

impl Filter {
    pub fn is_off(&self) -> bool {
        *self == Filter::default()
    }

    pub fn passes(&self, meta: &KeyMeta) -> bool {
        let at_least = |bound: i64, value: i64| bound == 0 || value >= bound;
        let at_most = |bound: i64, value: i64| bound == 0 || value <= bound;
        at_least(self.min_mod, meta.mod_revision())
            && at_most(self.max_mod, meta.mod_revision())
            && at_least(self.min_create, meta.create_revision)
            && at_most(self.max_create, meta.create_revision)
    }
}
