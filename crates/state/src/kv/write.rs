//! Puts, deletes and transactions of the entry that is being applied.
//!
//! Whatever can refuse a request is checked before anything is written: there is no way back from the first write but
//! to stop the member.

use bytes::Bytes;
use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, request_op::Request, response_op::Response};
use proto::mvccpb::KeyValue;

use super::{Source, holds, range};
use crate::applied::Answer;
use crate::error::Result;

/// What the writes of an entry go to: keys and, in step with them, which lease a key hangs on.
pub(crate) trait Writer: Source {
    /// Whether this entry has changed a key yet.
    fn has_changed(&self) -> bool;
    fn lease_exists(&self, id: i64) -> bool;
    /// Writes a key and moves it to a lease (0 = none).
    fn put(&mut self, key: Bytes, value: Bytes, lease: i64) -> Result<()>;
    /// Deletes a range of keys and frees them from their leases; says how many there were.
    fn delete_range(&mut self, key: &Bytes, range_end: &Bytes) -> Result<u64>;
}

type Checked<T> = std::result::Result<T, ClientError>;

/// Unwraps the inner result or leaves with the refusal.
macro_rules! check {
    ($checked:expr) => {
        match $checked {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
}

fn header(revision: i64) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader { revision, ..Default::default() })
}

fn current_pair(source: &(impl Source + ?Sized), key: &[u8]) -> Result<Option<KeyValue>> {
    let mut found = None;
    source.visit(key, b"", source.revision(), true, &mut |kv| {
        found = Some(kv);
        false
    })?;
    Ok(found)
}

/// An unknown lease is found before an absent key.
fn check_put(w: &(impl Writer + ?Sized), r: &pb::PutRequest) -> Result<Checked<()>> {
    if r.lease != 0 && !w.lease_exists(r.lease) {
        return Ok(Err(ClientError::LeaseNotFound));
    }
    if (r.ignore_value || r.ignore_lease) && w.count(&r.key, b"", w.revision())? == 0 {
        return Ok(Err(ClientError::KeyNotFound));
    }
    Ok(Ok(()))
}

/// Executes a put.
pub(crate) fn put(w: &mut (impl Writer + ?Sized), r: &pb::PutRequest) -> Result<Checked<pb::PutResponse>> {
    check!(check_put(w, r)?);
    put_checked(w, r).map(Ok)
}

fn put_checked(w: &mut (impl Writer + ?Sized), r: &pb::PutRequest) -> Result<pb::PutResponse> {
    let (mut value, mut lease) = (r.value.clone(), r.lease);
    let mut prev_kv = None;
    if r.ignore_value || r.ignore_lease || r.prev_kv {
        let present = current_pair(w, &r.key)?;
        if let Some(kv) = &present {
            if r.ignore_value {
                value = kv.value.clone();
            }
            if r.ignore_lease {
                lease = kv.lease;
            }
        }
        prev_kv = present.filter(|_| r.prev_kv);
    }
    w.put(r.key.clone(), value, lease)?;
    Ok(pb::PutResponse { header: header(w.revision()), prev_kv })
}

/// Executes a delete. The revision stays where nothing is deleted.
pub(crate) fn delete_range(
    w: &mut (impl Writer + ?Sized),
    r: &pb::DeleteRangeRequest,
) -> Result<pb::DeleteRangeResponse> {
    let mut prev_kvs = Vec::new();
    if r.prev_kv {
        w.visit(&r.key, &r.range_end, w.revision(), true, &mut |kv| {
            prev_kvs.push(kv);
            true
        })?;
    }
    let deleted = w.delete_range(&r.key, &r.range_end)? as i64;
    Ok(pb::DeleteRangeResponse { header: header(w.revision()), deleted, prev_kvs })
}

/// Which branch each transaction of a tree takes, decided before anything is written.
struct Path {
    succeeded: bool,
    /// Of the nested transactions of the chosen branch, in their order.
    nested: Vec<Path>,
}

fn branch<'a>(r: &'a pb::TxnRequest, path: &Path) -> &'a [pb::RequestOp] {
    if path.succeeded { &r.success } else { &r.failure }
}

fn choose(w: &(impl Writer + ?Sized), r: &pb::TxnRequest) -> Result<Path> {
    let mut path = Path { succeeded: holds(w, &r.compare)?, nested: Vec::new() };
    for op in branch(r, &path) {
        if let Some(Request::RequestTxn(nested)) = &op.request {
            path.nested.push(choose(w, nested)?);
        }
    }
    Ok(path)
}

/// Op by op, in order.
fn check_path(w: &(impl Writer + ?Sized), r: &pb::TxnRequest, path: &Path) -> Result<Checked<()>> {
    let mut nested = path.nested.iter();
    for op in branch(r, path) {
        match &op.request {
            Some(Request::RequestRange(r)) => {
                check!(range::check_revision(r, w.revision(), w.compact_revision()));
            }
            Some(Request::RequestPut(r)) => check!(check_put(w, r)?),
            Some(Request::RequestTxn(r)) => {
                let path = nested.next().expect("one path for each nested transaction of the branch");
                check!(check_path(w, r, path)?);
            }
            Some(Request::RequestDeleteRange(_)) | None => {}
        }
    }
    Ok(Ok(()))
}

/// Executes a transaction. All compares and checks see the state before it.
pub(crate) fn txn(
    w: &mut (impl Writer + ?Sized),
    r: &pb::TxnRequest,
    answer: Answer,
) -> Result<Checked<pb::TxnResponse>> {
    let path = choose(w, r)?;
    check!(check_path(w, r, &path)?);
    let mut response = check!(execute(w, r, &path, answer)?);
    response.header = header(w.revision());
    Ok(Ok(response))
}

fn execute(
    w: &mut (impl Writer + ?Sized),
    r: &pb::TxnRequest,
    path: &Path,
    answer: Answer,
) -> Result<Checked<pb::TxnResponse>> {
    let mut nested = path.nested.iter();
    // The header of a nested answer is there but empty.
    let mut txn = pb::TxnResponse { header: header(0), succeeded: path.succeeded, responses: Vec::new() };
    for op in branch(r, path) {
        let response = match &op.request {
            Some(Request::RequestRange(_)) if answer == Answer::Unwanted => None,
            Some(Request::RequestRange(r)) => Some(Response::ResponseRange(check!(range(w, r)?))),
            Some(Request::RequestPut(r)) => Some(Response::ResponsePut(put_checked(w, r)?)),
            Some(Request::RequestDeleteRange(r)) => Some(Response::ResponseDeleteRange(delete_range(w, r)?)),
            Some(Request::RequestTxn(r)) => {
                let path = nested.next().expect("one path for each nested transaction of the branch");
                Some(Response::ResponseTxn(check!(execute(w, r, path, answer)?)))
            }
            // No door lets an empty op pass.
            None => None,
        };
        txn.responses.push(pb::ResponseOp { response });
    }
    Ok(Ok(txn))
}
