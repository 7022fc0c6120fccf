//! Keys that one branch of a transaction would write twice, found as etcd finds them (facts: errors, 6, Txn).
//!
//! Seen: a key put twice on one level or in two siblings; a put inside a delete of the same level, of the level above
//! or of an earlier sibling; puts of a level against everything below. Not seen: an earlier nested put against a later
//! sibling's delete, deletes against deletes, a delete with open end (its interval is empty there).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, request_op::Request};

type Puts = BTreeSet<Bytes>;

/// Half-open intervals, merged.
#[derive(Default)]
struct Deletes(BTreeMap<Bytes, Bytes>);

impl Deletes {
    fn insert(&mut self, start: Bytes, end: Bytes) {
        if end <= start {
            return;
        }
        let (mut start, mut end) = (start, end);
        // Those that touch the new one start at or before its end; the last such one first.
        while let Some((s, e)) = self.0.range(..=end.clone()).next_back().map(|(s, e)| (s.clone(), e.clone())) {
            if e < start {
                break;
            }
            self.0.remove(&s);
            start = start.min(s);
            end = end.max(e);
        }
        self.0.insert(start, end);
    }

    fn contains(&self, key: &Bytes) -> bool {
        self.0.range(..=key.clone()).next_back().is_some_and(|(_, end)| key < end)
    }

    fn absorb(&mut self, other: Deletes) {
        for (start, end) in other.0 {
            self.insert(start, end);
        }
    }
}

/// Checks one branch.
pub(super) fn check(ops: &[pb::RequestOp]) -> Result<(), ClientError> {
    collect(ops).map(|_| ())
}

fn collect(ops: &[pb::RequestOp]) -> Result<(Puts, Deletes), ClientError> {
    let mut deletes = Deletes::default();
    for op in ops {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            let end = if delete.range_end.is_empty() { successor(&delete.key) } else { delete.range_end.clone() };
            deletes.insert(delete.key.clone(), end);
        }
    }
    let mut puts = Puts::new();
    for op in ops {
        if let Some(Request::RequestTxn(txn)) = &op.request {
            collect_nested(txn, &mut puts, &mut deletes)?;
        }
    }
    for op in ops {
        if let Some(Request::RequestPut(put)) = &op.request
            && (deletes.contains(&put.key) || !puts.insert(put.key.clone()))
        {
            return Err(ClientError::DuplicateKey);
        }
    }
    Ok((puts, deletes))
}

fn collect_nested(txn: &pb::TxnRequest, puts: &mut Puts, deletes: &mut Deletes) -> Result<(), ClientError> {
    let (then_puts, then_deletes) = collect(&txn.success)?;
    let (else_puts, else_deletes) = collect(&txn.failure)?;
    if then_puts.union(&else_puts).any(|key| puts.contains(key) || deletes.contains(key)) {
        return Err(ClientError::DuplicateKey);
    }
    puts.extend(then_puts);
    puts.extend(else_puts);
    deletes.absorb(then_deletes);
    deletes.absorb(else_deletes);
    Ok(())
}

/// The smallest key above.
fn successor(key: &Bytes) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(request: Request) -> pb::RequestOp {
        pb::RequestOp { request: Some(request) }
    }

    fn put(key: &'static str) -> pb::RequestOp {
        op(Request::RequestPut(pb::PutRequest { key: key.into(), ..Default::default() }))
    }

    fn del(key: &'static str, range_end: &'static str) -> pb::RequestOp {
        op(Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: key.into(),
            range_end: range_end.into(),
            prev_kv: false,
        }))
    }

    fn txn(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::RequestOp {
        op(Request::RequestTxn(pb::TxnRequest { compare: vec![], success, failure }))
    }

    fn bad(ops: Vec<pb::RequestOp>) -> bool {
        check(&ops) == Err(ClientError::DuplicateKey)
    }

    #[test]
    fn what_is_seen() {
        assert!(bad(vec![put("a"), put("a")]));
        assert!(bad(vec![put("b"), del("a", "c")]));
        assert!(bad(vec![del("a", ""), put("a")]));
        assert!(bad(vec![txn(vec![put("a")], vec![]), put("a")]));
        assert!(bad(vec![txn(vec![put("a")], vec![]), txn(vec![], vec![put("a")])]));
        assert!(bad(vec![txn(vec![], vec![put("b")]), del("a", "c")]));
        assert!(bad(vec![txn(vec![del("a", "")], vec![]), txn(vec![put("a")], vec![])]));
        assert!(bad(vec![txn(vec![del("a", "c")], vec![]), put("b")]));
        assert!(bad(vec![txn(vec![txn(vec![put("a")], vec![])], vec![]), put("a")]));
    }

    #[test]
    fn what_is_not() {
        assert!(!bad(vec![txn(vec![put("a")], vec![put("a")])]));
        assert!(!bad(vec![txn(vec![put("a")], vec![del("a", "")])]));
        assert!(!bad(vec![txn(vec![put("a")], vec![]), txn(vec![del("a", "")], vec![])]));
        assert!(!bad(vec![del("a", "c"), del("b", "d")]));
        assert!(!bad(vec![del("a", "\0"), put("b")]));
        assert!(!bad(vec![del("a", "b"), put("b")]));
        assert!(!bad(vec![del("b", "a"), put("b")]));
    }

    #[test]
    fn intervals_merge() {
        let mut d = Deletes::default();
        for (s, e) in [("c", "d"), ("a", "b"), ("f", "g"), ("b", "c"), ("a", "aa"), ("d", "ff")] {
            d.insert(s.into(), e.into());
        }
        assert_eq!(d.0.len(), 1);
        assert!(d.contains(&"fz".into()) && !d.contains(&"g".into()));
    }
}
