//! HTTP/1.1 requests to other members, over connections that are kept for a short while.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use super::link::connect;
use super::url::PeerUrl;
use crate::config::SILENCE_MAX;

/// Connections kept for one address.
const IDLE_MAX: usize = 4;
/// The other end closes an idle connection after 5 s.
const IDLE_AGE_MAX: Duration = Duration::from_secs(4);

/// The body of a request.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{0}")]
    Connect(io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("request cannot be formed: {0}")]
    Request(#[from] http::Error),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer was cut short")]
    Cut,
}

/// Asks, and keeps connections.
#[derive(Clone)]
pub(crate) struct Caller {
    dial_timeout: Duration,
    idle: Arc<Mutex<HashMap<String, Vec<Idle>>>>,
}

struct Idle {
    sender: SendRequest<Outgoing>,
    since: Instant,
}

impl Caller {
    pub fn new(dial_timeout: Duration) -> Caller {
        Caller { dial_timeout, idle: Arc::default() }
    }

    /// Asks and reads the whole answer of at most `max` bytes, all within `patience`.
    pub async fn ask(
        &self,
        url: &PeerUrl,
        call: Call,
        max: usize,
        patience: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        timeout(patience, self.ask_patiently(url, call, max)).await.map_err(|_| CallError::TimedOut(patience))?
    }

    async fn ask_patiently(&self, url: &PeerUrl, call: Call, max: usize) -> Result<Response<Bytes>, CallError> {
        if let Some(sender) = self.take_idle(url) {
            match self.ask_on(url, sender, call.clone(), max).await {
                // The other end closed it at that moment.
                Err(CallError::Http(error)) if error.is_canceled() || error.is_incomplete_message() => {}
                outcome => return outcome,
            }
        }
        let sender = self.open(url, SILENCE_MAX).await?;
        self.ask_on(url, sender, call, max).await
    }

    async fn ask_on(
        &self,
        url: &PeerUrl,
        mut sender: SendRequest<Outgoing>,
        call: Call,
        max: usize,
    ) -> Result<Response<Bytes>, CallError> {
        let body = Full::new(call.body).map_err(|never| match never {}).boxed_unsync();
        let request = request(url, call.method, &call.path, call.headers, body)?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = read_body(body, max).await?;
        self.keep(url, sender);
        Ok(Response::from_parts(head, body))
    }

    /// Sends a request on a connection of its own; the answer's body may be endless, and the
    /// other end may take nothing for `stall_max`.
    pub async fn begin(
        &self,
        url: &PeerUrl,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Outgoing,
        stall_max: Duration,
    ) -> Result<Response<Incoming>, CallError> {
        let mut sender = self.open(url, stall_max).await?;
        Ok(sender.send_request(request(url, method, path, headers, body)?).await?)
    }

    /// The connection lives until the last user of the answer is gone.
    async fn open(&self, url: &PeerUrl, stall_max: Duration) -> Result<SendRequest<Outgoing>, CallError> {
        let link = connect(url, self.dial_timeout, stall_max).await.map_err(CallError::Connect)?;
        let (sender, connection) = http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(link)).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer hears of the failure.
            let _ended = connection.await;
        });
        Ok(sender)
    }

    fn take_idle(&self, url: &PeerUrl) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(&url.authority)?;
        while let Some(Idle { sender, since }) = kept.pop() {
            if since.elapsed() < IDLE_AGE_MAX && sender.is_ready() {
                return Some(sender);
            }
        }
        idle.remove(&url.authority);
        None
    }

    fn keep(&self, url: &PeerUrl, sender: SendRequest<Outgoing>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(url.authority.clone()).or_default();
        kept.retain(|idle| idle.since.elapsed() < IDLE_AGE_MAX);
        if kept.len() < IDLE_MAX {
            kept.push(Idle { sender, since: Instant::now() });
        }
    }
}

fn request(
    url: &PeerUrl,
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: Outgoing,
) -> Result<Request<Outgoing>, http::Error> {
    let mut request = Request::builder().method(method).uri(url.target(path)).header(HOST, url.host()).body(body)?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// Reads a body to its end; more than `max` bytes are refused.
pub(crate) async fn read_body(mut body: Incoming, max: usize) -> Result<Bytes, CallError> {
    if body.size_hint().lower() > max as u64 {
        return Err(CallError::TooLarge(max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(|_| CallError::Cut)?.into_data() else { continue };
        if first.len() + all.len() + part.len() > max {
            return Err(CallError::TooLarge(max));
        }
        if first.is_empty() && all.is_empty() {
            first = part;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&part);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
