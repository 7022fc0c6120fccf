//! Field checks of requests, which the door runs before it proposes or reads (facts: errors, 2 and 6).
//!
//! For Put, Txn and LeaseGrant the quota comes first (`crate::quota`), then these; rights and the rest follow at apply.

mod overlap;
mod urls;

use proto::errors::ClientError;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::{self as pb, request_op::Request};

pub use urls::peer_urls;

type Check = Result<(), ClientError>;

/// A key, and sort options that are known.
pub fn range(r: &pb::RangeRequest) -> Check {
    if r.key.is_empty() {
        return Err(ClientError::EmptyKey);
    }
    if SortOrder::try_from(r.sort_order).is_err() || SortTarget::try_from(r.sort_target).is_err() {
        return Err(ClientError::InvalidSortOption);
    }
    Ok(())
}

/// A range that is to be answered in chunks: only in key order, unfiltered by revision.
pub fn range_stream(r: &pb::RangeRequest) -> Check {
    range(r)?;
    let by_key = r.sort_target == SortTarget::Key as i32;
    let ascending = r.sort_order == SortOrder::None as i32 || r.sort_order == SortOrder::Ascend as i32;
    if !(by_key && ascending) {
        return Err(ClientError::RangeStreamSort);
    }
    if r.min_mod_revision != 0 || r.max_mod_revision != 0 || r.min_create_revision != 0 || r.max_create_revision != 0 {
        return Err(ClientError::RangeStreamFilter);
    }
    Ok(())
}

/// A key; no value beside `ignore_value`, no lease beside `ignore_lease`.
pub fn put(r: &pb::PutRequest) -> Check {
    if r.key.is_empty() {
        return Err(ClientError::EmptyKey);
    }
    if r.ignore_value && !r.value.is_empty() {
        return Err(ClientError::ValueProvided);
    }
    if r.ignore_lease && r.lease != 0 {
        return Err(ClientError::LeaseProvided);
    }
    Ok(())
}

/// A key.
pub fn delete_range(r: &pb::DeleteRangeRequest) -> Check {
    if r.key.is_empty() { Err(ClientError::EmptyKey) } else { Ok(()) }
}

/// Op counts and fields, then overlap in the first branch, then in the second.
pub fn txn(r: &pb::TxnRequest, ops_max: usize) -> Check {
    txn_fields(r, ops_max)?;
    overlap::check(&r.success)?;
    overlap::check(&r.failure)
}

/// The longest of the three lists counts; a nested transaction gets what its parent leaves.
fn txn_fields(r: &pb::TxnRequest, ops_max: usize) -> Check {
    let ops = r.compare.len().max(r.success.len()).max(r.failure.len());
    let left = ops_max.checked_sub(ops).ok_or(ClientError::TooManyOps)?;
    if r.compare.iter().any(|c| c.key.is_empty()) {
        return Err(ClientError::EmptyKey);
    }
    r.success.iter().chain(&r.failure).try_for_each(|op| match &op.request {
        Some(Request::RequestRange(r)) => range(r),
        Some(Request::RequestPut(r)) => put(r),
        Some(Request::RequestDeleteRange(r)) => delete_range(r),
        Some(Request::RequestTxn(r)) => txn_fields(r, left),
        None => Err(ClientError::KeyNotFound),
    })
}

/// Whether a transaction only reads, and so needs no proposal: every op in both branches is a range.
pub fn is_read_only(r: &pb::TxnRequest) -> bool {
    r.success.iter().chain(&r.failure).all(|op| matches!(op.request, Some(Request::RequestRange(_))))
}

/// Whether a read-only transaction may be answered from local state: every range says so. One without any op counts.
pub fn is_serializable(r: &pb::TxnRequest) -> bool {
    r.success.iter().chain(&r.failure).all(|op| matches!(&op.request, Some(Request::RequestRange(r)) if r.serializable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(request: Request) -> pb::RequestOp {
        pb::RequestOp { request: Some(request) }
    }

    fn put_op(key: &'static str) -> pb::RequestOp {
        op(Request::RequestPut(pb::PutRequest { key: key.into(), ..Default::default() }))
    }

    fn nested(success: Vec<pb::RequestOp>) -> pb::RequestOp {
        op(Request::RequestTxn(pb::TxnRequest { success, ..Default::default() }))
    }

    #[test]
    fn fields_in_their_order() {
        let mut p = pb::PutRequest {
            value: "v".into(),
            ignore_value: true,
            ignore_lease: true,
            lease: 1,
            ..Default::default()
        };
        assert_eq!(put(&p), Err(ClientError::EmptyKey));
        p.key = "k".into();
        assert_eq!(put(&p), Err(ClientError::ValueProvided));
        p.value.clear();
        assert_eq!(put(&p), Err(ClientError::LeaseProvided));
        p.lease = 0;
        assert_eq!(put(&p), Ok(()));
        let r = pb::RangeRequest { key: "k".into(), sort_order: 3, ..Default::default() };
        assert_eq!(range(&r), Err(ClientError::InvalidSortOption));
        assert_eq!(range(&pb::RangeRequest { sort_target: 5, ..r }), Err(ClientError::InvalidSortOption));
    }

    #[test]
    fn a_nested_transaction_gets_what_is_left() {
        let txn_of = |success| pb::TxnRequest { success, ..Default::default() };
        assert_eq!(txn(&txn_of(vec![put_op("a"), put_op("b"), put_op("c")]), 2), Err(ClientError::TooManyOps));
        assert_eq!(txn(&txn_of(vec![nested(vec![put_op("a"), put_op("b")])]), 3), Ok(()));
        assert_eq!(txn(&txn_of(vec![nested(vec![put_op("a"), put_op("b")])]), 2), Err(ClientError::TooManyOps));
        assert_eq!(txn(&txn_of(vec![pb::RequestOp { request: None }]), 2), Err(ClientError::KeyNotFound));
        assert_eq!(txn(&txn_of(vec![put_op("")]), 2), Err(ClientError::EmptyKey));
    }

    #[test]
    fn reading_transactions() {
        let read = |serializable| op(Request::RequestRange(pb::RangeRequest { serializable, ..Default::default() }));
        let txn_of = |success| pb::TxnRequest { success, ..Default::default() };
        assert!(is_read_only(&txn_of(vec![read(false)])) && !is_serializable(&txn_of(vec![read(true), read(false)])));
        assert!(is_read_only(&txn_of(vec![])) && is_serializable(&txn_of(vec![])));
        assert!(!is_read_only(&txn_of(vec![nested(vec![read(false)])])));
    }
}
