//! Hashes by which members are compared (facts: disk-formats, 7).

/// Which release's rule a hash follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRule {
    /// As 3.4.23: the compacted revision itself is refused; of `meta` only `consistent_index` is skipped.
    V3_4,
    /// As 3.5.1: the compacted revision itself is refused; `term` is skipped too.
    V3_5,
    /// As 3.6 and 3.7: hashes of compactions are remembered; `storageVersion` is skipped too.
    V3_7,
}

/// The answer to HashKV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    pub hash: u32,
    /// The revision that was hashed.
    pub hash_revision: i64,
    /// -1 while never compacted; for a remembered hash of a compaction, the compaction before it.
    pub compact_revision: i64,
    /// The store's current revision.
    pub current_revision: i64,
}
