//! The peer listener's side of connections: HTTP/1.1, the paths of the protocol and no other (facts: peer-protocol, 1).
//!
//! Beyond etcd: a version header that is no version is answered with 400, where etcd's handler dies and the connection just
//! ends; connections, bodies and snapshots under way are bounded.

#![expect(clippy::result_large_err, reason = "a refusal is made at most once a request")]

mod answer;
mod body;
mod calls;
mod guests;
mod raft;
mod snapshot;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::config::SILENCE_MAX;
use crate::peer::StreamKind;
use crate::transport::Shared;
use crate::wire::{Link, Socket};
use answer::Reply;
pub(crate) use guests::Guests;

/// Where a request came from.
#[derive(Clone)]
struct Origin {
    shared: Arc<Shared>,
    /// The other end as metrics and log lines name it.
    address: Arc<str>,
}

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, socket: Socket) {
    let address: Arc<str> = socket.remote().into();
    let Some(_guest) = guests::enter(&shared, socket.address()) else {
        tracing::warn!("remote-addr" = %address, "rejected connection on peer endpoint: too many connections");
        return;
    };
    let link = match Link::accept(socket) {
        Ok(link) => link,
        Err(error) => {
            tracing::warn!("remote-addr" = %address, %error, "rejected connection on peer endpoint");
            return;
        }
    };
    let origin = Origin { shared, address: address.clone() };
    let service = service_fn(move |request| {
        let origin = origin.clone();
        async move { Ok::<_, Infallible>(route(origin, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // As Go writes them.
        .title_case_headers(true)
        // Holds from the end of one request to the end of the next head, so also for idle connections.
        .header_read_timeout(SILENCE_MAX)
        .serve_connection(TokioIo::new(link), service);
    if let Err(error) = connection.await {
        tracing::debug!("remote-addr" = %address, %error, "a connection on the peer endpoint broke");
    }
}

/// Finds the handler by path, then holds the method against it.
async fn route(origin: Origin, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let (get, post) = (method == Method::GET, method == Method::POST);
    if let Some(rest) = path.strip_prefix("/raft/stream/") {
        return if get { raft::stream(&origin, request.headers(), rest) } else { answer::wrong_method("GET") };
    }
    if let Some(id) = path.strip_prefix("/members/promote/") {
        return if post { calls::promote(&origin, request.headers(), id).await } else { answer::wrong_method("POST") };
    }
    let (fits, allowed) = match path.as_str() {
        "/raft" | "/raft/snapshot" | "/leases" | "/leases/internal" => (post, "POST"),
        // etcd looks at no method here.
        "/raft/probing" => (true, ""),
        "/members" | "/members/hashkv" | "/version" => (get, "GET"),
        "/downgrade/enabled" if calls::knows_downgrade(&origin) => (get, "GET"),
        _ => return answer::text(StatusCode::NOT_FOUND, "404 page not found"),
    };
    if !fits {
        return answer::wrong_method(allowed);
    }
    match path.as_str() {
        "/raft" => raft::message(&origin, request).await,
        "/raft/snapshot" => snapshot::receive(&origin, request).await,
        "/leases" => calls::lease_renew(&origin, request).await,
        "/leases/internal" => calls::lease_time_to_live(&origin, request).await,
        "/raft/probing" => calls::probing(),
        "/members" => calls::members(&origin),
        "/members/hashkv" => calls::hash_kv(&origin, request).await,
        "/version" => calls::version(&origin),
        _ => calls::downgrade_enabled(&origin).await,
    }
}

/// The kind of stream that a path names.
fn stream_kind(name: &str) -> Option<StreamKind> {
    StreamKind::BOTH.into_iter().find(|kind| kind.path() == name)
}
