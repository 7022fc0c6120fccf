//! A lock held by one session at a time.

use bytes::Bytes;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{DeleteRangeRequest, RangeResponse, ResponseHeader, ResponseOp, TxnRequest};

use super::{Session, contender_key, created_at, first_created, get, operation, put, wait_for_elders};
use crate::error::Error;
use crate::method::methods;

/// A place in the queue for a lock.
pub struct Mutex<'a> {
    session: &'a Session,
    prefix: String,
    key: Bytes,
    revision: i64,
    header: Option<ResponseHeader>,
}

impl<'a> Mutex<'a> {
    /// The lock called `name`, for `session`. Takes nothing yet.
    pub fn new(session: &'a Session, name: &str) -> Mutex<'a> {
        let key = contender_key(name, session.lease());
        Mutex { session, prefix: name.to_owned(), key, revision: 0, header: None }
    }

    /// The key that stands for this contender.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// Header of the answer that gave the lock.
    pub fn header(&self) -> Option<&ResponseHeader> {
        self.header.as_ref()
    }

    /// Waits for the lock. Errs with [`Error::SessionExpired`] if the lease was lost meanwhile.
    pub async fn lock(&mut self) -> Result<(), Error> {
        let client = self.session.client();
        let first = || operation(Request::RequestRange(first_created(&self.prefix)));
        let txn = TxnRequest {
            compare: vec![created_at(&self.key, 0)],
            success: vec![put(&self.key, Bytes::new(), self.session.lease()), first()],
            failure: vec![operation(Request::RequestRange(get(&self.key))), first()],
        };
        let answer = client.call(&methods::TXN, txn).await?;
        let written = answer.header.as_ref().map_or(0, |header| header.revision);
        let own = if answer.succeeded { None } else { range(answer.responses.first()) };
        self.revision = own.and_then(|range| range.kvs.first()).map_or(written, |kv| kv.create_revision);
        let owner = range(answer.responses.get(1)).and_then(|range| range.kvs.first());
        if owner.is_none_or(|owner| owner.create_revision == self.revision) {
            self.header = answer.header;
            return Ok(());
        }
        if let Err(error) = wait_for_elders(client, &self.prefix, self.revision).await {
            // The first error is the one to tell; the key goes with the lease in any case.
            let _also_failed = self.unlock().await;
            return Err(error);
        }
        let own = client.call(&methods::RANGE, get(&self.key)).await?;
        if own.kvs.is_empty() {
            return Err(Error::SessionExpired);
        }
        self.header = own.header;
        Ok(())
    }

    /// Gives the lock back, or the place in the queue.
    pub async fn unlock(&mut self) -> Result<(), Error> {
        let request = DeleteRangeRequest { key: self.key.clone(), ..DeleteRangeRequest::default() };
        self.session.client().call(&methods::DELETE_RANGE, request).await.map(drop)
    }
}

fn range(answer: Option<&ResponseOp>) -> Option<&RangeResponse> {
    match answer?.response.as_ref()? {
        Response::ResponseRange(range) => Some(range),
        _ => None,
    }
}
