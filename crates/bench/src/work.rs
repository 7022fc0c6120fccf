//! The kinds of work, one request each.

use bytes::Bytes;
use client::rpc::etcdserverpb::kv_client::KvClient;
use client::rpc::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::*;
use tonic::Status;
use tonic::transport::Channel;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Put,
    /// Linearizable, one key.
    Range,
    /// Serializable, one key.
    LocalRange,
    /// One compare and one put.
    Txn,
    /// Grant and revoke.
    Lease,
}

impl Kind {
    /// All kinds with their names on the command line.
    pub const NAMES: [(&'static str, Kind); 5] = [
        ("put", Kind::Put),
        ("range", Kind::Range),
        ("local-range", Kind::LocalRange),
        ("txn", Kind::Txn),
        ("lease", Kind::Lease),
    ];

    pub fn parse(name: &str) -> Option<Kind> {
        Kind::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub fn name(self) -> &'static str {
        Kind::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether keys must be there before.
    pub fn reads(self) -> bool {
        matches!(self, Kind::Range | Kind::LocalRange)
    }
}

/// Sizes of a work.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Keys are taken from this many.
    pub keys: u64,
    pub value_bytes: usize,
}

/// The key with this number; 16 bytes.
pub fn key(number: u64) -> Bytes {
    Bytes::from(format!("bench/{number:010}"))
}

/// One client.
#[derive(Clone)]
pub struct Worker {
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    value: Bytes,
    shape: Shape,
}

impl Worker {
    pub fn new(channel: Channel, shape: Shape) -> Worker {
        let value = Bytes::from(vec![b'v'; shape.value_bytes]);
        Worker { kv: KvClient::new(channel.clone()), lease: LeaseClient::new(channel), value, shape }
    }

    /// Sends the request with this number and waits for its answer.
    pub async fn send(&mut self, kind: Kind, number: u64) -> Result<(), Status> {
        // Spread over the keys in an order that is neither sorted nor random.
        let key = key(number.wrapping_mul(2_654_435_761) % self.shape.keys);
        match kind {
            Kind::Put => self.kv.put(self.put(key)).await.map(|_| ()),
            Kind::Range | Kind::LocalRange => {
                let request = RangeRequest { key, serializable: kind == Kind::LocalRange, ..Default::default() };
                match self.kv.range(request).await?.into_inner().kvs.len() {
                    1 => Ok(()),
                    other => Err(Status::aborted(format!("{other} keys were found"))),
                }
            }
            Kind::Txn => self.txn(key).await,
            Kind::Lease => {
                let id = self.lease.lease_grant(LeaseGrantRequest { ttl: 600, id: 0 }).await?.into_inner().id;
                self.lease.lease_revoke(LeaseRevokeRequest { id }).await.map(|_| ())
            }
        }
    }

    fn put(&self, key: Bytes) -> PutRequest {
        PutRequest { key, value: self.value.clone(), ..Default::default() }
    }

    async fn txn(&mut self, key: Bytes) -> Result<(), Status> {
        let compare = Compare {
            result: CompareResult::Greater as i32,
            target: CompareTarget::Version as i32,
            key: key.clone(),
            target_union: Some(TargetUnion::Version(-1)),
            ..Default::default()
        };
        let put = RequestOp { request: Some(Request::RequestPut(self.put(key))) };
        let request = TxnRequest { compare: vec![compare], success: vec![put], failure: vec![] };
        self.kv.txn(request).await.map(|_| ())
    }
}
