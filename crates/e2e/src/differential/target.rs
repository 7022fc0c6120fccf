//! One server under comparison.

use super::generate::Op;
use super::normalise::Answer;
use client::rpc::etcdserverpb::kv_client::KvClient;
use client::rpc::etcdserverpb::lease_client::LeaseClient;
use client::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::*;
use tonic::transport::Channel;

/// The clients of one server.
#[derive(Clone)]
pub struct Target {
    pub name: String,
    pub channel: Channel,
}

/// What one step got, with the revision of its header where it has one.
pub struct Got {
    pub answer: Answer,
    pub revision: Option<i64>,
}

impl Target {
    pub async fn connect(name: &str, url: String) -> Result<Target, tonic::transport::Error> {
        let channel = tonic::transport::Endpoint::from_shared(url)?.connect().await?;
        Ok(Target { name: name.to_owned(), channel })
    }

    /// Sends a step that has one answer.
    pub async fn send(&self, op: Op) -> Got {
        let mut kv = KvClient::new(self.channel.clone());
        let mut lease = LeaseClient::new(self.channel.clone());
        let mut maintenance = MaintenanceClient::new(self.channel.clone());
        macro_rules! call {
            ($future:expr) => {{
                let outcome = $future.await;
                let revision =
                    outcome.as_ref().ok().and_then(|r| r.get_ref().header.as_ref()).map(|header| header.revision);
                Got { answer: Answer::of(outcome), revision }
            }};
        }
        match op {
            Op::Range(request) => call!(kv.range(request)),
            Op::Put(request) => call!(kv.put(request)),
            Op::Delete(request) => call!(kv.delete_range(request)),
            Op::Txn(request) => call!(kv.txn(request)),
            Op::Compact(request) => call!(kv.compact(request)),
            Op::Grant(request) => call!(lease.lease_grant(request)),
            Op::Revoke(request) => call!(lease.lease_revoke(request)),
            Op::TimeToLive(request) => call!(lease.lease_time_to_live(request)),
            Op::Leases => call!(lease.lease_leases(LeaseLeasesRequest {})),
            Op::HashKv(request) => call!(maintenance.hash_kv(request)),
            Op::Alarms => call!(maintenance.alarm(AlarmRequest::default())),
            Op::KeepAlive(id) => Got { answer: keep_alive(&mut lease, id).await, revision: None },
            Op::Watch { .. } | Op::CancelWatch { .. } => unreachable!("watches have streams of their own"),
        }
    }
}

async fn keep_alive(lease: &mut LeaseClient<Channel>, id: i64) -> Answer {
    let requests = tokio_stream::iter([LeaseKeepAliveRequest { id }]);
    match lease.lease_keep_alive(requests).await {
        Err(status) => Answer::of::<LeaseKeepAliveResponse>(Err(status)),
        Ok(answers) => match answers.into_inner().message().await {
            Ok(Some(answer)) => Answer::of(Ok(tonic::Response::new(answer))),
            Ok(None) => Answer::Ok("no answer".to_owned()),
            Err(status) => Answer::of::<LeaseKeepAliveResponse>(Err(status)),
        },
    }
}
