//! Requests and answers as log lines show them: in the text form of their messages, without values.

use crate::metrics::Op;
use bytes::Bytes;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, decode_varint, skip_field};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::*;
use state::Outcome;
use std::fmt::Write as _;

/// Requests shown of a transaction at most; the rest is only counted.
const OPS_SHOWN_MAX: usize = 16;

/// What an entry does, by the first field of the request in it that is one.
pub fn op_of(mut data: &[u8]) -> Op {
    while !data.is_empty() {
        let Ok((tag, wire_type)) = decode_key(&mut data) else { return Op::Unknown };
        if let Some(op) = op_of_tag(tag) {
            return op;
        }
        if skip_field(wire_type, tag, &mut data, DecodeContext::default()).is_err() {
            return Op::Unknown;
        }
    }
    Op::Unknown
}

/// The length of the request in an entry, in bytes.
pub fn request_len(mut data: &[u8]) -> usize {
    while let Ok((tag, wire_type)) = decode_key(&mut data) {
        if op_of_tag(tag).is_some() {
            return decode_varint(&mut data).map_or(0, |len| len as usize);
        }
        if skip_field(wire_type, tag, &mut data, DecodeContext::default()).is_err() {
            break;
        }
    }
    0
}

/// The fields of `InternalRaftRequest`.
fn op_of_tag(tag: u32) -> Option<Op> {
    Some(match tag {
        3 => Op::Range,
        4 => Op::Put,
        5 => Op::DeleteRange,
        6 => Op::Txn,
        7 => Op::Compaction,
        8 => Op::LeaseGrant,
        9 => Op::LeaseRevoke,
        10 => Op::Alarm,
        11 => Op::LeaseCheckpoint,
        1000 => Op::AuthEnable,
        1011 => Op::AuthDisable,
        1012 => Op::Authenticate,
        1013 => Op::AuthStatus,
        1100 => Op::AuthUserAdd,
        1101 => Op::AuthUserDelete,
        1102 => Op::AuthUserGet,
        1103 => Op::AuthUserChangePassword,
        1104 => Op::AuthUserGrantRole,
        1105 => Op::AuthUserRevokeRole,
        1106 => Op::AuthUserList,
        1107 => Op::AuthRoleList,
        1200 => Op::AuthRoleAdd,
        1201 => Op::AuthRoleDelete,
        1202 => Op::AuthRoleGet,
        1203 => Op::AuthRoleGrantPermission,
        1204 => Op::AuthRoleRevokePermission,
        1300 => Op::ClusterVersionSet,
        1301 => Op::ClusterMemberAttrSet,
        1302 => Op::DowngradeInfoSet,
        _ => return None,
    })
}

/// The request in an entry.
pub fn of_entry(data: &Bytes) -> String {
    let Ok(request) = InternalRaftRequest::decode(data.clone()) else { return "v2 request".to_owned() };
    let id = request.header.as_ref().map_or(request.id, |header| header.id);
    let body = match (&request.put, &request.txn, &request.range, &request.delete_range) {
        (Some(r), ..) => put(r),
        (_, Some(r), ..) => txn(r),
        (_, _, Some(r), _) => range(r),
        (.., Some(r)) => delete_range(r),
        _ => others(&request),
    };
    format!("header:<ID:{id}> {body}")
}

/// Requests about users show their kind alone: they may hold passwords.
fn others(r: &InternalRaftRequest) -> String {
    if let Some(r) = &r.compaction {
        return format!("compaction:<revision:{} physical:{}>", r.revision, r.physical);
    }
    if let Some(r) = &r.lease_grant {
        return format!("lease_grant:<TTL:{} ID:{}>", r.ttl, r.id);
    }
    if let Some(r) = &r.lease_revoke {
        return format!("lease_revoke:<ID:{}>", r.id);
    }
    if let Some(r) = &r.alarm {
        return format!("alarm:<action:{} memberID:{} alarm:{}>", r.action, r.member_id, r.alarm);
    }
    format!("{:?}", op_of(&r.encode_to_vec()))
}

pub fn put(r: &PutRequest) -> String {
    let mut out = format!("put:<key:{} value_size:{}", Quoted(&r.key), r.value.len());
    number(&mut out, "lease", r.lease);
    flag(&mut out, "prev_kv", r.prev_kv);
    flag(&mut out, "ignore_value", r.ignore_value);
    flag(&mut out, "ignore_lease", r.ignore_lease);
    out + ">"
}

pub fn delete_range(r: &DeleteRangeRequest) -> String {
    let mut out = format!("delete_range:<key:{}", Quoted(&r.key));
    end(&mut out, &r.range_end);
    flag(&mut out, "prev_kv", r.prev_kv);
    out + ">"
}

