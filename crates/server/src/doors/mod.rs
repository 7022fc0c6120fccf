//! The doors of a front-door thread: each request goes to its gRPC service by its path, everything else to plain HTTP.
//!
//! Every call is counted on its way in and out. Answers that the gRPC library makes itself are put into the words that etcd's
//! clients know (facts: errors, 1.2). Range has a lane of its own: its answers are encoded straight from the store.

mod admission;
mod answer;
pub mod cluster;
mod dialect;
mod downgrade;
mod election;
mod health;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod meter;
mod queue;
mod range;
mod range_stream;
mod snapshot;
mod watch;

pub use self::kv::on_reader_thread;

use self::answer::Answer;
use self::meter::{Call, Desk, Inward, Outward};
use crate::generated::etcdserverpb::{
    cluster_server::ClusterServer, kv_server::KvServer, lease_server::LeaseServer,
    maintenance_server::MaintenanceServer,
};
use crate::generated::health::health_server::HealthServer;
use crate::generated::v3electionpb::election_server::ElectionServer;
use crate::generated::v3lockpb::lock_server::LockServer;
use crate::metrics::Method;
use crate::run::front::Front;
use crate::run::pings::Peer;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Code, Status};
use tower::Service;

type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Answer>, Infallible>> + Send>>;

/// All doors of one thread; cheap to clone, one clone per connection.
#[derive(Clone)]
pub struct Doors {
    /// `None` on listeners without gRPC.
    services: Option<Arc<Services>>,
    http: axum::Router,
    peer: Arc<Peer>,
}

struct Services {
    kv: KvServer<kv::KvDoor>,
    lease: LeaseServer<lease::LeaseDoor>,
    maintenance: MaintenanceServer<maintenance::MaintenanceDoor>,
    cluster: ClusterServer<cluster::ClusterDoor>,
    lock: LockServer<lock::LockDoor>,
    election: ElectionServer<election::ElectionDoor>,
    health: HealthServer<health::HealthDoor>,
    watch: watch::WatchDoor,
    front: Front,
    desk: Arc<Desk>,
    receive_bytes_max: usize,
}

impl Doors {
    pub fn new(front: &Front, http: axum::Router) -> Doors {
        let receive_bytes_max = front.shared.limits.receive_bytes_max();
        macro_rules! server {
            ($server:ident, $door:expr) => {
                $server::new($door)
                    .max_decoding_message_size(receive_bytes_max)
                    .max_encoding_message_size(answer::BYTES_MAX)
            };
        }
        let desk = Desk { metrics: front.shared.metrics.clone(), slow: front.shared.limits.slow_call };
        let services = Services {
            kv: server!(KvServer, kv::KvDoor { front: front.clone() }),
            lease: server!(LeaseServer, lease::LeaseDoor { front: front.clone() }),
            maintenance: server!(MaintenanceServer, maintenance::MaintenanceDoor { front: front.clone() }),
            cluster: server!(ClusterServer, cluster::ClusterDoor { front: front.clone() }),
            lock: server!(LockServer, lock::LockDoor { front: front.clone() }),
            election: server!(ElectionServer, election::ElectionDoor { front: front.clone() }),
            health: server!(HealthServer, health::HealthDoor { front: front.clone() }),
            watch: watch::WatchDoor { front: front.clone() },
            front: front.clone(),
            desk: Arc::new(desk),
            receive_bytes_max,
        };
        Doors { services: Some(Arc::new(services)), http, peer: Peer::at(None) }
    }

    /// Doors of a listener that serves plain HTTP only.
    pub fn without_grpc(http: axum::Router) -> Doors {
        Doors { services: None, http, peer: Peer::at(None) }
    }

    /// The doors as a connection from there sees them.
    pub fn of_connection(self, peer: Arc<Peer>) -> Doors {
        Doors { peer, ..self }
    }
}

impl Services {
    fn serve(&self, request: http::Request<Incoming>, peer: &Arc<Peer>) -> Answering {
        let path = request.uri().path();
        let Some(method) = Method::of_path(path) else { return refuse(dialect::unknown(path)) };
        let service = path.split('/').nth(1).unwrap_or_default();
        let version = admission::client_version(request.headers());
        let call = Call::begin(&self.desk, method, peer, version);
        if let Err(refusal) = admission::admit_path(&self.front, path) {
            let answer = finish(refusal.into_http(), call);
            return Box::pin(async move { Ok(answer) });
        }
        macro_rules! call {
            ($server:ident) => {{
                let request = request.map(|body| Inward::new(body, &call));
                let answer = self.$server.clone().call(request);
                Box::pin(async move { answer.await.map(|answer| finish(dialect::translate(answer), call)) })
            }};
        }
        match service {
            "etcdserverpb.KV" if path == range::PATH => {
                let request = request.map(|body| Inward::new(body, &call));
                let answer = range::serve(self.front.clone(), request, call, self.receive_bytes_max);
                Box::pin(async move { Ok(answer.await) })
            }
            "etcdserverpb.KV" => call!(kv),
            "etcdserverpb.Watch" => {
                let request = request.map(|body| Inward::new(body, &call));
                let answer = self.watch.clone().call(request, self.receive_bytes_max);
                Box::pin(async move { answer.await.map(|answer| finish(answer, call)) })
            }
            "etcdserverpb.Lease" => call!(lease),
            "etcdserverpb.Maintenance" => call!(maintenance),
            "etcdserverpb.Cluster" => call!(cluster),
            "etcdserverpb.Auth" => {
                let answer = finish(dialect::no_auth().into_http(), call);
                Box::pin(async move { Ok(answer) })
            }
            "v3lockpb.Lock" => call!(lock),
            "v3electionpb.Election" => call!(election),
            _ => call!(health),
        }
    }
}

fn refuse(status: Status) -> Answering {
    let answer = status.into_http::<tonic::body::Body>().map(Answer::plain);
    Box::pin(async move { Ok(answer) })
}

/// Lets an answer go, with its call: ended where it has no messages, else with its last.
fn finish(answer: http::Response<tonic::body::Body>, mut call: Call) -> http::Response<Answer> {
    call.log_unary(answer.extensions().get());
    match meter::code_in(answer.headers()) {
        Some(code) => {
            call.end(code as i32);
            answer.map(Answer::plain)
        }
        None => answer.map(|body| Answer::Grpc(Outward::new(body, call))),
    }
}

impl hyper::service::Service<http::Request<Incoming>> for Doors {
    type Response = http::Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: http::Request<Incoming>) -> Answering {
        if let Some(services) = self.services.as_ref().filter(|_| request.version() == http::Version::HTTP_2) {
            let content_type = request.headers().get(http::header::CONTENT_TYPE);
            if content_type.is_some_and(|t| t.as_bytes().starts_with(b"application/grpc")) {
                return services.serve(request, &self.peer);
            }
            let answer = dialect::not_grpc(request.headers()).map(Answer::plain);
            return Box::pin(async move { Ok(answer) });
        }
        let mut http = self.http.clone();
        Box::pin(async move { http.call(request).await.map(|answer| answer.map(Answer::Http)) })
    }
}

/// The code of a refusal, for the counters.
fn code_of(status: &Status) -> i32 {
    match status.code() {
        Code::Ok => Code::Unknown as i32,
        code => code as i32,
    }
}
