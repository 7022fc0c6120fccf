//! A random but repeatable use of a server, and everything that can be seen of it afterwards.

use client::rpc::etcdserverpb::auth_client::AuthClient;
use client::rpc::etcdserverpb::kv_client::KvClient;
use client::rpc::etcdserverpb::lease_client::LeaseClient;
use client::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tonic::transport::Channel;

type Failure = Box<dyn std::error::Error>;

/// What a server shows of its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub revision: i64,
    pub keys: Vec<proto::mvccpb::KeyValue>,
    /// `(id, granted TTL, keys)`, sorted.
    pub leases: Vec<(i64, i64, Vec<bytes::Bytes>)>,
    pub hash_kv: (u32, i64),
}

/// Connects to a server.
pub async fn connect(url: String) -> Result<Channel, Failure> {
    Ok(tonic::transport::Endpoint::from_shared(url)?.connect().await?)
}

/// Puts, deletes, transactions, leases and a compaction from a seed.
pub async fn work(channel: &Channel, seed: u64, steps: usize) -> Result<(), Failure> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut kv = KvClient::new(channel.clone());
    let mut lease = LeaseClient::new(channel.clone());
    let mut leases = Vec::new();
    for step in 0..steps {
        let key = format!("key/{:03}", random.random_range(0..200));
        match random.random_range(0..20) {
            0 => {
                let ttl = random.random_range(10_000..20_000);
                leases.push(lease.lease_grant(LeaseGrantRequest { ttl, id: 0 }).await?.into_inner().id);
            }
            1 | 2 => drop(kv.delete_range(DeleteRangeRequest { key: key.into(), ..Default::default() }).await?),
            3 => {
                let put = |i: usize| RequestOp {
                    request: Some(Request::RequestPut(PutRequest {
                        key: format!("{key}/{i}").into(),
                        value: format!("{step}").into(),
                        ..Default::default()
                    })),
                };
                let txn = TxnRequest { success: (0..3).map(put).collect(), ..Default::default() };
                kv.txn(txn).await?;
            }
            4 if leases.len() > 5 => {
                let id = leases.swap_remove(random.random_range(0..leases.len()));
                lease.lease_revoke(LeaseRevokeRequest { id }).await?;
            }
            _ => {
                let attached = if random.random_ratio(1, 4) { leases.last().copied().unwrap_or(0) } else { 0 };
                let value = vec![b'v'; random.random_range(0..300)];
                let put = PutRequest { key: key.into(), value: value.into(), lease: attached, ..Default::default() };
                kv.put(put).await?;
            }
        }
    }
    // Compacts at a put, because releases differ in what they keep of a deletion at the compacted revision.
    let last = kv.put(PutRequest { key: "compacted".into(), ..Default::default() }).await?.into_inner();
    let revision = last.header.map_or(0, |header| header.revision);
    for i in 0..10 {
        kv.put(PutRequest { key: format!("after/{i}").into(), value: "x".into(), ..Default::default() }).await?;
    }
    kv.compact(CompactionRequest { revision, physical: true }).await?;
    Ok(())
}

/// Users and roles, with authentication left off; repeated calls find them there.
pub async fn add_users(channel: &Channel) -> Result<(), Failure> {
    let mut auth = AuthClient::new(channel.clone());
    auth.user_add(AuthUserAddRequest { name: "alice".into(), password: "secret".into(), ..Default::default() }).await?;
    auth.role_add(AuthRoleAddRequest { name: "reader".into() }).await?;
    let perm = Some(proto::authpb::Permission { perm_type: 0, key: "key/".into(), range_end: "key0".into() });
    auth.role_grant_permission(AuthRoleGrantPermissionRequest { name: "reader".into(), perm }).await?;
    auth.user_grant_role(AuthUserGrantRoleRequest { user: "alice".into(), role: "reader".into() }).await?;
    Ok(())
}

/// What there is of users and roles, in words.
pub async fn users(channel: &Channel) -> Result<String, Failure> {
    let mut auth = AuthClient::new(channel.clone());
    let user = auth.user_get(AuthUserGetRequest { name: "alice".into() }).await?.into_inner();
    let role = auth.role_get(AuthRoleGetRequest { role: "reader".into() }).await?.into_inner();
    Ok(format!("{:?} {:?}", user.roles, role.perm))
}

/// Everything that can be seen.
pub async fn picture(channel: &Channel) -> Result<Picture, Failure> {
    let mut kv = KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let all = RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    let range = kv.range(all).await?.into_inner();
    let mut lease = LeaseClient::new(channel.clone());
    let ids = lease.lease_leases(LeaseLeasesRequest {}).await?.into_inner().leases;
    let mut leases = Vec::new();
    for LeaseStatus { id } in ids {
        let left = lease.lease_time_to_live(LeaseTimeToLiveRequest { id, keys: true }).await?.into_inner();
        let mut keys = left.keys;
        keys.sort();
        leases.push((id, left.granted_ttl, keys));
    }
    leases.sort();
    let hash = MaintenanceClient::new(channel.clone()).hash_kv(HashKvRequest { revision: 0 }).await?.into_inner();
    Ok(Picture {
        revision: range.header.map_or(0, |header| header.revision),
        keys: range.kvs,
        leases,
        hash_kv: (hash.hash, hash.compact_revision),
    })
}

/// Saves the database as `snapshot save` does.
pub async fn save_snapshot(channel: &Channel, path: &std::path::Path) -> Result<(), Failure> {
    let mut parts = MaintenanceClient::new(channel.clone()).snapshot(SnapshotRequest {}).await?.into_inner();
    let mut content = Vec::new();
    while let Some(part) = parts.message().await? {
        content.extend_from_slice(&part.blob);
    }
    std::fs::write(path, content)?;
    Ok(())
}
