//! Three members as processes: they form a cluster, lose each other and find together again, and change their membership.

mod data;
mod membership;
mod serving;

use crate::common::{Scratch, Server, free_ports, get, http, put, until};
use bytes::Bytes;
use client::rpc::etcdserverpb::cluster_client::ClusterClient;
use client::rpc::etcdserverpb::lease_client::LeaseClient;
use client::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::downgrade_request::DowngradeAction;
use proto::etcdserverpb::*;
use std::path::PathBuf;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Members by their places: 0, 1 and 2 have formed the cluster, others come later.
struct Site {
    scratch: Scratch,
    flags: Vec<String>,
    ports: Vec<u16>,
    servers: Vec<Option<Server>>,
}

impl Site {
    /// Three members that serve, with these flags each.
    async fn form(name: &str, flags: &[&str]) -> Site {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let ports = (0..3).map(|_| free_ports()).collect();
        let scratch = Scratch::new(&format!("cluster-{name}"));
        let mut site = Site { scratch, flags, ports, servers: (0..3).map(|_| None).collect() };
        (0..3).for_each(|place| site.start(place, "new", &site.names(3)));
        for place in 0..3 {
            site.serves(place).await;
        }
        site
    }

    fn peer_url(&self, place: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[place] + 1)
    }

    /// The flag for the first `count` members.
    fn names(&self, count: usize) -> String {
        (0..count).map(|place| format!("m{place}={}", self.peer_url(place))).collect::<Vec<_>>().join(",")
    }

    fn data(&self, place: usize) -> PathBuf {
        self.scratch.path().join(format!("m{place}.etcd"))
    }

    /// Starts a member without waiting for it.
    fn start(&mut self, place: usize, state: &str, cluster: &str) {
        self.start_with(place, state, cluster, &[]);
    }

    fn start_with(&mut self, place: usize, state: &str, cluster: &str, flags: &[&str]) {
        let name = format!("m{place}");
        let mut all = vec!["--name", &name, "--initial-cluster", cluster, "--initial-cluster-state", state];
        // Enough for a busy machine, so that no election disturbs.
        all.extend(["--heartbeat-interval", "200", "--election-timeout", "2000"]);
        all.extend(self.flags.iter().map(String::as_str));
        all.extend(flags);
        self.servers[place] = Some(Server::spawn_member(&self.data(place), self.ports[place], &all));
    }

    /// Starts a member that has been there before, and waits until it serves.
    async fn restart(&mut self, place: usize) {
        self.start(place, "new", &self.names(3));
        self.serves(place).await;
    }

    async fn serves(&mut self, place: usize) {
        let server = self.servers[place].as_mut().expect("it runs");
        server.answers(async |channel| MaintenanceClient::new(channel).status(StatusRequest {}).await.is_ok()).await;
    }

    fn server(&self, place: usize) -> &Server {
        self.servers[place].as_ref().expect("it runs")
    }

    fn take(&mut self, place: usize) -> Server {
        self.servers[place].take().expect("it runs")
    }

    async fn channel(&self, place: usize) -> Channel {
        self.server(place).channel().await
    }

    async fn leases(&self, place: usize) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel(place).await)
    }

    async fn cluster(&self, place: usize) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel(place).await)
    }

    async fn put(&self, place: usize, key: &str, value: &str) -> Result<PutResponse, Status> {
        put(&mut self.server(place).kv().await, key, value.as_bytes().to_vec()).await
    }

    /// The value of a key by a linearizable read.
    async fn get(&self, place: usize, key: &str) -> Option<Bytes> {
        get(&mut self.server(place).kv().await, key).await.kvs.pop().map(|kv| kv.value)
    }

    async fn status(&self, place: usize) -> StatusResponse {
        self.server(place).maintenance().await.status(StatusRequest {}).await.expect("a status").into_inner()
    }

    async fn id(&self, place: usize) -> u64 {
        member_id(self.status(place).await.header)
    }

    fn running(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|place| self.servers[*place].is_some()).collect()
    }

    /// The place of the member that all who run take for the leader.
    async fn leader(&self) -> usize {
        until("a leader", async || {
            let (mut ids, mut named) = (Vec::new(), Vec::new());
            for place in self.running() {
                let status = self.status(place).await;
                named.push(status.leader);
                ids.push((place, member_id(status.header)));
            }
            let leader = ids.iter().find(|(_, id)| *id == named[0])?;
            named.iter().all(|id| *id == leader.1).then_some(leader.0)
        })
        .await
    }

    /// All who run hold the same data at this revision.
    async fn agrees_at(&self, revision: i64) {
        let mut hashes = Vec::new();
        for place in self.running() {
            let hash = until("the data of a member", async || {
                let mut maintenance = self.server(place).maintenance().await;
                maintenance.hash_kv(HashKvRequest { revision }).await.ok()
            });
            hashes.push(hash.await.into_inner().hash);
        }
        assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
    }

    async fn add(&self, place: usize, urls: &[&str], is_learner: bool) -> Result<MemberAddResponse, Status> {
        let peer_urls = urls.iter().map(|url| (*url).to_owned()).collect();
        let request = MemberAddRequest { peer_urls, is_learner };
        self.cluster(place).await.member_add(request).await.map(tonic::Response::into_inner)
    }

    async fn update(&self, place: usize, id: u64, urls: &[&str]) -> Result<Vec<Member>, Status> {
        let peer_urls = urls.iter().map(|url| (*url).to_owned()).collect();
        let updated = self.cluster(place).await.member_update(MemberUpdateRequest { id, peer_urls }).await;
        updated.map(|response| response.into_inner().members)
    }

    async fn promote(&self, place: usize, id: u64) -> Result<MemberPromoteResponse, Status> {
        let promoted = self.cluster(place).await.member_promote(MemberPromoteRequest { id }).await;
        promoted.map(tonic::Response::into_inner)
    }

    async fn remove(&self, place: usize, id: u64) -> Result<Vec<Member>, Status> {
        let removed = self.cluster(place).await.member_remove(MemberRemoveRequest { id }).await;
        removed.map(|response| response.into_inner().members)
    }

    async fn members(&self, place: usize) -> MemberListResponse {
        let request = MemberListRequest { linearizable: true };
        self.cluster(place).await.member_list(request).await.expect("members").into_inner()
    }

    async fn move_leader(&self, place: usize, target_id: u64) -> Result<(), Status> {
        let mut maintenance = self.server(place).maintenance().await;
        maintenance.move_leader(MoveLeaderRequest { target_id }).await.map(|_| ())
    }

    async fn downgrade(&self, place: usize, action: DowngradeAction, version: &str) -> Result<String, Status> {
        let request = DowngradeRequest { action: action as i32, version: version.to_owned() };
        let mut maintenance = self.server(place).maintenance().await;
        maintenance.downgrade(request).await.map(|response| response.into_inner().version)
    }

    /// Waits until a member shows this cluster version.
    async fn is_at(&self, place: usize, version: &str) {
        let wanted = format!("\"etcdcluster\":\"{version}\"");
        until(&wanted, async || http(self.ports[place], "GET", "/version").1.contains(&wanted).then_some(())).await;
    }
}

fn member_id(header: Option<ResponseHeader>) -> u64 {
    header.expect("a header").member_id
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, text: &str) {
    let status = answer.expect_err(text);
    assert_eq!((status.code(), status.message()), (code, text));
}

/// An accepted change; refused ones are tried again while members are not connected for long enough.
async fn healthy<T>(change: impl AsyncFn() -> Result<T, Status>) -> T {
    until("a healthy cluster", async || match change().await {
        Ok(done) => Some(done),
        Err(status) if status.message() == "etcdserver: unhealthy cluster" => None,
        Err(status) => panic!("{status}"),
    })
    .await
}
