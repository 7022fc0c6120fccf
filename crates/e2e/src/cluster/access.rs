//! One member as its clients reach it: a connection that is made when needed, and calls that end in time.

use client::rpc::etcdserverpb::cluster_client::ClusterClient;
use client::rpc::etcdserverpb::kv_client::KvClient;
use client::rpc::etcdserverpb::lease_client::LeaseClient;
use client::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use client::rpc::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::*;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

const CONNECT: Duration = Duration::from_secs(1);

/// A client of one member.
#[derive(Clone, Debug)]
pub struct Access {
    channel: Channel,
    limit: Duration,
}

impl Access {
    /// Calls end after `limit`.
    pub fn new(url: &str, limit: Duration) -> Result<Access, super::Failure> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(CONNECT).tcp_nodelay(true);
        Ok(Access { channel: endpoint.connect_lazy(), limit })
    }

    /// The same connection with another limit.
    pub fn limited(&self, limit: Duration) -> Access {
        Access { limit, ..self.clone() }
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }

    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        let mut kv = KvClient::new(self.channel()).max_decoding_message_size(usize::MAX);
        self.within(kv.range(request)).await
    }

    /// One key, linearizable or not.
    pub async fn get(&self, key: &str, serializable: bool) -> Result<RangeResponse, Status> {
        self.range(RangeRequest { key: key.to_owned().into(), serializable, ..Default::default() }).await
    }

    /// Everything, of the latest revision.
    pub async fn all(&self) -> Result<RangeResponse, Status> {
        self.range(RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() }).await
    }

    pub async fn put(&self, key: &str, value: impl Into<bytes::Bytes>) -> Result<PutResponse, Status> {
        self.put_with(PutRequest { key: key.to_owned().into(), value: value.into(), ..Default::default() }).await
    }

    pub async fn put_with(&self, request: PutRequest) -> Result<PutResponse, Status> {
        let mut kv = KvClient::new(self.channel());
        self.within(kv.put(request)).await
    }

    pub async fn delete(&self, key: &str) -> Result<DeleteRangeResponse, Status> {
        let mut kv = KvClient::new(self.channel());
        let request = DeleteRangeRequest { key: key.to_owned().into(), ..Default::default() };
        self.within(kv.delete_range(request)).await
    }

    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Status> {
        let mut kv = KvClient::new(self.channel());
        self.within(kv.txn(request)).await
    }

    pub async fn compact(&self, revision: i64) -> Result<CompactionResponse, Status> {
        let mut kv = KvClient::new(self.channel());
        self.within(kv.compact(CompactionRequest { revision, physical: true })).await
    }

    pub async fn status(&self) -> Result<StatusResponse, Status> {
        let mut maintenance = MaintenanceClient::new(self.channel());
        self.within(maintenance.status(StatusRequest {})).await
    }

    pub async fn hash_kv(&self, revision: i64) -> Result<HashKvResponse, Status> {
        let mut maintenance = MaintenanceClient::new(self.channel());
        self.within(maintenance.hash_kv(HashKvRequest { revision })).await
    }

    pub async fn move_leader(&self, target: u64) -> Result<MoveLeaderResponse, Status> {
        let mut maintenance = MaintenanceClient::new(self.channel());
        self.within(maintenance.move_leader(MoveLeaderRequest { target_id: target })).await
    }

    pub async fn grant(&self, ttl: i64) -> Result<LeaseGrantResponse, Status> {
        let mut lease = LeaseClient::new(self.channel());
        self.within(lease.lease_grant(LeaseGrantRequest { ttl, id: 0 })).await
    }

    /// Renews a lease once; gives the TTL, 0 if there is no such lease.
    pub async fn keep_alive(&self, id: i64) -> Result<i64, Status> {
        let mut lease = LeaseClient::new(self.channel());
        let renewal = async {
            let requests = tokio_stream::once(LeaseKeepAliveRequest { id });
            let mut answers = lease.lease_keep_alive(requests).await?.into_inner();
            let answer = answers.message().await?.ok_or_else(|| Status::unavailable("no answer"))?;
            Ok(Response::new(answer.ttl))
        };
        self.within(renewal).await
    }

    pub async fn members(&self) -> Result<MemberListResponse, Status> {
        let mut cluster = ClusterClient::new(self.channel());
        self.within(cluster.member_list(MemberListRequest { linearizable: false })).await
    }

    pub async fn member_add(&self, peer_url: &str, learner: bool) -> Result<MemberAddResponse, Status> {
        let mut cluster = ClusterClient::new(self.channel());
        let request = MemberAddRequest { peer_urls: vec![peer_url.to_owned()], is_learner: learner };
        self.within(cluster.member_add(request)).await
    }

    pub async fn member_promote(&self, id: u64) -> Result<MemberPromoteResponse, Status> {
        let mut cluster = ClusterClient::new(self.channel());
        self.within(cluster.member_promote(MemberPromoteRequest { id })).await
    }

    pub async fn member_remove(&self, id: u64) -> Result<MemberRemoveResponse, Status> {
        let mut cluster = ClusterClient::new(self.channel());
        self.within(cluster.member_remove(MemberRemoveRequest { id })).await
    }
}
