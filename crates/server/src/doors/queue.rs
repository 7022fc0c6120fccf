//! What locks and elections share: a place in a queue of keys below a name, ordered by creation (facts: errors, 12).

use super::kv::on_reader_thread;
use crate::metrics::Op;
use crate::run::front::{Failure, Front};
use crate::run::interests::{Notice, PREFIX_END};
use bytes::{BufMut, Bytes, BytesMut};
use mvcc::EventKind;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::*;
use proto::mvccpb::KeyValue;
use state::{Outcome, kv};

/// The TTL of a lease that the server grants itself, in seconds.
const OWN_LEASE_SECS: i64 = 60;

/// A place taken.
#[derive(Clone, Debug)]
pub struct Place {
    pub key: Bytes,
    pub lease: i64,
    /// The create revision of the key.
    pub revision: i64,
    /// The pair as it was found, where the place was held before.
    pub held: Option<KeyValue>,
}

/// `name/`, below which the keys of a queue lie.
pub fn prefix(name: &Bytes) -> Bytes {
    let mut prefix = BytesMut::with_capacity(name.len() + 1);
    prefix.extend_from_slice(name);
    prefix.put_u8(PREFIX_END);
    prefix.freeze()
}

/// The key of a lease in the queue of a name.
fn place_key(name: &Bytes, lease: i64) -> Bytes {
    let mut key = BytesMut::from(prefix(name).as_ref());
    key.extend_from_slice(format!("{lease:x}").as_bytes());
    key.freeze()
}

/// The first key after everything that begins with `prefix`; a prefix ends with `/` here, so there is one.
fn prefix_end(prefix: &Bytes) -> Bytes {
    let mut end = BytesMut::from(prefix.as_ref());
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.freeze()
}

/// The lease itself, or a new one where it is 0.
pub async fn lease_or_own(front: &Front, lease: i64) -> Result<i64, Failure> {
    if lease != 0 {
        return Ok(lease);
    }
    let id = (front.shared.ids.next() & (u64::MAX >> 1)) as i64;
    let request = LeaseGrantRequest { id, ttl: OWN_LEASE_SECS };
    match front.propose(Op::LeaseGrant, |entry| entry.lease_grant = Some(request)).await? {
        Outcome::LeaseGrant(response) => Ok(response.id),
        _ => Err(Failure::wrong_reply()),
    }
}

/// Takes the place of a lease, or finds that it is held already.
pub async fn take(front: &Front, name: &Bytes, lease: i64, value: Bytes) -> Result<Place, Failure> {
    let key = place_key(name, lease);
    let put = PutRequest { key: key.clone(), value, lease, ..Default::default() };
    let get = RangeRequest { key: key.clone(), ..Default::default() };
    let response =
        txn(front, created_at(&key, 0), vec![Request::RequestPut(put)], vec![Request::RequestRange(get)]).await?;
    let response_revision = response.header.map_or(0, |header| header.revision);
    let held = match response.responses.into_iter().next().and_then(|op| op.response) {
        Some(Response::ResponseRange(found)) => found.kvs.into_iter().next(),
        _ => None,
    };
    let revision = match &held {
        Some(kv) => kv.create_revision,
        None => response_revision,
    };
    Ok(Place { key, lease, revision, held })
}

/// Waits until no older key of the queue is left.
pub async fn wait_for_turn(front: &Front, name: &Bytes, revision: i64) -> Result<(), Failure> {
    let prefix = prefix(name);
    while let Some(older) = last_before(front, &prefix, revision).await? {
        wait_until_gone(front, older.key).await?;
    }
    Ok(())
}

async fn wait_until_gone(front: &Front, key: Bytes) -> Result<(), Failure> {
    let mut interest = front.interests.in_key(key.clone());
    while front.view().kv().key_meta(&key).is_some() {
        if let Notice::Changed(event) = interest.next().await
            && event.kind == EventKind::Delete
        {
            return Ok(());
        }
    }
    Ok(())
}

/// The youngest key of the queue that is older than `revision`.
async fn last_before(front: &Front, prefix: &Bytes, revision: i64) -> Result<Option<KeyValue>, Failure> {
    let request = RangeRequest {
        limit: 1,
        max_create_revision: revision - 1,
        sort_target: SortTarget::Create as i32,
        sort_order: SortOrder::Descend as i32,
        ..below(prefix)
    };
    read(front, &request).await
}

/// The oldest key of the queue: the one whose turn it is.
pub async fn oldest(front: &Front, prefix: &Bytes) -> Result<Option<KeyValue>, Failure> {
    let request = RangeRequest {
        limit: 1,
        sort_target: SortTarget::Create as i32,
        sort_order: SortOrder::Ascend as i32,
        ..below(prefix)
    };
    read(front, &request).await
}

fn below(prefix: &Bytes) -> RangeRequest {
    RangeRequest { key: prefix.clone(), range_end: prefix_end(prefix), ..Default::default() }
}

/// The first pair of a linearizable range.
pub async fn read(front: &Front, request: &RangeRequest) -> Result<Option<KeyValue>, Failure> {
    front.read_index().await?;
    let (view, request, release) = (front.view(), request.clone(), front.shared.version);
    // A queue may be long, and looking for its oldest place reads all of it.
    let answer = on_reader_thread(move || kv::range(view.kv(), &request, release)).await???;
    Ok(answer.kvs.into_iter().next())
}

/// Compares the create revision of a key.
pub fn created_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Default::default()
    }
}

/// A transaction of one compare.
pub async fn txn(
    front: &Front,
    compare: Compare,
    success: Vec<Request>,
    failure: Vec<Request>,
) -> Result<TxnResponse, Failure> {
    let ops = |requests: Vec<Request>| requests.into_iter().map(|r| RequestOp { request: Some(r) }).collect();
    let request = TxnRequest { compare: vec![compare], success: ops(success), failure: ops(failure) };
    match front.propose(Op::Txn, |entry| entry.txn = Some(request)).await? {
        Outcome::Txn(mut response) => {
            front.sign(&mut response.header);
            Ok(response)
        }
        _ => Err(Failure::wrong_reply()),
    }
}

/// Deletes a key.
pub async fn delete(front: &Front, key: Bytes) -> Result<DeleteRangeResponse, Failure> {
    let request = DeleteRangeRequest { key, ..Default::default() };
    match front.propose(Op::DeleteRange, |entry| entry.delete_range = Some(request)).await? {
        Outcome::DeleteRange(mut response) => {
            front.sign(&mut response.header);
            Ok(response)
        }
        _ => Err(Failure::wrong_reply()),
    }
}

/// Gives the place up when its owner goes away while it waits.
pub struct GiveUp {
    front: Front,
    key: Option<Bytes>,
}

impl GiveUp {
    pub fn unless_kept(front: &Front, key: Bytes) -> GiveUp {
        GiveUp { front: front.clone(), key: Some(key) }
    }

    /// The place is kept.
    pub fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let front = self.front.clone();
            tokio::spawn(async move {
                if let Err(failure) = delete(&front, key).await {
                    tracing::warn!(error = %failure, "failed to give up a place in a queue; its lease will");
                }
            });
        }
    }
}

/// Errors of these services lose their code: etcd's come out of an inner client (facts: errors, 1.2).
pub fn uncoded(failure: Failure) -> tonic::Status {
    tonic::Status::unknown(failure.to_string())
}
