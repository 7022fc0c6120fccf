//! The Lease service.

use super::admission::{admit, wants_leader};
use crate::generated::etcdserverpb::lease_server::Lease;
use crate::metrics::{Direction, Op, StreamApi};
use crate::run::front::{Failure, Front, status};
use crate::run::peers::leases;
use crate::run::waiters::Reply;
use node::{Event, Outcome as NodeOutcome};
use proto::errors::ClientError;
use proto::etcdserverpb::*;
use state::{Outcome, quota};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

/// The door for leases.
#[derive(Clone)]
pub struct LeaseDoor {
    pub front: Front,
}

type Answers = Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

/// Resolves where the stream is to be cut.
type Cut = Pin<Box<dyn Future<Output = ()> + Send>>;

impl LeaseDoor {
    async fn ask(&self, event: impl FnOnce(u64) -> Event) -> Result<NodeOutcome, Failure> {
        let ticket = self.front.shared.ids.next();
        match self.front.ask(ticket, event(ticket)).await? {
            Reply::Node(outcome) => Ok(outcome),
            _ => Err(Failure::wrong_reply()),
        }
    }

    /// Reading a stream has failed. One that its client has canceled is not broken.
    fn broken(&self, status: Status) -> Status {
        if status.code() != Code::Cancelled {
            self.front.shared.metrics.stream_failures.count(StreamApi::LeaseKeepAlive, Direction::Receive);
        }
        super::dialect::translate_status(status)
    }

    fn header(&self) -> Option<ResponseHeader> {
        let view = self.front.view();
        Some(self.front.header(&view, view.kv().revision()))
    }

    /// Renews one lease; the header is read before the renewal, as etcd does.
    async fn keep_alive(&self, id: i64) -> Result<LeaseKeepAliveResponse, Failure> {
        let header = self.header();
        let ttl = leases::renew(&self.front, id).await?.unwrap_or(0);
        Ok(LeaseKeepAliveResponse { header, id, ttl })
    }
}

#[tonic::async_trait]
impl Lease for LeaseDoor {
    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Result<Response<LeaseGrantResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let mut request = request.into_inner();
        self.front.check_quota(quota::lease_grant_cost()).await?;
        while request.id == 0 {
            // Positive: the sign bit is taken away, and 0 would ask again.
            request.id = (self.front.shared.ids.next() & (u64::MAX >> 1)) as i64;
        }
        match self.front.propose(Op::LeaseGrant, |entry| entry.lease_grant = Some(request)).await? {
            Outcome::LeaseGrant(mut response) => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        match self.front.propose(Op::LeaseRevoke, |entry| entry.lease_revoke = Some(request)).await? {
            Outcome::LeaseRevoke(mut response) => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    type LeaseKeepAliveStream = Answers;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Answers>, Status> {
        admit(&self.front, request.metadata())?;
        let wants_leader = wants_leader(request.metadata());
        let front = self.front.clone();
        // One for the whole stream, since requests come more often than it waits.
        let cut: Cut = Box::pin(async move {
            match wants_leader {
                true => front.leaderless().await,
                false => std::future::pending().await,
            }
        });
        let state = (self.clone(), cut, Some(request.into_inner()));
        let answers = futures_util::stream::unfold(state, |(door, mut cut, requests)| async move {
            let mut requests = requests?;
            let request = tokio::select! {
                request = requests.message() => request.map_err(|status| door.broken(status)),
                () = door.front.stopped() => Err(status(ClientError::Stopped)),
                () = &mut cut => Err(status(ClientError::NoLeader)),
            };
            match request {
                Ok(Some(request)) => {
                    let answer = tokio::select! {
                        answer = door.front.unless_stopped(door.keep_alive(request.id)) => answer,
                        () = &mut cut => Err(ClientError::NoLeader.into()),
                    };
                    match answer {
                        Ok(answer) => Some((Ok(answer), (door, cut, Some(requests)))),
                        Err(failure) => Some((Err(failure.into()), (door, cut, None))),
                    }
                }
                Ok(None) => None,
                Err(status) => Some((Err(status), (door, cut, None))),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let found = leases::time_to_live(&self.front, id, keys).await?;
        let unknown = || LeaseTimeToLiveResponse { header: self.header(), id, ttl: -1, ..Default::default() };
        Ok(Response::new(found.unwrap_or_else(unknown)))
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        admit(&self.front, request.metadata())?;
        match self.ask(|ticket| Event::Leases { ticket }).await? {
            NodeOutcome::Leases(ids) => {
                let leases = ids.into_iter().map(|id| LeaseStatus { id }).collect();
                Ok(Response::new(LeaseLeasesResponse { header: self.header(), leases }))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }
}
