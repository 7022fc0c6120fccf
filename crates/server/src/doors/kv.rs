//! The KV service but for Range, which has a file of its own.

use super::admission::admit;
use super::meter::Details;
use crate::generated::etcdserverpb::kv_server::Kv;
use crate::logging::lines::{self, SlowApply};
use crate::metrics::Op;
use crate::run::Operations;
use crate::run::front::{Failure, Front, status};
use crate::run::words;
use bytes::Bytes;
use prost::Message;
use proto::errors::ClientError;
use proto::etcdserverpb::request_op::Request as OpRequest;
use proto::etcdserverpb::*;
use state::{Outcome, checks, kv, quota};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// Reading transactions with no more operations, all of single keys, are read on the front-door thread.
const INLINE_OPS_MAX: usize = 16;

/// The door for keys.
#[derive(Clone)]
pub struct KvDoor {
    pub front: Front,
}

impl KvDoor {
    /// An answer, with what is to be said of it where it took long.
    fn told<M: Message>(&self, began: Instant, message: M, entry: &Bytes, counts: [i64; 2]) -> Response<M> {
        if began.elapsed() <= self.front.shared.limits.slow_call {
            return Response::new(message);
        }
        let response_size = message.encoded_len() as i64;
        let [request_count, response_count] = counts;
        let mut response = Response::new(message);
        response.extensions_mut().insert(Details {
            request_count,
            request_size: words::request_len(entry) as i64,
            response_count,
            response_size,
            content: words::of_entry(entry),
        });
        response
    }

    async fn write_txn(&self, request: TxnRequest) -> Result<Response<TxnResponse>, Failure> {
        let began = Instant::now();
        match self.front.propose_shown(Op::Txn, |entry| entry.txn = Some(request)).await? {
            (Outcome::Txn(mut response), entry) => {
                self.front.sign(&mut response.header);
                let ops = response.responses.len() as i64;
                Ok(self.told(began, response, &entry, [ops, 0]))
            }
            _ => Err(Failure::wrong_reply()),
        }
    }

    async fn read_txn(&self, request: &Arc<TxnRequest>) -> Result<TxnResponse, Failure> {
        if !checks::is_serializable(request) {
            self.front.read_index().await?;
        }
        let (view, release) = (self.front.view(), self.front.shared.version);
        let outcome = if is_small(request) {
            kv::read_txn(view.kv(), request, release)
        } else {
            let (view, request) = (view.clone(), request.clone());
            on_reader_thread(move || kv::read_txn(view.kv(), &request, release)).await?
        };
        let mut response = outcome??;
        let ops = Operations::of(&response);
        self.front.shared.metrics.ranges_run.add(ops.ranges);
        response.header = response.header.map(|header| self.front.header(&view, header.revision));
        Ok(response)
    }

    fn observe_read_txn(&self, took: Duration, request: &TxnRequest, outcome: &Result<TxnResponse, Failure>) {
        let shared = &self.front.shared;
        shared.metrics.requests.observe(Op::ReadonlyTxn, outcome.is_ok(), took);
        if took <= shared.limits.slow_apply {
            return;
        }
        shared.metrics.slow_apply.inc();
        let error = outcome.as_ref().err().map(ToString::to_string);
        let response = outcome.as_ref().map(|response| format!("size:{}", response.encoded_len())).unwrap_or_default();
        lines::apply_took_too_long(&SlowApply {
            took,
            expected: shared.limits.slow_apply,
            prefix: "read-only txn ",
            request: &words::txn(request),
            response: &response,
            error: error.as_deref(),
        });
    }
}

fn is_small(request: &TxnRequest) -> bool {
    let single = |op: &RequestOp| matches!(&op.request, Some(OpRequest::RequestRange(r)) if r.range_end.is_empty());
    let ops = request.success.len() + request.failure.len() + request.compare.len();
    ops <= INLINE_OPS_MAX
        && request.compare.iter().all(|compare| compare.range_end.is_empty())
        && request.success.iter().chain(&request.failure).all(single)
}

/// Runs what may wait for the disk on a thread that may.
pub async fn on_reader_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Client(ClientError::Stopped))
}

type Chunks = Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Kv for KvDoor {
    async fn range(&self, _request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        // The doors send it to its own lane.
        Err(Status::internal("Range is served elsewhere"))
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
        let began = Instant::now();
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        self.front.check_quota(quota::put_cost(&request)).await?;
        checks::put(&request).map_err(status)?;
        match self.front.propose_shown(Op::Put, |entry| entry.put = Some(request)).await? {
            (Outcome::Put(mut response), entry) => {
                self.front.sign(&mut response.header);
                Ok(self.told(began, response, &entry, [1, 0]))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let began = Instant::now();
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        checks::delete_range(&request).map_err(status)?;
        match self.front.propose_shown(Op::DeleteRange, |entry| entry.delete_range = Some(request)).await? {
            (Outcome::DeleteRange(mut response), entry) => {
                self.front.sign(&mut response.header);
                let deleted = response.deleted;
                Ok(self.told(began, response, &entry, [0, deleted]))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        self.front.check_quota(quota::txn_cost(&request)).await?;
        checks::txn(&request, self.front.shared.limits.txn_ops_max).map_err(status)?;
        if !checks::is_read_only(&request) {
            return Ok(self.write_txn(request).await?);
        }
        let (began, request) = (Instant::now(), Arc::new(request));
        let outcome = self.read_txn(&request).await;
        self.observe_read_txn(began.elapsed(), &request, &outcome);
        Ok(Response::new(outcome?))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        match self.front.propose(Op::Compaction, |entry| entry.compaction = Some(request)).await? {
            Outcome::Compaction { mut response, .. } => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }
}
