//! The KV service.

use super::admission::admit;
use crate::generated::etcdserverpb::kv_server::Kv;
use crate::run::front::{Failure, Front, status};
use proto::errors::ClientError;
use proto::etcdserverpb::*;
use state::{Outcome, checks, kv, quota};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// Ranges that find more keys than this are read on a thread that may wait for the disk.
const INLINE_KEYS_MAX: i64 = 1000;

/// The door for keys.
#[derive(Clone)]
pub struct KvDoor {
    pub front: Front,
}

impl KvDoor {
    /// Errs with NoSpace where the backend has no room for a request of this cost.
    fn check_quota(&self, cost_bytes: u64) -> Result<(), Status> {
        if self.front.shared.quota.fits(self.front.view().kv().size(), cost_bytes) {
            return Ok(());
        }
        self.front.raise_no_space();
        Err(status(ClientError::NoSpace))
    }

    async fn range_now(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        if !request.serializable {
            self.front.read_index().await?;
        }
        let view = self.front.view();
        let large = !request.range_end.is_empty()
            && (request.limit <= 0 || request.limit > INLINE_KEYS_MAX)
            && !request.count_only
            && view.kv().count(&request.key, &request.range_end) > INLINE_KEYS_MAX;
        let mut response = if large {
            let moved = view.clone();
            on_reader_thread(move || kv::range(moved.kv(), &request)).await??
        } else {
            kv::range(view.kv(), &request)?
        }?;
        response.header = response.header.map(|header| self.front.header(&view, header.revision));
        Ok(response)
    }

    async fn txn_now(&self, request: TxnRequest) -> Result<TxnResponse, Failure> {
        if !checks::is_read_only(&request) {
            return match self.front.propose(|entry| entry.txn = Some(request)).await? {
                Outcome::Txn(mut response) => {
                    self.front.sign(&mut response.header);
                    Ok(response)
                }
                _ => Err(Failure::wrong_reply()),
            };
        }
        if !checks::is_serializable(&request) {
            self.front.read_index().await?;
        }
        let view = self.front.view();
        let moved = view.clone();
        let mut response = on_reader_thread(move || kv::read_txn(moved.kv(), &request)).await???;
        response.header = response.header.map(|header| self.front.header(&view, header.revision));
        Ok(response)
    }
}

/// Runs what may wait for the disk on a thread that may.
pub async fn on_reader_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Client(ClientError::Stopped))
}

type Chunks = Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Kv for KvDoor {
    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        checks::range(&request).map_err(status)?;
        Ok(Response::new(self.range_now(request).await?))
    }

    type RangeStreamStream = Chunks;

    async fn range_stream(&self, request: Request<RangeRequest>) -> Result<Response<Chunks>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        checks::range_stream(&request).map_err(status)?;
        if !request.serializable {
            self.front.read_index().await.map_err(status)?;
        }
        Ok(Response::new(Box::pin(super::range_stream::chunks(self.front.clone(), request))))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        self.check_quota(quota::put_cost(&request))?;
        checks::put(&request).map_err(status)?;
        match self.front.propose(|entry| entry.put = Some(request)).await? {
            Outcome::Put(mut response) => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        checks::delete_range(&request).map_err(status)?;
        match self.front.propose(|entry| entry.delete_range = Some(request)).await? {
            Outcome::DeleteRange(mut response) => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        self.check_quota(quota::txn_cost(&request))?;
        checks::txn(&request, self.front.shared.limits.txn_ops_max).map_err(status)?;
        Ok(Response::new(self.txn_now(request).await?))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        match self.front.propose(|entry| entry.compaction = Some(request)).await? {
            Outcome::Compaction { mut response, .. } => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }
}