pub fn range(r: &RangeRequest) -> String {
    let mut out = format!("range:<key:{}", Quoted(&r.key));
    end(&mut out, &r.range_end);
    number(&mut out, "limit", r.limit);
    number(&mut out, "revision", r.revision);
    if r.sort_order != 0 {
        write!(out, " sort_order:{}", r.sort_order().as_str_name()).unwrap_or_default();
    }
    if r.sort_target != 0 {
        write!(out, " sort_target:{}", r.sort_target().as_str_name()).unwrap_or_default();
    }
    flag(&mut out, "serializable", r.serializable);
    flag(&mut out, "keys_only", r.keys_only);
    flag(&mut out, "count_only", r.count_only);
    out + ">"
}

pub fn txn(r: &TxnRequest) -> String {
    let branch = |ops: &[RequestOp]| {
        let shown: Vec<String> = ops.iter().take(OPS_SHOWN_MAX).map(op).collect();
        let rest = ops.len().saturating_sub(OPS_SHOWN_MAX);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        shown.join(" ") + &more
    };
    let compares = r.compare.len();
    format!("txn:<compares:{compares} success:<{}> failure:<{}>>", branch(&r.success), branch(&r.failure))
}

fn op(op: &RequestOp) -> String {
    match &op.request {
        Some(Request::RequestRange(r)) => range(r),
        Some(Request::RequestPut(r)) => put(r),
        Some(Request::RequestDeleteRange(r)) => delete_range(r),
        // A nested one may be deep.
        Some(Request::RequestTxn(r)) => format!("txn:<success:{} failure:{}>", r.success.len(), r.failure.len()),
        None => String::new(),
    }
}

/// The answer to an applied entry.
pub fn of_outcome(outcome: &Outcome) -> String {
    let size = match outcome {
        Outcome::Range(r) => return of_range(r.kvs.len(), r.encoded_len()),
        Outcome::Put(r) => r.encoded_len(),
        Outcome::DeleteRange(r) => r.encoded_len(),
        Outcome::Txn(r) => r.encoded_len(),
        Outcome::Compaction { response, .. } => response.encoded_len(),
        Outcome::LeaseGrant(r) => r.encoded_len(),
        Outcome::LeaseRevoke(r) => r.encoded_len(),
        _ => return String::new(),
    };
    format!("size:{size}")
}

/// The answer to a range.
pub fn of_range(count: usize, bytes: usize) -> String {
    format!("range_response_count:{count} size:{bytes}")
}

fn end(out: &mut String, range_end: &[u8]) {
    if !range_end.is_empty() {
        // Writing to a String does not fail, here and below.
        write!(out, " range_end:{}", Quoted(range_end)).unwrap_or_default();
    }
}

fn number(out: &mut String, name: &str, number: i64) {
    if number != 0 {
        write!(out, " {name}:{number}").unwrap_or_default();
    }
}

fn flag(out: &mut String, name: &str, on: bool) {
    if on {
        write!(out, " {name}:true").unwrap_or_default();
    }
}

/// Bytes in quotes, what cannot be shown escaped.
struct Quoted<'a>(&'a [u8]);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request: InternalRaftRequest) -> Bytes {
        let header = Some(RequestHeader { id: 7, ..Default::default() });
        InternalRaftRequest { header, ..request }.encode_to_vec().into()
    }

    #[test]
    fn values_are_not_shown() {
        let put = Some(PutRequest { key: "a\u{1}".into(), value: "secret".into(), lease: 5, ..Default::default() });
        let data = entry(InternalRaftRequest { put, ..Default::default() });
        assert_eq!(of_entry(&data), "header:<ID:7> put:<key:\"a\\x01\" value_size:6 lease:5>");
        assert_eq!((op_of(&data), request_len(&data)), (Op::Put, 14));
        let user = AuthUserAddRequest { name: "n".into(), password: "secret".into(), ..Default::default() };
        let data = entry(InternalRaftRequest { auth_user_add: Some(user), ..Default::default() });
        assert_eq!(of_entry(&data), "header:<ID:7> AuthUserAdd");
    }

    #[test]
    fn a_transaction_is_shown_in_short() {
        let get = |key: &'static str| {
            let range = RangeRequest { key: key.into(), range_end: "z".into(), limit: 3, ..Default::default() };
            RequestOp { request: Some(Request::RequestRange(range)) }
        };
        let txn = Some(TxnRequest { success: vec![get("a")], failure: vec![get("b"); 18], ..Default::default() });
        let text = of_entry(&entry(InternalRaftRequest { txn, ..Default::default() }));
        assert!(text.starts_with("header:<ID:7> txn:<compares:0 success:<range:<key:\"a\" range_end:\"z\" limit:3>>"));
        assert!(text.ends_with(" and 2 more>>"), "{text}");
    }

    #[test]
    fn entries_of_other_kinds_have_no_operation() {
        assert_eq!(op_of(&[]), Op::Unknown);
        assert_eq!(op_of(&[0xff; 20]), Op::Unknown);
        assert_eq!(op_of(&entry(InternalRaftRequest::default())), Op::Unknown);
    }
}
