//! Differences between the servers that are meant, each with its reason. A pair of answers that differs must fit one of them.

use super::generate::Op;
use super::normalise::Answer;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{RangeRequest, TxnRequest};

/// One deliberate difference.
pub struct Difference {
    pub name: &'static str,
    pub reason: &'static str,
    /// Whether it explains that the reference answered `reference` and we `ours`.
    explains: fn(op: &Op, reference: &Answer, ours: &Answer) -> bool,
}

/// The whole list.
pub const LIST: &[Difference] = &[
    Difference {
        name: "invalid-sort-option",
        reason: "from 3.6 on unknown sort orders and targets are refused; 3.4 and 3.5 answer unsorted",
        explains: |op, _, ours| {
            is_failure(ours, "etcdserver: invalid sort option")
                && any_range(op, &|r| r.sort_order > 2 || r.sort_target > 4)
        },
    },
    Difference {
        name: "alarm-header",
        reason: "3.4 answers the list of alarms without a header",
        explains: |op, reference, _| {
            matches!(op, Op::Alarms)
                && *reference == Answer::Ok("AlarmResponse { header: None, alarms: [] }".to_owned())
        },
    },
    Difference {
        name: "keys-only-lease",
        reason: "from 3.7 on a keys-only range is answered from the index, without the lease of a pair",
        explains: |op, reference, ours| {
            any_range(op, &|r| r.keys_only)
                && without_leases(reference).is_some_and(|r| Some(r) == without_leases(ours))
        },
    },
    Difference {
        name: "hash-at-compacted-revision",
        reason: "from 3.4.27 and 3.5.10 on the compacted revision itself can be hashed",
        explains: |op, reference, ours| {
            matches!(op, Op::HashKv(_))
                && is_failure(reference, "etcdserver: mvcc: required revision has been compacted")
                && matches!(ours, Answer::Ok(_))
        },
    },
    Difference {
        name: "txn-checks-in-order",
        reason: "from 3.6 on the operations of a transaction are checked one by one, up to 3.5 all puts and then all ranges",
        explains: |op, reference, ours| {
            matches!(op, Op::Txn(_)) && matches!((reference, ours), (Answer::Failed { .. }, Answer::Failed { .. }))
        },
    },
    Difference {
        name: "unstable-sort",
        reason: "sorting by a field with equal values promises no order",
        explains: |op, reference, ours| {
            any_range(op, &|r| r.sort_target != 0)
                && pairs_in_order(op, reference).is_some_and(|r| Some(r) == pairs_in_order(op, ours))
        },
    },
];

/// The first difference that explains the pair.
pub fn explain(op: &Op, reference: &Answer, ours: &Answer) -> Option<&'static Difference> {
    LIST.iter().find(|difference| (difference.explains)(op, reference, ours))
}

fn is_failure(answer: &Answer, text: &str) -> bool {
    matches!(answer, Answer::Failed { message, .. } if message == text)
}

/// Whether any range of the request, also inside of transactions, fits.
fn any_range(op: &Op, fits: &dyn Fn(&RangeRequest) -> bool) -> bool {
    match op {
        Op::Range(range) => fits(range),
        Op::Txn(txn) => any_range_of(txn, fits),
        _ => false,
    }
}

fn any_range_of(txn: &TxnRequest, fits: &dyn Fn(&RangeRequest) -> bool) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(Request::RequestRange(range)) => fits(range),
        Some(Request::RequestTxn(inner)) => any_range_of(inner, fits),
        _ => false,
    })
}

/// The text of an answer with every lease number taken out.
fn without_leases(answer: &Answer) -> Option<String> {
    let Answer::Ok(text) = answer else { return None };
    let mut parts = text.split("lease: ");
    let mut rest = parts.next()?.to_owned();
    for part in parts {
        rest.push_str(part.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit()));
    }
    Some(rest)
}

/// The pairs of an answer in one order, and what stands around them; with a limit only how many they are, as ties decide which
/// ones are cut.
fn pairs_in_order(op: &Op, answer: &Answer) -> Option<(Vec<String>, String)> {
    let Answer::Ok(text) = answer else { return None };
    // A keys-only range may differ in both ways.
    let text = if any_range(op, &|range| range.keys_only) { without_leases(answer)? } else { text.clone() };
    let mut parts = text.split("KeyValue {");
    let mut around = parts.next()?.to_owned();
    let mut pairs = Vec::new();
    for part in parts {
        let (pair, rest) = part.split_once('}')?;
        pairs.push(pair.to_owned());
        around.push_str(rest);
    }
    if any_range(op, &|range| range.limit > 0) {
        pairs.iter_mut().for_each(String::clear);
    }
    pairs.sort_unstable();
    Some((pairs, around))
}
