//! The standard gRPC health service: one service, the server itself under the empty name.

use crate::generated::health::health_server::Health;
use crate::run::front::{Front, status};
use proto::errors::ClientError;
use proto::health::health_check_response::ServingStatus;
use proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// The door for load balancers. A member that answers at all serves.
#[derive(Clone)]
pub struct HealthDoor {
    pub front: Front,
}

type Changes = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for HealthDoor {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !request.into_inner().service.is_empty() {
            return Err(Status::not_found("unknown service"));
        }
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving as i32 }))
    }

    async fn list(&self, _request: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let serving = HealthCheckResponse { status: ServingStatus::Serving as i32 };
        Ok(Response::new(HealthListResponse { statuses: [(String::new(), serving)].into() }))
    }

    type WatchStream = Changes;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Changes>, Status> {
        let known = request.into_inner().service.is_empty();
        let serving = if known { ServingStatus::Serving } else { ServingStatus::ServiceUnknown };
        let first = tokio_stream::once(Ok(HealthCheckResponse { status: serving as i32 }));
        // The status does not change while the process lives, and the stream stays open until it ends.
        let front = self.front.clone();
        let end = futures_util::stream::once(async move {
            front.stopped().await;
            Err(status(ClientError::Stopped))
        });
        let changes = futures_util::StreamExt::chain(first, end);
        Ok(Response::new(Box::pin(changes)))
    }
}
