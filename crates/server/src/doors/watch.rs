//! The Watch service. Answers come from the hub already encoded, so the service has a codec of its own.

use super::admission::{admit, wants_leader};
use crate::metrics::{Direction, Metrics, StreamApi};
use crate::run::front::{Front, LEADERLESS_TIMEOUTS_MAX, status};
use crate::run::watching::WatchStream;
use mvcc::watch::{Output, OutputKind};
use proto::errors::ClientError;
use proto::etcdserverpb::WatchRequest;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Request, Response, Status, Streaming};

/// The door for watches.
#[derive(Clone)]
pub struct WatchDoor {
    pub front: Front,
}

type Answers = Pin<Box<dyn Stream<Item = Result<Output, Status>> + Send>>;

impl WatchDoor {
    /// Serves `/etcdserverpb.Watch/Watch`.
    pub async fn call<B>(
        self,
        request: http::Request<B>,
        receive_bytes_max: usize,
    ) -> Result<http::Response<Body>, Infallible>
    where
        B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send> + Send + 'static,
    {
        let mut grpc =
            Grpc::new(WatchCodec(self.front.shared.metrics.clone())).max_decoding_message_size(receive_bytes_max);
        Ok(grpc.streaming(self, request).await)
    }

    fn open(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Answers>, Status> {
        admit(&self.front, request.metadata())?;
        let session = Session {
            stream: self.front.watching.open(),
            wants_leader: wants_leader(request.metadata()),
            requests: Some(request.into_inner()),
            front: self.front.clone(),
            leaderless: 0,
        };
        let answers = futures_util::stream::unfold(Some(session), |session| async move {
            let mut session = session?;
            match session.next().await {
                Ok(output) => Some((Ok(output), Some(session))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl StreamingService<WatchRequest> for WatchDoor {
    type Response = Output;
    type ResponseStream = Answers;
    type Future = Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<WatchRequest>>) -> Self::Future {
        ready(self.open(request))
    }
}

/// One watch stream as the client sees it.
struct Session {
    front: Front,
    stream: WatchStream,
    /// `None` once the client has half-closed, which does not end the stream.
    requests: Option<Streaming<WatchRequest>>,
    wants_leader: bool,
    /// Election timeouts without a leader in a row.
    leaderless: u32,
}

impl Session {
    async fn next(&mut self) -> Result<Output, Status> {
        loop {
            if let Some(output) = self.stream.next() {
                if output.kind() == OutputKind::Events {
                    self.front.shared.metrics.watch_events.add(output.event_count() as u64);
                }
                return Ok(output);
            }
            let readable = self.requests.is_some() && !self.stream.is_full();
            let requests = &mut self.requests;
            let request = async {
                match requests {
                    Some(requests) => requests.message().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = request, if readable => match request.map_err(|status| broken(&self.front, status))? {
                    Some(request) => self.stream.request(&request),
                    None => self.requests = None,
                },
                () = self.stream.woken.notified() => {}
                () = tokio::time::sleep(self.front.shared.limits.election_timeout), if self.wants_leader => self.look_for_leader()?,
                () = self.front.stopped() => return Err(status(ClientError::Stopped)),
            }
        }
    }

    fn look_for_leader(&mut self) -> Result<(), Status> {
        self.leaderless = if self.front.shared.status.get().leader == 0 { self.leaderless + 1 } else { 0 };
        if self.leaderless >= LEADERLESS_TIMEOUTS_MAX { Err(status(ClientError::NoLeader)) } else { Ok(()) }
    }
}

/// Reading a stream has failed. One that its client has canceled is not broken.
fn broken(front: &Front, status: Status) -> Status {
    if status.code() != Code::Cancelled {
        front.shared.metrics.stream_failures.count(StreamApi::Watch, Direction::Receive);
    }
    super::dialect::translate_status(status)
}

/// Requests by `prost`, answers as the hub encodes them.
#[derive(Clone)]
struct WatchCodec(Arc<Metrics>);

impl Codec for WatchCodec {
    type Encode = Output;
    type Decode = WatchRequest;
    type Encoder = OutputEncoder;
    type Decoder = <tonic_prost::ProstCodec<WatchRequest, WatchRequest> as Codec>::Decoder;

    fn encoder(&mut self) -> OutputEncoder {
        OutputEncoder(self.0.clone())
    }

    fn decoder(&mut self) -> Self::Decoder {
        tonic_prost::ProstCodec::<WatchRequest, WatchRequest>::default().decoder()
    }
}

/// Writes answers, and measures that.
struct OutputEncoder(Arc<Metrics>);

impl Encoder for OutputEncoder {
    type Item = Output;
    type Error = Status;

    fn encode(&mut self, output: Output, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let began = Instant::now();
        buffer.reserve(output.encoded_len());
        output.encode(buffer);
        let (took, events) = (began.elapsed(), output.event_count());
        match u32::try_from(events) {
            Ok(0) => self.0.watch_control.observe(took),
            count => {
                self.0.watch_send.observe(took);
                self.0.watch_send_per_event.observe(took / count.unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}
