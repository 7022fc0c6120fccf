//! Ranges: what to fetch, filter, sort and cut.

use std::cmp::Ordering;

use proto::errors::ClientError;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::{self as pb, request_op::Request, response_op::Response};
use proto::mvccpb::KeyValue;

use super::{Source, holds};
use crate::error::Result;

/// How a range is to be answered, worked out from the request and the store's revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The revision to read at.
    pub at: i64,
    /// At most this many pairs are answered; `None` = no limit.
    pub limit: Option<usize>,
    /// Pairs without values.
    pub keys_only: bool,
    pub fetch: Fetch,
}

/// How many pairs have to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// None: only the count is wanted.
    Count,
    /// Pairs in key order, as they come: up to the limit, and one more to know whether there are more.
    Stream,
    /// The first limit + 1 pairs by key, which are then sorted.
    SortLimited,
    /// All pairs, which are then filtered and sorted.
    SortAll,
}

impl Plan {
    /// Errs with FutureRev above the current revision, Compacted below the compact revision.
    pub fn new(r: &pb::RangeRequest, current: i64, compacted: i64) -> std::result::Result<Plan, ClientError> {
        if r.revision > current {
            return Err(ClientError::FutureRev);
        }
        let at = if r.revision <= 0 { current } else { r.revision };
        if at < compacted {
            return Err(ClientError::Compacted);
        }
        let limit = usize::try_from(r.limit).ok().filter(|n| *n > 0);
        Ok(Plan { at, limit, keys_only: r.keys_only, fetch: Fetch::of(r) })
    }
}

impl Fetch {
    fn of(r: &pb::RangeRequest) -> Fetch {
        let by_key = r.sort_target == SortTarget::Key as i32;
        let filtered = [r.min_mod_revision, r.max_mod_revision, r.min_create_revision, r.max_create_revision] != [0; 4];
        if r.count_only {
            Fetch::Count
        } else if filtered || r.sort_order == SortOrder::Descend as i32 {
            Fetch::SortAll
        } else if by_key {
            Fetch::Stream
        } else if r.sort_order == SortOrder::None as i32 {
            // No order with a target other than the key sorts upwards, but what is sorted was cut by key before.
            Fetch::SortLimited
        } else {
            Fetch::SortAll
        }
    }
}

/// Answers a range. The header carries the source's revision, not the one asked for.
pub fn range(
    source: &(impl Source + ?Sized),
    r: &pb::RangeRequest,
) -> Result<std::result::Result<pb::RangeResponse, ClientError>> {
    let plan = match Plan::new(r, source.revision(), source.compact_revision()) {
        Ok(plan) => plan,
        Err(e) => return Ok(Err(e)),
    };
    let header = Some(pb::ResponseHeader { revision: source.revision(), ..Default::default() });
    let mut answer = pb::RangeResponse { header, ..Default::default() };
    let kvs = fetch(source, r, &plan)?;
    answer.count = match (plan.fetch, plan.limit) {
        (Fetch::SortAll, _) => kvs.len() as i64,
        (Fetch::Stream | Fetch::SortLimited, limit) if limit.is_none_or(|n| kvs.len() <= n) => kvs.len() as i64,
        _ => source.count(&r.key, &r.range_end, plan.at)? as i64,
    };
    answer.kvs = kvs;
    arrange(&mut answer, r, &plan);
    Ok(Ok(answer))
}

fn fetch(source: &(impl Source + ?Sized), r: &pb::RangeRequest, plan: &Plan) -> Result<Vec<KeyValue>> {
    let most = match plan.fetch {
        Fetch::Count => return Ok(Vec::new()),
        Fetch::Stream | Fetch::SortLimited => plan.limit.map_or(usize::MAX, |n| n.saturating_add(1)),
        Fetch::SortAll => usize::MAX,
    };
    // Sorting by value needs values, also where only keys are asked for.
    let values = !r.keys_only || (r.sort_target == SortTarget::Value as i32 && plan.fetch != Fetch::Stream);
    let mut kvs = Vec::new();
    source.visit(&r.key, &r.range_end, plan.at, values, &mut |kv| {
        kvs.push(kv);
        kvs.len() < most
    })?;
    Ok(kvs)
}

