//! Keys: ranges over a view or over a transaction in flight, puts, deletes, transactions (facts: errors, 6).

mod compare;
mod range;
mod write;

use proto::mvccpb::KeyValue;

pub use compare::holds;
pub use range::{Fetch, Plan, range, read_txn};
pub(crate) use write::{Writer, delete_range, put, txn};

use crate::error::Result;

/// Something that keys can be read from: a published view, or the transaction of the entry that is being applied.
pub trait Source {
    /// The revision that a read sees now; inside a transaction that has changed something, its own.
    fn revision(&self) -> i64;

    /// The compact revision; -1 before the first compaction.
    fn compact_revision(&self) -> i64;

    /// The number of keys in the range at that revision.
    fn count(&self, key: &[u8], range_end: &[u8], at: i64) -> Result<u64>;

    /// Shows the pairs of a range in key order, until `visit` says false. Without `values` the pairs come from the
    /// index alone: no value, no lease.
    fn visit(
        &self,
        key: &[u8],
        range_end: &[u8],
        at: i64,
        values: bool,
        visit: &mut dyn FnMut(KeyValue) -> bool,
    ) -> Result<()>;
}
