//! A server whose answers the test decides, call by call.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use client::Config;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, WatchRequest,
    WatchResponse,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the server does and what it saw.
#[derive(Default)]
pub struct Script {
    /// Answers of unary calls, used up one by one; afterwards calls succeed with empty answers.
    pub failures: VecDeque<Status>,
    /// For each watch stream in turn: what follows the creation.
    pub watches: VecDeque<Vec<Result<WatchResponse, Status>>>,
    /// TTLs that renewals answer.
    pub ttls: VecDeque<i64>,
    pub calls: Vec<String>,
    pub metadata: Vec<String>,
    /// Start revisions of the watches.
    pub created: Vec<i64>,
}

pub type Shared = Arc<Mutex<Script>>;

/// A running server.
pub struct Fake {
    pub address: SocketAddr,
    pub script: Shared,
    running: JoinSet<()>,
}

impl Fake {
    pub async fn start(script: Script) -> Fake {
        Fake::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    pub async fn start_at(address: SocketAddr, script: Script) -> Fake {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Shared = Arc::new(Mutex::new(script));
        let mut running = JoinSet::new();
        running.spawn(accept(listener, script.clone()));
        Fake { address, script, running }
    }

    /// Gives the address back and breaks the connections.
    pub async fn stop(mut self) {
        self.running.shutdown().await;
    }

    pub fn seen<T>(&self, look: impl FnOnce(&Script) -> T) -> T {
        look(&self.script.lock().unwrap())
    }
}

/// A configuration for these addresses.
pub fn config(addresses: &[SocketAddr]) -> Config {
    Config { endpoints: addresses.iter().map(ToString::to_string).collect(), ..Config::default() }
}

/// An address where nobody listens.
pub async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn accept(listener: TcpListener, script: Shared) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let script = script.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| answer(script.clone(), request));
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // A connection that the client drops is no failure of the test.
            let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(script: Shared, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    {
        let mut script = script.lock().unwrap();
        let values = request.headers().get_all("hasleader").iter();
        script.metadata.extend(values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>());
        script.calls.push(path.clone());
    }
    Ok(match path.as_str() {
        "/etcdserverpb.KV/Range" => {
            let mut grpc = Grpc::new(ProstCodec::<RangeResponse, RangeRequest>::default());
            grpc.unary(tower::service_fn(move |_| unary(script.clone())), request).await
        }
        "/etcdserverpb.KV/Put" => {
            let mut grpc = Grpc::new(ProstCodec::<PutResponse, PutRequest>::default());
            grpc.unary(tower::service_fn(move |_| unary(script.clone())), request).await
        }
        "/etcdserverpb.Watch/Watch" => {
            let mut grpc = Grpc::new(ProstCodec::<WatchResponse, WatchRequest>::default());
            let service = tower::service_fn(move |request: tonic::Request<Streaming<WatchRequest>>| {
                let script = script.clone();
                async move { watch(script, request.into_inner()).await }
            });
            grpc.streaming(service, request).await
        }
        "/etcdserverpb.Lease/LeaseKeepAlive" => {
            let mut grpc = Grpc::new(ProstCodec::<LeaseKeepAliveResponse, LeaseKeepAliveRequest>::default());
            let service = tower::service_fn(move |request: tonic::Request<Streaming<LeaseKeepAliveRequest>>| {
                let script = script.clone();
                async move { Ok::<_, Status>(tonic::Response::new(renewals(script, request.into_inner()))) }
            });
            grpc.streaming(service, request).await
        }
        _ => Status::unimplemented("not in the script").into_http(),
    })
}

async fn unary<T: Default>(script: Shared) -> Result<tonic::Response<T>, Status> {
    match script.lock().unwrap().failures.pop_front() {
        Some(failure) => Err(failure),
        None => Ok(tonic::Response::new(T::default())),
    }
}

async fn watch(
    script: Shared,
    mut requests: Streaming<WatchRequest>,
) -> Result<tonic::Response<Replies<WatchResponse>>, Status> {
    use proto::etcdserverpb::watch_request::RequestUnion;
    let first = requests.message().await?.and_then(|request| request.request_union);
    let Some(RequestUnion::CreateRequest(create)) = first else { return Err(Status::internal("no creation")) };
    let mut script = script.lock().unwrap();
    script.created.push(create.start_revision);
    let header = proto::etcdserverpb::ResponseHeader { revision: 4, ..Default::default() };
    let created = WatchResponse { header: Some(header), created: true, ..WatchResponse::default() };
    let rest = script.watches.pop_front();
    let ends = rest.is_some();
    let replies = tokio_stream::iter([Ok(created)].into_iter().chain(rest.unwrap_or_default()));
    let replies: Replies<_> = if ends { Box::pin(replies) } else { Box::pin(replies.chain(tokio_stream::pending())) };
    Ok(tonic::Response::new(replies))
}

fn renewals(script: Shared, requests: Streaming<LeaseKeepAliveRequest>) -> Replies<LeaseKeepAliveResponse> {
    Box::pin(requests.map(move |request| {
        let ttl = script.lock().unwrap().ttls.pop_front().unwrap_or(0);
        request.map(|request| LeaseKeepAliveResponse { id: request.id, ttl, ..Default::default() })
    }))
}
