//! Locks and elections as etcd's client library makes them, key for key, so that both can take part in the same ones.
//!
//! A contender writes `prefix/<lease in hexadecimal>` with the lease of its session. Whose key was created first, holds the
//! lock or leads; everyone else waits for the deletion of the key created just before the own one.

mod election;
mod mutex;
mod session;

pub use election::{Election, Observer};
pub use mutex::Mutex;
pub use session::Session;

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{Compare, PutRequest, RangeRequest, RequestOp, WatchCreateRequest};

use crate::client::Client;
use crate::error::Error;
use crate::method::methods;

/// The end of the range of keys that begin with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(b"\0")
}

fn contender_key(prefix: &str, lease: i64) -> Bytes {
    format!("{prefix}/{lease:x}").into()
}

fn created_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Compare::default()
    }
}

fn operation(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn put(key: &Bytes, value: Bytes, lease: i64) -> RequestOp {
    operation(Request::RequestPut(PutRequest { key: key.clone(), value, lease, ..PutRequest::default() }))
}

fn get(key: &Bytes) -> RangeRequest {
    RangeRequest { key: key.clone(), ..RangeRequest::default() }
}

/// The contender whose key is oldest.
fn first_created(prefix: &str) -> RangeRequest {
    one_by_creation(prefix, SortOrder::Ascend)
}

fn one_by_creation(prefix: &str, order: SortOrder) -> RangeRequest {
    let prefix = format!("{prefix}/");
    RangeRequest {
        range_end: prefix_end(prefix.as_bytes()),
        key: prefix.into(),
        sort_order: order as i32,
        sort_target: SortTarget::Create as i32,
        limit: 1,
        ..RangeRequest::default()
    }
}

/// Waits until every contender's key created before `revision` is gone.
async fn wait_for_elders(client: &Client, prefix: &str, revision: i64) -> Result<(), Error> {
    loop {
        let mut newest = one_by_creation(prefix, SortOrder::Descend);
        newest.max_create_revision = revision - 1;
        let found = client.call(&methods::RANGE, newest).await?;
        let Some(elder) = found.kvs.first() else { return Ok(()) };
        let from = found.header.map_or(0, |header| header.revision);
        wait_for_deletion(client, &elder.key, from).await?;
    }
}

async fn wait_for_deletion(client: &Client, key: &Bytes, from: i64) -> Result<(), Error> {
    let create = WatchCreateRequest { key: key.clone(), start_revision: from, ..WatchCreateRequest::default() };
    let mut watch = client.watch(create);
    while let Some(answer) = watch.next().await {
        let answer = answer?;
        if answer.canceled {
            return Err(crate::watch::end_reason(&answer));
        }
        if answer.events.iter().any(|event| event.event_type == proto::mvccpb::event::EventType::Delete as i32) {
            return Ok(());
        }
    }
    Err(Error::WatchCanceled { reason: "lost watcher waiting for delete".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_that_does_not_begin_with_it() {
        assert_eq!(prefix_end(b"ab"), Bytes::from_static(b"ac"));
        assert_eq!(prefix_end(b"a\xff\xff"), Bytes::from_static(b"b"));
        assert_eq!(prefix_end(b"\xff"), Bytes::from_static(b"\0"));
        assert_eq!(prefix_end(b""), Bytes::from_static(b"\0"));
    }

    #[test]
    fn keys_of_contenders_end_in_their_lease() {
        assert_eq!(contender_key("boss", 0x694d), Bytes::from_static(b"boss/694d"));
    }
}
