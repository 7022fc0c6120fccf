//! What calls amount to: messages and bytes as they pass, codes and durations as they end, lines about slow ones.

use crate::config::LogLevel;
use crate::logging::{self, lines, lines::RequestStats};
use crate::metrics::{Flow, Method, Metrics};
use crate::run::pings::Peer;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};
use tonic::{Code, Status};

/// Length of what stands before each message: a flag and the length.
pub const PREFIX_BYTES: usize = 5;

/// What every call of one front-door thread needs.
pub struct Desk {
    pub metrics: Arc<Metrics>,
    /// A unary call that takes longer is logged.
    pub slow: Duration,
}

/// One call, from its first byte to its end; counted as canceled where it is dropped before.
pub struct Call {
    desk: Arc<Desk>,
    method: Method,
    peer: Arc<Peer>,
    began: Instant,
    /// It has its answer, or changes nothing.
    answered: bool,
    ended: bool,
}

/// What a slow call was about. Travels to the end of the call in the extensions of its answer.
#[derive(Clone, Debug)]
pub struct Details {
    pub request_count: i64,
    pub request_size: i64,
    pub response_count: i64,
    pub response_size: i64,
    pub content: String,
}

impl Default for Details {
    /// Nothing is known but that there was a call.
    fn default() -> Details {
        Details { request_count: -1, request_size: -1, response_count: -1, response_size: -1, content: String::new() }
    }
}

impl Call {
    /// A call has come in.
    pub fn begin(desk: &Arc<Desk>, method: Method, peer: &Arc<Peer>, version: Option<&str>) -> Call {
        desk.metrics.grpc.started(method);
        desk.metrics.client_requests.count(method.flow() != Flow::Unary, version);
        peer.call_begins();
        if !method.is_read() {
            peer.write_begins();
        }
        Call {
            desk: desk.clone(),
            method,
            peer: peer.clone(),
            began: Instant::now(),
            answered: method.is_read(),
            ended: false,
        }
    }

    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    pub fn method(&self) -> Method {
        self.method
    }

    /// Messages have gone out, with so many bytes in all.
    pub fn sent(&self, messages: u64, bytes: u64) {
        for _ in 0..messages {
            self.desk.metrics.grpc.sent(self.method);
        }
        self.desk.metrics.client_sent_bytes.add(bytes);
    }

    fn answer_begins(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.peer.write_ends();
        }
    }

    /// The call has ended with this code.
    pub fn end(&mut self, code: i32) {
        if !std::mem::replace(&mut self.ended, true) {
            self.desk.metrics.grpc.handled(self.method, code, self.began.elapsed());
        }
    }

    /// The call has its answer. Logs a unary one that was slow, at level debug any.
    pub fn log_unary(&mut self, details: Option<&Details>) {
        self.answer_begins();
        if self.method.flow() != Flow::Unary {
            return;
        }
        let spent = self.began.elapsed();
        let slow = spent > self.desk.slow;
        if !slow && !logging::enabled(LogLevel::Debug) {
            return;
        }
        let unknown = Details::default();
        let details = details.unwrap_or(&unknown);
        let remote = self.peer.remote.map(|remote| remote.to_string()).unwrap_or_default();
        let start = SystemTime::now().checked_sub(spent).unwrap_or(SystemTime::UNIX_EPOCH);
        lines::request_stats(
            &RequestStats {
                start: &logging::timestamp(start),
                spent,
                remote: &remote,
                method: &self.method.path(),
                request_count: details.request_count,
                request_size: details.request_size,
                response_count: details.response_count,
                response_size: details.response_size,
                content: &details.content,
            },
            slow,
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled as i32);
        self.answer_begins();
        self.peer.call_ends();
    }
}

/// Finds the borders of messages in the bytes of a body.
#[derive(Debug, Default)]
pub struct Meter {
    prefix: [u8; PREFIX_BYTES],
    prefix_len: usize,
    /// Bytes of the present message that are to come.
    left: usize,
}