/// Filters, sorts, cuts and strips, in this order.
fn arrange(answer: &mut pb::RangeResponse, r: &pb::RangeRequest, plan: &Plan) {
    let within = |revision: i64, min: i64, max: i64| (max == 0 || revision <= max) && (min == 0 || revision >= min);
    if plan.fetch == Fetch::SortAll {
        answer.kvs.retain(|kv| {
            within(kv.mod_revision, r.min_mod_revision, r.max_mod_revision)
                && within(kv.create_revision, r.min_create_revision, r.max_create_revision)
        });
    }
    if matches!(plan.fetch, Fetch::SortAll | Fetch::SortLimited) {
        sort(&mut answer.kvs, r);
    }
    if let Some(limit) = plan.limit
        && answer.kvs.len() > limit
    {
        answer.kvs.truncate(limit);
        answer.more = true;
    }
    if plan.keys_only {
        answer.kvs.iter_mut().for_each(|kv| kv.value.clear());
    }
}

fn sort(kvs: &mut [KeyValue], r: &pb::RangeRequest) {
    let compare: fn(&KeyValue, &KeyValue) -> Ordering = match SortTarget::try_from(r.sort_target) {
        // What comes from the index is in key order already; so it stays for targets that no release knows.
        Ok(SortTarget::Key) | Err(_) => |a, b| a.key.cmp(&b.key),
        Ok(SortTarget::Version) => |a, b| a.version.cmp(&b.version),
        Ok(SortTarget::Create) => |a, b| a.create_revision.cmp(&b.create_revision),
        Ok(SortTarget::Mod) => |a, b| a.mod_revision.cmp(&b.mod_revision),
        Ok(SortTarget::Value) => |a, b| a.value.cmp(&b.value),
    };
    if r.sort_order == SortOrder::Descend as i32 {
        kvs.sort_by(|a, b| compare(b, a));
    } else {
        kvs.sort_by(compare);
    }
}

/// Answers a transaction of ranges only, at one revision, without the log.
pub fn read_txn(
    source: &(impl Source + ?Sized),
    r: &pb::TxnRequest,
) -> Result<std::result::Result<pb::TxnResponse, ClientError>> {
    let succeeded = holds(source, &r.compare)?;
    let ops = if succeeded { &r.success } else { &r.failure };
    let header = Some(pb::ResponseHeader { revision: source.revision(), ..Default::default() });
    let mut answer = pb::TxnResponse { header, succeeded, responses: Vec::with_capacity(ops.len()) };
    let ranges = ops.iter().filter_map(|op| match &op.request {
        Some(Request::RequestRange(r)) => Some(r),
        _ => None,
    });
    // All are checked before the first is read.
    for r in ranges.clone() {
        if let Err(e) = check_revision(r, source.revision(), source.compact_revision()) {
            return Ok(Err(e));
        }
    }
    for r in ranges {
        match range(source, r)? {
            Ok(response) => answer.responses.push(pb::ResponseOp { response: Some(Response::ResponseRange(response)) }),
            Err(e) => return Ok(Err(e)),
        }
    }
    Ok(Ok(answer))
}

/// The revision of a range inside a transaction: 0 is current; a negative one passes only where it is not below the
/// compact revision, so -1 before the first compaction.
pub(super) fn check_revision(
    r: &pb::RangeRequest,
    current: i64,
    compacted: i64,
) -> std::result::Result<(), ClientError> {
    match r.revision {
        0 => Ok(()),
        revision if revision > current => Err(ClientError::FutureRev),
        revision if revision < compacted => Err(ClientError::Compacted),
        _ => Ok(()),
    }
}
