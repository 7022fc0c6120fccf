//! Keys: ranges over a moment of the store, puts, deletes and transactions of the entry being applied
//! (facts: errors, 6). Revisions, sorting, filters and limits are `mvcc`'s.

mod compare;
mod write;

use mvcc::{Image, KeysOnly, RangeQuery};
use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, request_op::Request, response_op::Response};

pub use compare::holds;

use crate::error::{Error, Result};
use crate::versions::Version;

/// An answer, or a refusal that is the same on every member.
pub type Checked<T> = std::result::Result<T, ClientError>;

/// A range by the rules of a release: without values, leases are told only up to 3.6.
pub fn query(r: &pb::RangeRequest, release: Version) -> RangeQuery {
    let query = RangeQuery::from(r);
    match query.keys_only {
        KeysOnly::FromIndex if release < Version::V3_7 => RangeQuery { keys_only: KeysOnly::FromRecords, ..query },
        KeysOnly::No | KeysOnly::FromIndex | KeysOnly::FromRecords => query,
    }
}

/// Answers a range from one moment. The header carries that moment's revision, not the one asked for.
pub fn range(image: &Image, r: &pb::RangeRequest, release: Version) -> Result<Checked<pb::RangeResponse>> {
    let mut range = match image.range(&query(r, release)) {
        Ok(range) => range,
        Err(e) => return refusal(e).map(Err),
    };
    let mut answer = pb::RangeResponse { header: header(range.revision()), ..Default::default() };
    while let Some(kv) = range.next_kv()? {
        answer.kvs.push(kv);
    }
    (answer.count, answer.more) = (range.count(), range.more());
    Ok(Ok(answer))
}

/// Answers a transaction of ranges only, from one moment, without the log.
pub fn read_txn(image: &Image, r: &pb::TxnRequest, release: Version) -> Result<Checked<pb::TxnResponse>> {
    let succeeded = holds(image, &r.compare)?;
    let ops = if succeeded { &r.success } else { &r.failure };
    let ranges = ops.iter().filter_map(|op| match &op.request {
        Some(Request::RequestRange(r)) => Some(r),
        _ => None,
    });
    // All are checked before the first is read.
    for r in ranges.clone() {
        if let Err(refusal) = check_revision(r, image.revision(), image.compact_revision()) {
            return Ok(Err(refusal));
        }
    }
    let mut responses = Vec::with_capacity(ops.len());
    for r in ranges {
        match range(image, r, release)? {
            Ok(x) => responses.push(pb::ResponseOp { response: Some(Response::ResponseRange(x)) }),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(pb::TxnResponse { header: header(image.revision()), succeeded, responses }))
}

/// The revision of a range inside a transaction: 0 is current; a negative one passes only where it is not below the
/// compact revision, so -1 before the first compaction. (A plain range takes any negative one as current.)
fn check_revision(r: &pb::RangeRequest, current: i64, compacted: i64) -> Checked<()> {
    match r.revision {
        0 => Ok(()),
        revision if revision > current => Err(ClientError::FutureRev),
        revision if revision < compacted => Err(ClientError::Compacted),
        _ => Ok(()),
    }
}

/// A refusal of the store as the client sees it; a failure of this member stays one.
pub(crate) fn refusal(error: mvcc::Error) -> Result<ClientError> {
    error.client().ok_or(Error::Store(error))
}

fn header(revision: i64) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader { revision, ..Default::default() })
}
