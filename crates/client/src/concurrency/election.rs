//! An election: who leads, for how long the session lasts, and who watches.

use std::collections::VecDeque;

use bytes::Bytes;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{DeleteRangeRequest, RangeResponse, TxnRequest, WatchCreateRequest};
use proto::mvccpb::KeyValue;
use proto::mvccpb::event::EventType;

use super::{Session, contender_key, created_at, first_created, get, operation, prefix_end, put, wait_for_elders};
use crate::client::Client;
use crate::error::Error;
use crate::method::methods;
use crate::watch::{Watch, end_reason};

/// A candidate, and a leader once [`Election::campaign`] has returned.
pub struct Election<'a> {
    session: &'a Session,
    prefix: String,
    key: Bytes,
    revision: i64,
}

impl<'a> Election<'a> {
    /// The election called `name`, for `session`. Nobody stands yet.
    pub fn new(session: &'a Session, name: &str) -> Election<'a> {
        let key = contender_key(name, session.lease());
        Election { session, prefix: name.to_owned(), key, revision: 0 }
    }

    /// The key that stands for this candidate.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// Stands with `value` and waits to be elected.
    pub async fn campaign(&mut self, value: Bytes) -> Result<(), Error> {
        let client = self.session.client();
        let txn = TxnRequest {
            compare: vec![created_at(&self.key, 0)],
            success: vec![put(&self.key, value.clone(), self.session.lease())],
            failure: vec![operation(Request::RequestRange(get(&self.key)))],
        };
        let answer = client.call(&methods::TXN, txn).await?;
        self.revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if !answer.succeeded {
            let own = answer.responses.into_iter().next().and_then(|answer| answer.response);
            if let Some(Response::ResponseRange(RangeResponse { kvs, .. })) = own
                && let Some(own) = kvs.first()
            {
                self.revision = own.create_revision;
                if own.value != value {
                    self.proclaim(value).await?;
                }
            }
        }
        wait_for_elders(client, &self.prefix, self.revision).await
    }

    /// Changes the value of the leader without another election.
    pub async fn proclaim(&mut self, value: Bytes) -> Result<(), Error> {
        let txn = TxnRequest {
            compare: vec![created_at(&self.key, self.revision)],
            success: vec![put(&self.key, value, self.session.lease())],
            failure: Vec::new(),
        };
        let answer = self.session.client().call(&methods::TXN, txn).await?;
        if answer.succeeded { Ok(()) } else { Err(Error::ElectionLost) }
    }

    /// Steps down, or withdraws.
    pub async fn resign(&mut self) -> Result<(), Error> {
        let delete = DeleteRangeRequest { key: self.key.clone(), ..DeleteRangeRequest::default() };
        let txn = TxnRequest {
            compare: vec![created_at(&self.key, self.revision)],
            success: vec![operation(Request::RequestDeleteRange(delete))],
            failure: Vec::new(),
        };
        self.session.client().call(&methods::TXN, txn).await.map(drop)
    }
}

/// Tells each new leader of an election, and each new value of one.
pub struct Observer {
    client: Client,
    prefix: String,
    /// The leader told last, and the watch on its key.
    current: Option<Watch>,
    /// Values seen and not told yet.
    pending: VecDeque<RangeResponse>,
}

impl Observer {
    /// Watches the election called `name`; needs no session.
    pub fn new(client: &Client, name: &str) -> Observer {
        Observer { client: client.clone(), prefix: name.to_owned(), current: None, pending: VecDeque::new() }
    }

    /// The next leader or value, as the answer of a read.
    pub async fn next(&mut self) -> Result<RangeResponse, Error> {
        loop {
            if let Some(told) = self.pending.pop_front() {
                return Ok(told);
            }
            let Some(watch) = &mut self.current else {
                return self.elected().await;
            };
            let Some(answer) = watch.next().await else {
                self.current = None;
                continue;
            };
            let answer = answer?;
            if answer.canceled {
                return Err(end_reason(&answer));
            }
            for event in answer.events {
                if event.event_type == EventType::Delete as i32 {
                    self.current = None;
                    break;
                }
                let kvs = event.kv.into_iter().collect();
                self.pending.push_back(RangeResponse { header: answer.header, kvs, ..RangeResponse::default() });
            }
        }
    }

    /// The present leader, or else the first to come.
    async fn elected(&mut self) -> Result<RangeResponse, Error> {
        let found = self.client.call(&methods::RANGE, first_created(&self.prefix)).await?;
        let revision = found.header.as_ref().map_or(0, |header| header.revision);
        let (header, leader) = match found.kvs.into_iter().next() {
            Some(leader) => (found.header, leader),
            None => self.first_to_come(revision + 1).await?,
        };
        let create = WatchCreateRequest {
            key: leader.key.clone(),
            start_revision: revision.max(leader.mod_revision) + 1,
            ..WatchCreateRequest::default()
        };
        self.current = Some(self.client.watch(create));
        Ok(RangeResponse { header, kvs: vec![leader], ..RangeResponse::default() })
    }

    async fn first_to_come(&self, from: i64) -> Result<(Option<proto::etcdserverpb::ResponseHeader>, KeyValue), Error> {
        let prefix = format!("{}/", self.prefix);
        let create = WatchCreateRequest {
            range_end: prefix_end(prefix.as_bytes()),
            key: prefix.into(),
            start_revision: from,
            ..WatchCreateRequest::default()
        };
        let mut watch = self.client.watch(create);
        while let Some(answer) = watch.next().await {
            let answer = answer?;
            if answer.canceled {
                return Err(end_reason(&answer));
            }
            let put = answer.events.into_iter().find(|event| event.event_type == EventType::Put as i32);
            if let Some(leader) = put.and_then(|event| event.kv) {
                return Ok((answer.header, leader));
            }
        }
        Err(Error::ElectionLost)
    }
}
