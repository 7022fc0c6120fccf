//! Puts, deletes and transactions at apply.
//!
//! Whatever can refuse a request is checked before anything is written: nothing is taken back but by stopping.

use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, request_op::Request, response_op::Response};

use super::{Checked, check_revision, header, holds, range};
use crate::applied::Answer;
use crate::apply::Run;
use crate::error::Result;

/// Unwraps the inner result or leaves with the refusal.
macro_rules! check {
    ($checked:expr) => {
        match $checked {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
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

impl Run<'_, '_> {
    pub(crate) fn put(&mut self, r: &pb::PutRequest) -> Result<Checked<pb::PutResponse>> {
        check!(self.check_put(r));
        self.put_checked(r).map(Ok)
    }

    /// An unknown lease is found before an absent key.
    fn check_put(&self, r: &pb::PutRequest) -> Checked<()> {
        if r.lease != 0 && self.live.leases.leases().get(r.lease).is_none() {
            return Err(ClientError::LeaseNotFound);
        }
        if (r.ignore_value || r.ignore_lease) && self.txn.key_meta(&r.key).is_none() {
            return Err(ClientError::KeyNotFound);
        }
        Ok(())
    }

    fn put_checked(&mut self, r: &pb::PutRequest) -> Result<pb::PutResponse> {
        let (mut value, mut lease) = (r.value.clone(), r.lease);
        let mut prev_kv = None;
        if r.ignore_value || r.ignore_lease || r.prev_kv {
            let present = self.txn.get_kv(&r.key)?;
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
        self.txn.put(&r.key, &value, lease);
        self.live.leases.attach(&r.key, lease);
        Ok(pb::PutResponse { header: header(self.txn.revision()), prev_kv })
    }

    /// The revision stays where nothing is deleted.
    pub(crate) fn delete_range(&mut self, r: &pb::DeleteRangeRequest) -> Result<pb::DeleteRangeResponse> {
        let mut prev_kvs = Vec::new();
        if r.prev_kv {
            let all = mvcc::RangeQuery { key: r.key.clone(), range_end: r.range_end.clone(), ..Default::default() };
            let mut range = self.txn.range(&all)?;
            while let Some(kv) = range.next_kv()? {
                prev_kvs.push(kv);
            }
        }
        let deleted = self.delete_keys(&r.key, &r.range_end);
        Ok(pb::DeleteRangeResponse { header: header(self.txn.revision()), deleted: deleted as i64, prev_kvs })
    }

    /// Deletes the keys of a range and frees them from their leases; says how many there were.
    pub(crate) fn delete_keys(&mut self, key: &[u8], range_end: &[u8]) -> usize {
        let leases = &mut self.live.leases;
        self.txn.delete_range(key, range_end, &mut |key| leases.detach(key))
    }

    /// All compares and checks of a transaction, nested ones included, see the state before it.
    pub(crate) fn write_txn(&mut self, r: &pb::TxnRequest) -> Result<Checked<pb::TxnResponse>> {
        let path = self.choose(r)?;
        check!(self.check_path(r, &path));
        let mut response = check!(self.follow(r, &path)?);
        response.header = header(self.txn.revision());
        Ok(Ok(response))
    }

    fn choose(&self, r: &pb::TxnRequest) -> Result<Path> {
        let mut path = Path { succeeded: holds(self.txn.image(), &r.compare)?, nested: Vec::new() };
        for op in branch(r, &path) {
            if let Some(Request::RequestTxn(nested)) = &op.request {
                path.nested.push(self.choose(nested)?);
            }
        }
        Ok(path)
    }

    /// Op by op, in order.
    fn check_path(&self, r: &pb::TxnRequest, path: &Path) -> Checked<()> {
        let mut nested = path.nested.iter();
        branch(r, path).iter().try_for_each(|op| match &op.request {
            Some(Request::RequestRange(r)) => {
                check_revision(r, self.txn.revision(), self.txn.image().compact_revision())
            }
            Some(Request::RequestPut(r)) => self.check_put(r),
            Some(Request::RequestTxn(r)) => {
                self.check_path(r, nested.next().expect("one path for each nested transaction of the branch"))
            }
            Some(Request::RequestDeleteRange(_)) | None => Ok(()),
        })
    }

    fn follow(&mut self, r: &pb::TxnRequest, path: &Path) -> Result<Checked<pb::TxnResponse>> {
        let mut nested = path.nested.iter();
        // The header of a nested answer is there but empty.
        let mut txn = pb::TxnResponse { header: header(0), succeeded: path.succeeded, responses: Vec::new() };
        for op in branch(r, path) {
            let response = match &op.request {
                Some(Request::RequestRange(_)) if self.answer == Answer::Unwanted => None,
                Some(Request::RequestRange(r)) => {
                    Some(Response::ResponseRange(check!(range(self.txn.image(), r, self.rules.release)?)))
                }
                Some(Request::RequestPut(r)) => Some(Response::ResponsePut(self.put_checked(r)?)),
                Some(Request::RequestDeleteRange(r)) => Some(Response::ResponseDeleteRange(self.delete_range(r)?)),
                Some(Request::RequestTxn(r)) => {
                    let path = nested.next().expect("one path for each nested transaction of the branch");
                    Some(Response::ResponseTxn(check!(self.follow(r, path)?)))
                }
                // No door lets an empty op pass.
                None => None,
            };
            txn.responses.push(pb::ResponseOp { response });
        }
        Ok(Ok(txn))
    }
}
