//! The Election service.

use super::admission::admit;
use super::queue::{self, GiveUp, Place, uncoded};
use crate::generated::v3electionpb::election_server::Election;
use crate::run::front::{Failure, Front};
use crate::run::interests::{Interest, Notice};
use bytes::Bytes;
use mvcc::EventKind;
use proto::errors::ClientError;
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, ResponseHeader, TxnResponse};
use proto::mvccpb::KeyValue;
use proto::v3electionpb::*;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// The door for elections.
#[derive(Clone)]
pub struct ElectionDoor {
    pub front: Front,
}

type Leaders = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

impl ElectionDoor {
    async fn run(&self, request: CampaignRequest) -> Result<CampaignResponse, Failure> {
        let front = &self.front;
        let lease = queue::lease_or_own(front, request.lease).await?;
        let place = queue::take(front, &request.name, lease, request.value.clone()).await?;
        let guard = GiveUp::unless_kept(front, place.key.clone());
        if place.held.as_ref().is_some_and(|kv| kv.value != request.value) {
            self.put_value(&place, request.value).await?;
        }
        queue::wait_for_turn(front, &request.name, place.revision).await?;
        guard.keep();
        let leader = LeaderKey { name: request.name, key: place.key, rev: place.revision, lease };
        Ok(CampaignResponse { header: self.header(), leader: Some(leader) })
    }

    fn header(&self) -> Option<ResponseHeader> {
        let view = self.front.view();
        Some(self.front.header(&view, view.kv().revision()))
    }

    /// Writes a value where the key is still the one of this campaign.
    async fn put_value(&self, place: &Place, value: Bytes) -> Result<TxnResponse, Failure> {
        let compare = queue::created_at(&place.key, place.revision);
        let put = PutRequest { key: place.key.clone(), value, lease: place.lease, ..Default::default() };
        let response = queue::txn(&self.front, compare, vec![Op::RequestPut(put)], vec![]).await?;
        if response.succeeded { Ok(response) } else { Err(ClientError::ElectionNotLeader.into()) }
    }
}

fn place_of(leader: Option<LeaderKey>) -> Result<Place, Failure> {
    let leader = leader.ok_or(ClientError::LeaderFieldMissing)?;
    Ok(Place { key: leader.key, lease: leader.lease, revision: leader.rev, held: None })
}

#[tonic::async_trait]
impl Election for ElectionDoor {
    async fn campaign(&self, request: Request<CampaignRequest>) -> Result<Response<CampaignResponse>, Status> {
        admit(&self.front, request.metadata())?;
        self.front.unless_stopped(self.run(request.into_inner())).await.map(Response::new).map_err(uncoded)
    }

    async fn proclaim(&self, request: Request<ProclaimRequest>) -> Result<Response<ProclaimResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        let place = place_of(request.leader).map_err(uncoded)?;
        let response = self.put_value(&place, request.value).await.map_err(uncoded)?;
        Ok(Response::new(ProclaimResponse { header: response.header }))
    }

    async fn leader(&self, request: Request<LeaderRequest>) -> Result<Response<LeaderResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let prefix = queue::prefix(&request.into_inner().name);
        let leader = queue::oldest(&self.front, &prefix).await.map_err(uncoded)?;
        let leader = leader.ok_or_else(|| uncoded(ClientError::ElectionNoLeader.into()))?;
        Ok(Response::new(LeaderResponse { header: self.header(), kv: Some(leader) }))
    }

    type ObserveStream = Leaders;

    async fn observe(&self, request: Request<LeaderRequest>) -> Result<Response<Leaders>, Status> {
        admit(&self.front, request.metadata())?;
        let prefix = queue::prefix(&request.into_inner().name);
        let observer = Observer {
            interest: self.front.interests.in_prefix(prefix.clone()),
            front: self.front.clone(),
            prefix,
            leader: None,
        };
        let leaders = futures_util::stream::unfold(Some(observer), |observer| async move {
            let mut observer = observer?;
            let front = observer.front.clone();
            match front.unless_stopped(observer.next()).await {
                Ok(response) => Some((Ok(response), Some(observer))),
                Err(failure) => Some((Err(uncoded(failure)), None)),
            }
        });
        Ok(Response::new(Box::pin(leaders)))
    }

    async fn resign(&self, request: Request<ResignRequest>) -> Result<Response<ResignResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let place = place_of(request.into_inner().leader).map_err(uncoded)?;
        let delete = Op::RequestDeleteRange(DeleteRangeRequest { key: place.key.clone(), ..Default::default() });
        let compare = queue::created_at(&place.key, place.revision);
        // A leadership that was lost already is resigned from all the same.
        let response = queue::txn(&self.front, compare, vec![delete], vec![]).await.map_err(uncoded)?;
        Ok(Response::new(ResignResponse { header: response.header }))
    }
}

/// Follows the leaders of one election.
struct Observer {
    front: Front,
    prefix: Bytes,
    interest: Interest,
    /// The leader told last.
    leader: Option<KeyValue>,
}

impl Observer {
    /// The next leader, or the next value of the present one.
    async fn next(&mut self) -> Result<LeaderResponse, Failure> {
        loop {
            if self.leader.is_none()
                && let Some(kv) = queue::oldest(&self.front, &self.prefix).await?
            {
                return Ok(self.tell(kv));
            }
            match self.interest.next().await {
                Notice::Missed => self.leader = None,
                Notice::Changed(event) => {
                    let Some(leader) = self.leader.as_ref().filter(|leader| leader.key == event.kv.key) else {
                        continue;
                    };
                    if event.kv.mod_revision <= leader.mod_revision {
                        continue;
                    }
                    match event.kind {
                        EventKind::Put => return Ok(self.tell(event.kv)),
                        EventKind::Delete => self.leader = None,
                    }
                }
            }
        }
    }

    fn tell(&mut self, kv: KeyValue) -> LeaderResponse {
        self.leader = Some(kv.clone());
        let view = self.front.view();
        LeaderResponse { header: Some(self.front.header(&view, view.kv().revision())), kv: Some(kv) }
    }
}