impl Meter {
    /// Takes the next bytes; gives how many messages begin in them, and the length of those.
    pub fn feed(&mut self, mut data: &[u8]) -> (u64, u64) {
        let (mut messages, mut bytes) = (0, 0);
        loop {
            let passed = self.left.min(data.len());
            self.left -= passed;
            data = &data[passed..];
            if data.is_empty() {
                return (messages, bytes);
            }
            let taken = (PREFIX_BYTES - self.prefix_len).min(data.len());
            self.prefix[self.prefix_len..self.prefix_len + taken].copy_from_slice(&data[..taken]);
            self.prefix_len += taken;
            data = &data[taken..];
            if self.prefix_len == PREFIX_BYTES {
                self.prefix_len = 0;
                let [_, length @ ..] = self.prefix;
                let length = u32::from_be_bytes(length);
                self.left = length as usize;
                messages += 1;
                bytes += u64::from(length);
            }
        }
    }
}

/// The body of a request, counted as it is read.
pub struct Inward<B> {
    body: B,
    desk: Arc<Desk>,
    method: Method,
    meter: Meter,
}

impl<B> Inward<B> {
    pub fn new(body: B, call: &Call) -> Inward<B> {
        Inward { body, desk: call.desk.clone(), method: call.method, meter: Meter::default() }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Inward<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
            let (messages, bytes) = self.meter.feed(data.chunk());
            for _ in 0..messages {
                self.desk.metrics.grpc.received(self.method);
            }
            self.desk.metrics.client_received_bytes.add(bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, counted as it is sent; ends its call.
pub struct Outward {
    body: tonic::body::Body,
    call: Call,
    meter: Meter,
}

impl Outward {
    pub fn new(body: tonic::body::Body, call: Call) -> Outward {
        Outward { body, call, meter: Meter::default() }
    }
}

impl Body for Outward {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let (messages, bytes) = self.meter.feed(data);
                    self.call.sent(messages, bytes);
                } else if let Some(trailers) = frame.trailers_ref() {
                    self.call.end(code_in(trailers).unwrap_or(Code::Unknown) as i32);
                }
            }
            Some(Err(status)) => self.call.end(status.code() as i32),
            None => self.call.end(Code::Ok as i32),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The status code in headers or trailers.
pub fn code_in(headers: &http::HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend(std::iter::repeat_n(7, length as usize));
        bytes
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let bytes: Vec<u8> = [3, 0, 300, 5].into_iter().flat_map(message).collect();
        for size in [1, 2, 4, 5, 6, 7, 100, 1000] {
            let mut meter = Meter::default();
            let parts = bytes.chunks(size).map(|part| meter.feed(part));
            let sum = parts.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            assert_eq!(sum, (4, 308), "in parts of {size}");
        }
    }

    #[test]
    fn a_change_is_waited_for_until_it_has_its_answer() {
        let desk = Arc::new(Desk { metrics: Arc::new(Metrics::new(false)), slow: Duration::from_secs(1) });
        let peer = Peer::at(None);
        let begin = |path| Call::begin(&desk, Method::of_path(path).expect("known"), &peer, None);
        let read = begin("/etcdserverpb.KV/Range");
        assert!(!peer.is_writing());
        let (mut answered, dropped) = (begin("/etcdserverpb.KV/Put"), begin("/etcdserverpb.KV/Txn"));
        answered.log_unary(None);
        assert!(peer.is_writing());
        drop(dropped);
        assert!(!peer.is_writing() && !peer.is_idle());
        drop((read, answered));
        assert!(!peer.is_writing() && peer.is_idle());
    }

    #[test]
    fn a_call_is_counted_once_and_as_canceled_where_it_is_dropped() {
        let desk = Arc::new(Desk { metrics: Arc::new(Metrics::new(false)), slow: Duration::from_secs(1) });
        let put = Method::of_path("/etcdserverpb.KV/Put").expect("known");
        let peer = Peer::at(None);
        let mut call = Call::begin(&desk, put, &peer, None);
        call.end(0);
        call.end(2);
        drop(call);
        drop(Call::begin(&desk, put, &peer, None));
        let page = desk.metrics.render(&crate::metrics::Scrape::default());
        let count = |code: &str| {
            let labels = "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
            let series = format!("grpc_server_handled_total{{grpc_code=\"{code}\",{labels}}} ");
            page.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned)
        };
        assert_eq!(count("OK").as_deref(), Some("1"));
        assert_eq!(count("Canceled").as_deref(), Some("1"));
        assert_eq!(count("Unknown").as_deref(), Some("0"));
    }
}
