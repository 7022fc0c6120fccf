//! The doors of a front-door thread: each request goes to its gRPC service by its path, everything else to plain HTTP.
//!
//! Answers that the gRPC library makes itself (message too large, unknown method) are put into the words that etcd's clients
//! know (facts: errors, 1.2).

mod admission;
mod cluster;
mod dialect;
mod election;
mod health;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod queue;
mod range_stream;
mod snapshot;
mod watch;

use crate::generated::etcdserverpb::{
    cluster_server::ClusterServer, kv_server::KvServer, lease_server::LeaseServer,
    maintenance_server::MaintenanceServer,
};
use crate::generated::health::health_server::HealthServer;
use crate::generated::v3electionpb::election_server::ElectionServer;
use crate::generated::v3lockpb::lock_server::LockServer;
use crate::run::front::Front;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tonic::body::Body;
use tower::Service;

/// The one method of the Watch service.
const WATCH_PATH: &str = "/etcdserverpb.Watch/Watch";

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// All doors of one thread; cheap to clone, one clone per connection.
#[derive(Clone)]
pub struct Doors {
    /// `None` on listeners without gRPC.
    services: Option<Arc<Services>>,
    http: axum::Router,
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
    receive_bytes_max: usize,
}

impl Doors {
    pub fn new(front: &Front, http: axum::Router) -> Doors {
        let receive_bytes_max = front.shared.limits.receive_bytes_max();
        macro_rules! server {
            ($server:ident, $door:expr) => {
                $server::new($door)
                    .max_decoding_message_size(receive_bytes_max)
                    .max_encoding_message_size(i32::MAX as usize)
            };
        }
        let services = Services {
            kv: server!(KvServer, kv::KvDoor { front: front.clone() }),
            lease: server!(LeaseServer, lease::LeaseDoor { front: front.clone() }),
            maintenance: server!(MaintenanceServer, maintenance::MaintenanceDoor { front: front.clone() }),
            cluster: server!(ClusterServer, cluster::ClusterDoor { front: front.clone() }),
            lock: server!(LockServer, lock::LockDoor { front: front.clone() }),
            election: server!(ElectionServer, election::ElectionDoor { front: front.clone() }),
            health: server!(HealthServer, health::HealthDoor),
            watch: watch::WatchDoor { front: front.clone() },
            receive_bytes_max,
        };
        Doors { services: Some(Arc::new(services)), http }
    }

    /// Doors of a listener that serves plain HTTP only.
    pub fn without_grpc(http: axum::Router) -> Doors {
        Doors { services: None, http }
    }

    fn grpc(services: &Services, request: http::Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let service = path.strip_prefix('/').and_then(|rest| rest.split_once('/')).map_or("", |(service, _)| service);
        macro_rules! call {
            ($server:ident) => {{
                let target = dialect::Target::of(path);
                let answer = services.$server.clone().call(request);
                Box::pin(async move { answer.await.map(|answer| dialect::translate(answer, &target)) })
            }};
        }
        match service {
            "etcdserverpb.KV" => call!(kv),
            "etcdserverpb.Watch" if path == WATCH_PATH => {
                Box::pin(services.watch.clone().call(request, services.receive_bytes_max))
            }
            "etcdserverpb.Lease" => call!(lease),
            "etcdserverpb.Maintenance" => call!(maintenance),
            "etcdserverpb.Cluster" => call!(cluster),
            "v3lockpb.Lock" => call!(lock),
            "v3electionpb.Election" => call!(election),
            "grpc.health.v1.Health" => call!(health),
            unknown => {
                let answer = dialect::unknown_service(unknown);
                Box::pin(async move { Ok(answer) })
            }
        }
    }
}

impl hyper::service::Service<http::Request<Incoming>> for Doors {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: http::Request<Incoming>) -> Answer {
        let is_grpc = request.version() == http::Version::HTTP_2
            && request
                .headers()
                .get(http::header::CONTENT_TYPE)
                .is_some_and(|t| t.as_bytes().starts_with(b"application/grpc"));
        if let Some(services) = self.services.as_ref().filter(|_| is_grpc) {
            return Doors::grpc(services, request);
        }
        let mut http = self.http.clone();
        Box::pin(async move { http.call(request).await.map(|answer| answer.map(Body::new)) })
    }
}
