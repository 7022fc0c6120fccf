//! The Lock service.

use super::admission::admit;
use super::queue::{self, GiveUp, uncoded};
use crate::generated::v3lockpb::lock_server::Lock;
use crate::run::front::{Failure, Front};
use proto::errors::ClientError;
use proto::etcdserverpb::RangeRequest;
use proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tonic::{Request, Response, Status};

/// The door for locks.
#[derive(Clone)]
pub struct LockDoor {
    pub front: Front,
}

impl LockDoor {
    async fn acquire(&self, request: LockRequest) -> Result<LockResponse, Failure> {
        let front = &self.front;
        let lease = queue::lease_or_own(front, request.lease).await?;
        let place = queue::take(front, &request.name, lease, Default::default()).await?;
        let guard = GiveUp::unless_kept(front, place.key.clone());
        queue::wait_for_turn(front, &request.name, place.revision).await?;
        let own = RangeRequest { key: place.key.clone(), ..Default::default() };
        if queue::read(front, &own).await?.is_none() {
            return Err(ClientError::SessionExpired.into());
        }
        guard.keep();
        let view = front.view();
        let header = Some(front.header(&view, view.kv().revision()));
        Ok(LockResponse { header, key: place.key })
    }
}

#[tonic::async_trait]
impl Lock for LockDoor {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        admit(&self.front, request.metadata())?;
        self.front.unless_stopped(self.acquire(request.into_inner())).await.map(Response::new).map_err(uncoded)
    }

    async fn unlock(&self, request: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let deleted = queue::delete(&self.front, request.into_inner().key).await.map_err(uncoded)?;
        Ok(Response::new(UnlockResponse { header: deleted.header }))
    }
}
