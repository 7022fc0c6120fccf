//! Entries whose transactions nest deeper than `prost` follows (100 messages).
//!
//! etcd follows thousands, and only its limit of operations (128 by default) bounds what it lets into the log, so such
//! an entry can come from an older member. It is taken apart by hand, one transaction at a time, down to a depth at
//! which no stack of ours runs over; what is deeper still cannot be read.

use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};
use proto::etcdserverpb::{self as pb, request_op::Request};

/// Transactions inside each other.
const DEPTH_MAX: usize = 256;

/// Fields of `InternalRaftRequest`, `TxnRequest` and `RequestOp`.
const REQUEST_TXN: u32 = 6;
const TXN_SUCCESS: u32 = 2;
const TXN_FAILURE: u32 = 3;
const OP_TXN: u32 = 4;

/// Reads a request as `prost` would if it followed all the way; `None` where it cannot be read.
pub(crate) fn decode(data: &Bytes) -> Option<pb::InternalRaftRequest> {
    let (rest, taken) = split(data, &[REQUEST_TXN])?;
    let mut request = pb::InternalRaftRequest::decode(rest).ok()?;
    for (_, txn) in taken {
        let txn = decode_txn(&txn, DEPTH_MAX)?;
        let whole = request.txn.get_or_insert_default();
        whole.compare.extend(txn.compare);
        whole.success.extend(txn.success);
        whole.failure.extend(txn.failure);
    }
    Some(request)
}

fn decode_txn(data: &Bytes, depth: usize) -> Option<pb::TxnRequest> {
    let (rest, ops) = split(data, &[TXN_SUCCESS, TXN_FAILURE])?;
    let mut txn = pb::TxnRequest::decode(rest).ok()?;
    for (field, op) in ops {
        let op = decode_op(&op, depth)?;
        if field == TXN_SUCCESS { txn.success.push(op) } else { txn.failure.push(op) }
    }
    Some(txn)
}

fn decode_op(data: &Bytes, depth: usize) -> Option<pb::RequestOp> {
    let (rest, nested) = split(data, &[OP_TXN])?;
    let Some((_, txn)) = nested.last() else {
        return pb::RequestOp::decode(rest).ok();
    };
    let txn = decode_txn(txn, depth.checked_sub(1)?)?;
    Some(pb::RequestOp { request: Some(Request::RequestTxn(txn)) })
}

/// Takes the messages of some fields out of a message: what is left, and what was taken, in order.
fn split(data: &Bytes, fields: &[u32]) -> Option<(Bytes, Vec<(u32, Bytes)>)> {
    let (mut rest, mut taken) = (Vec::new(), Vec::new());
    let mut input = data.clone();
    while input.has_remaining() {
        let (field, wire_type) = decode_key(&mut input).ok()?;
        if wire_type == WireType::LengthDelimited {
            let len = usize::try_from(decode_varint(&mut input).ok()?).ok()?;
            if len > input.remaining() {
                return None;
            }
            let value = input.split_to(len);
            if fields.contains(&field) {
                taken.push((field, value));
                continue;
            }
            encode_key(field, wire_type, &mut rest);
            encode_varint(len as u64, &mut rest);
            rest.extend_from_slice(&value);
            continue;
        }
        let before = input.clone();
        skip_field(wire_type, field, &mut input, DecodeContext::default()).ok()?;
        encode_key(field, wire_type, &mut rest);
        rest.extend_from_slice(&before[..before.len() - input.len()]);
    }
    Some((rest.into(), taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> pb::InternalRaftRequest {
        let put = pb::PutRequest { key: "k".into(), ..Default::default() };
        let mut op = pb::RequestOp { request: Some(Request::RequestPut(put)) };
        for level in 0..depth {
            let mut txn = pb::TxnRequest::default();
            txn.compare.push(pb::Compare { key: format!("{level}").into(), ..Default::default() });
            if level % 2 == 0 {
                txn.success.push(op)
            } else {
                txn.failure.push(op)
            }
            op = pb::RequestOp { request: Some(Request::RequestTxn(txn)) };
        }
        let Some(Request::RequestTxn(txn)) = op.request else { panic!("a transaction") };
        let header = Some(pb::RequestHeader { id: 7, ..Default::default() });
        pb::InternalRaftRequest { id: 3, header, txn: Some(txn), ..Default::default() }
    }

    #[test]
    fn deep_transactions_are_read() {
        for depth in [1, 2, 48, 60, 128, DEPTH_MAX] {
            let request = nested(depth);
            assert_eq!(decode(&request.encode_to_vec().into()).unwrap(), request, "{depth}");
        }
        assert!(pb::InternalRaftRequest::decode(nested(60).encode_to_vec().as_slice()).is_err());
        assert_eq!(decode(&nested(1000).encode_to_vec().into()), None);
    }

    #[test]
    fn garbage_is_refused() {
        // The header, which stands last, is 5 bytes long.
        let whole = nested(60).encode_to_vec();
        for cut in (1..40).filter(|cut| *cut != 5) {
            assert_eq!(decode(&whole[..whole.len() - cut].to_vec().into()), None, "{cut}");
        }
    }
}
