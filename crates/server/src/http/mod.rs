//! The HTTP side: health, version, metrics (facts: observability, 3). gRPC stands beside it on the same port and is not
//! seen here.
//!
//! What is served depends on the listener: clients get everything, a metrics listener health and metrics.

mod checks;
mod health;
mod origin;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};

use crate::config::Config;
use crate::metrics::{self, Metrics};

/// What the HTTP side asks the server.
pub trait Status: Send + Sync + 'static {
    /// Whether the member knows a leader.
    fn has_leader(&self) -> bool;
    /// Alarms that are up.
    fn alarms(&self) -> Vec<Alarm>;
    fn is_learner(&self) -> bool;
    /// Reads one key as root, locally or through the leader; errs with the text for the client. Ends by itself after
    /// the request timeout.
    fn probe(&self, read: Read) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
    /// For `/version`.
    fn versions(&self) -> Versions;
    /// The page of `/metrics`.
    fn metrics_page(&self) -> String;
}

/// How a probe reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Serializable,
    Linearizable,
}

/// An alarm, as health knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    NoSpace,
    Corrupt,
    Unknown,
}

impl Alarm {
    /// As in reasons and in `?exclude=`.
    pub fn name(self) -> &'static str {
        match self {
            Alarm::NoSpace => "NOSPACE",
            Alarm::Corrupt => "CORRUPT",
            Alarm::Unknown => "UNKNOWN",
        }
    }
}

/// The versions in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// `3.7.1`.
    pub server: String,
    /// `3.7.0`, once it is decided.
    pub cluster: Option<String>,
    /// `3.7.0`, where it is known. Not shown by members that report a release below 3.6.
    pub storage: Option<String>,
    /// Whether the reported release has a storage version at all (3.6).
    pub shows_storage: bool,
}

/// Which listener a request came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Client,
    Metrics,
}

/// What every request needs.
struct Site {
    listener: Listener,
    status: Arc<dyn Status>,
    metrics: Arc<Metrics>,
    origins: origin::Origins,
    hosts: origin::Hosts,
}

/// For the client URLs.
pub fn client_router(status: Arc<dyn Status>, metrics: Arc<Metrics>, config: &Config) -> Router {
    let (origins, hosts) = (origin::Origins::new(&config.cors), origin::Hosts::new(&config.host_whitelist));
    router(Site { listener: Listener::Client, status, metrics, origins, hosts })
}

/// For the metrics URLs: no origins, no check of the host.
pub fn metrics_router(status: Arc<dyn Status>, metrics: Arc<Metrics>) -> Router {
    plain(Listener::Metrics, status, metrics)
}

fn plain(listener: Listener, status: Arc<dyn Status>, metrics: Arc<Metrics>) -> Router {
    let any = ["*".to_owned()];
    router(Site { listener, status, metrics, origins: origin::Origins::new(&any), hosts: origin::Hosts::new(&any) })
}

fn router(site: Site) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(site))
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response<Body> {
    if site.listener != Listener::Client {
        return route(&site, request.method(), request.uri()).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match site.hosts.refuse(&request) {
        Some(refusal) => refusal,
        None if request.method() == Method::OPTIONS => Response::new(Body::empty()),
        None => route(&site, request.method(), request.uri()).await,
    };
    site.origins.mark(&mut response, origin.as_ref());
    response
}

async fn route(site: &Site, method: &Method, uri: &Uri) -> Response<Body> {
    let path = uri.path();
    let (health, metrics, version) = match site.listener {
        Listener::Client => (true, true, true),
        Listener::Metrics => (true, true, false),
    };
    match path {
        "/version" if version => only_get(method, || versions(site)),
        "/metrics" if metrics => metrics_page(site),
        "/health" if health && method == Method::GET => health::health(site, uri).await,
        "/health" if health => method_not_allowed(),
        _ if health => match checks::find(path) {
            Some(_) if method != Method::GET => method_not_allowed(),
            Some(wanted) => checks::run(site, wanted, uri).await,
            None => not_found(),
        },
        _ => not_found(),
    }
}

fn only_get(method: &Method, answer: impl FnOnce() -> Response<Body>) -> Response<Body> {
    if method == Method::GET { answer() } else { method_not_allowed() }
}

fn versions(site: &Site) -> Response<Body> {
    let versions = site.status.versions();
    let cluster = versions.cluster.as_deref().unwrap_or("not_decided");
    let mut body = format!("{{\"etcdserver\":\"{}\",\"etcdcluster\":\"{cluster}\"", versions.server);
    if versions.shows_storage {
        let storage = versions.storage.as_deref().unwrap_or("unknown");
        body.push_str(&format!(",\"storage\":\"{storage}\""));
    }
    body.push('}');
    with_type(StatusCode::OK, "application/json", body)
}

fn metrics_page(site: &Site) -> Response<Body> {
    with_type(StatusCode::OK, metrics::CONTENT_TYPE, site.status.metrics_page())
}

const TEXT: &str = "text/plain; charset=utf-8";

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A text with a newline at its end that browsers must not take for anything else: how Go's servers err.
fn plain_text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = with_type(status, TEXT, format!("{text}\n"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn not_found() -> Response<Body> {
    plain_text(StatusCode::NOT_FOUND, "404 page not found")
}

fn method_not_allowed() -> Response<Body> {
    let mut response = plain_text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    response
}

/// All values of a parameter, in their order.
fn parameters(uri: &Uri, name: &str) -> Vec<String> {
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return Vec::new() };
    pairs.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests;
