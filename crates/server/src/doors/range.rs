//! The call Range, on a lane of its own: the answer is encoded straight from the store's records, a small one at once, a large
//! one in two passes over one view: first its length, then its bytes as the client takes them.

use super::admission::{admit_headers, admit_range};
use super::answer::{Answer, BYTES_MAX};
use super::kv::on_reader_thread;
use super::meter::{Call, Details, Inward, PREFIX_BYTES};
use super::{code_of, dialect};
use crate::logging::lines::{self, SlowApply};
use crate::metrics::Op;
use crate::run::front::{Failure, Front, status};
use crate::run::pins::Pinned;
use crate::run::words;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use mvcc::{EncodedRange, View};
use prost::Message;
use proto::etcdserverpb::{RangeRequest, RangeResponse};
use state::{StateView, checks, kv};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tonic::codec::{Codec, Streaming};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// The path of its requests.
pub const PATH: &str = "/etcdserverpb.KV/Range";

/// Ranges of no more keys are read on the front-door thread, if they are not expected to be large.
const INLINE_KEYS_MAX: usize = 1000;
/// So few keys are read there in any case.
const FEW_KEYS: usize = 16;
/// Bytes that a range is expected to have at most, to be read there; and those of an answer that is sent in one piece.
const INLINE_BYTES_MAX: usize = 256 << 10;
/// Bytes of one piece of a larger answer.
const PIECE_BYTES: usize = 256 << 10;
/// How long a large answer may hold its view.
const AGE_MAX: Duration = Duration::from_secs(600);

/// Serves one call.
pub async fn serve(
    front: Front,
    request: http::Request<Inward<Incoming>>,
    mut call: Call,
    receive_bytes_max: usize,
) -> http::Response<Answer> {
    match answer(&front, request, receive_bytes_max).await {
        Ok(ready) => {
            call.log_unary(ready.details.as_ref());
            let mut response = http::Response::new(Answer::Range(ready.into_body(&front, call)));
            let content_type = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
            response
        }
        Err(refusal) => {
            call.log_unary(None);
            call.end(code_of(&refusal));
            refusal.into_http::<tonic::body::Body>().map(Answer::plain)
        }
    }
}

/// An answer before it is sent.
struct Ready {
    /// The fields before the keys, and those after them.
    head: RangeResponse,
    tail: RangeResponse,
    range: EncodedRange<View>,
    details: Option<Details>,
}

async fn answer(
    front: &Front,
    request: http::Request<Inward<Incoming>>,
    receive_bytes_max: usize,
) -> Result<Ready, Status> {
    let (parts, body) = request.into_parts();
    let request = read(&parts.headers, body, receive_bytes_max).await?;
    admit_range(front, request.serializable)?;
    admit_headers(front, &parts.headers)?;
    checks::range(&request).map_err(status)?;
    let began = Instant::now();
    let outcome = range(front, request.clone()).await;
    let took = began.elapsed();
    front.shared.metrics.requests.observe(Op::Range, outcome.is_ok(), took);
    if took > front.shared.limits.slow_apply {
        log_slow(front, &request, took, &outcome);
    }
    let mut ready = outcome?;
    if took > front.shared.limits.slow_call {
        ready.details = Some(ready.details_of(&request));
    }
    Ok(ready)
}

/// Reads the one message of a unary call.
async fn read<B>(headers: &HeaderMap, body: B, receive_bytes_max: usize) -> Result<RangeRequest, Status>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    if let Some(encoding) = headers.get("grpc-encoding").filter(|encoding| encoding.as_bytes() != b"identity") {
        let name = String::from_utf8_lossy(encoding.as_bytes());
        return Err(Status::unimplemented(format!("grpc: Decompressor is not installed for grpc-encoding \"{name}\"")));
    }
    let decoder = ProstCodec::<RangeResponse, RangeRequest>::default().decoder();
    let mut messages = Streaming::new_request(decoder, body, None, Some(receive_bytes_max));
    let message = messages.message().await.map_err(dialect::translate_status)?;
    let message = message.ok_or_else(|| Status::internal("Missing request message."))?;
    // To its end, so that the stream is not reset.
    messages.trailers().await?;
    Ok(message)
}

async fn range(front: &Front, request: RangeRequest) -> Result<Ready, Failure> {
    if !request.serializable {
        front.read_index().await?;
    }
    let view = front.view();
    let began = Instant::now();
    let inline = is_small(front, &view, &request);
    let query = kv::query(&request, front.shared.version);
    let keys = view.kv().clone();
    let encode = move || keys.range(&query).and_then(|range| range.encode());
    let encoded = if inline { encode() } else { on_reader_thread(encode).await? };
    front.shared.metrics.ranges_run.inc();
    front.shared.metrics.ranges.observe(Op::Range, encoded.is_ok(), began.elapsed());
    let range = encoded?;
    let found = range.range();
    let head = RangeResponse { header: Some(front.header(&view, found.revision())), ..Default::default() };
    let tail = RangeResponse { more: found.more(), count: found.count(), ..Default::default() };
    let ready = Ready { head, tail, range, details: None };
    if ready.message_len() > BYTES_MAX {
        return Err(Failure::TooLarge { bytes: ready.message_len(), max: BYTES_MAX });
    }
    Ok(ready)
}

/// Whether a range is read on the front-door thread: its walk and its records are expected to be short.
fn is_small(front: &Front, view: &StateView, request: &RangeRequest) -> bool {
    if request.range_end.is_empty() {
        return true;
    }
    let keys = view.kv().count_up_to(&request.key, &request.range_end, INLINE_KEYS_MAX + 1);
    if keys <= FEW_KEYS || request.count_only {
        return keys <= INLINE_KEYS_MAX;
    }
    let all_keys = usize::try_from(front.shared.figures.live_keys()).unwrap_or_default().max(1);
    let bytes_each = usize::try_from(view.kv().size_in_use()).unwrap_or(usize::MAX) / all_keys;
    keys <= INLINE_KEYS_MAX && bytes_each.saturating_mul(keys) <= INLINE_BYTES_MAX
}

fn log_slow(front: &Front, request: &RangeRequest, took: Duration, outcome: &Result<Ready, Failure>) {
    front.shared.metrics.slow_apply.inc();
    let error = outcome.as_ref().err().map(ToString::to_string);
    let response = outcome.as_ref().map(|ready| words::of_range(ready.range.range().len(), ready.message_len()));
    lines::apply_took_too_long(&SlowApply {
        took,
        expected: front.shared.limits.slow_apply,
        prefix: "read-only range ",
        request: &words::range(request),
        response: &response.unwrap_or_default(),
        error: error.as_deref(),
    });
}

impl Ready {
    fn message_len(&self) -> usize {
        self.head.encoded_len() + self.range.len() + self.tail.encoded_len()
    }

    fn details_of(&self, request: &RangeRequest) -> Details {
        Details {
            request_count: 0,
            request_size: request.encoded_len() as i64,
            response_count: self.range.range().count(),
            response_size: self.message_len() as i64,
            content: words::range(request),
        }
    }

    fn into_body(self, front: &Front, call: Call) -> RangeBody {
        let len = self.message_len();
        let at_once = self.range.len() <= INLINE_BYTES_MAX;
        let room = if at_once { PREFIX_BYTES + len } else { PREFIX_BYTES + self.head.encoded_len() };
        let mut first = BytesMut::with_capacity(room);
        first.put_u8(0);
        first.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
        self.head.encode_raw(&mut first);
        let tail = Bytes::from(self.tail.encode_to_vec());
        let rest = Piece { range: self.range, tail };
        let stage = if at_once { Stage::AtOnce(first, rest) } else { Stage::First(first.freeze(), rest) };
        RangeBody { stage, call, front: front.clone(), len: len as u64 }
    }
}

/// What is still to be read of an answer.
struct Piece {
    range: EncodedRange<View>,
    tail: Bytes,
}

impl Piece {
    /// Fills up to about `bytes_min`; the tail follows the last key. True at the end.
    fn fill(&mut self, out: &mut BytesMut, bytes_min: usize) -> mvcc::Result<bool> {
        let ended = !self.range.fill(out, bytes_min)?;
        if ended {
            out.extend_from_slice(&self.tail);
        }
        Ok(ended)
    }
}

type Read = JoinHandle<(Piece, mvcc::Result<(Bytes, bool)>)>;

enum Stage {
    /// Everything in one piece behind these bytes.
    AtOnce(BytesMut, Piece),
    /// These bytes, then pieces.
    First(Bytes, Piece),
    /// The client is taking a piece.
    Lying(Pinned<Piece>),
    /// The next piece is being read.
    Reading(Pinned<Piece>, Read),
    Trailers,
    Ended,
}

/// The body of an answer to Range.
pub struct RangeBody {
    stage: Stage,
    call: Call,
    front: Front,
    /// Length of the message.
    len: u64,
}

impl RangeBody {
    /// A frame of data, or what went wrong with it.
    fn send(
        &mut self,
        piece: mvcc::Result<(Bytes, bool)>,
        pinned: Option<Pinned<Piece>>,
    ) -> Result<Frame<Bytes>, Status> {
        match piece {
            Ok((bytes, ended)) => {
                self.stage = match pinned {
                    Some(pinned) if !ended => Stage::Lying(pinned),
                    _ => Stage::Trailers,
                };
                Ok(Frame::data(bytes))
            }
            Err(failure) => Err(self.fail(Failure::from(failure).into())),
        }
    }

    fn fail(&mut self, failure: Status) -> Status {
        self.stage = Stage::Ended;
        self.call.end(code_of(&failure));
        failure
    }

    fn start_reading(&mut self, pinned: Pinned<Piece>) -> Result<(), Status> {
        let Some(mut piece) = pinned.take() else {
            return Err(self.fail(Failure::Cut.into()));
        };
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = BytesMut::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
            let ended = piece.fill(&mut bytes, PIECE_BYTES);
            (piece, ended.map(|ended| (bytes.freeze(), ended)))
        });
        self.stage = Stage::Reading(pinned, read);
        Ok(())
    }
}

impl Body for RangeBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.stage, Stage::Ended) {
                Stage::AtOnce(mut out, mut piece) => {
                    this.call.sent(1, this.len);
                    let filled = piece.fill(&mut out, usize::MAX);
                    return Poll::Ready(Some(this.send(filled.map(|_| (out.freeze(), true)), None)));
                }
                Stage::First(bytes, piece) => {
                    this.call.sent(1, this.len);
                    this.stage = Stage::Lying(this.front.shared.figures.pins.hold(piece, AGE_MAX));
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Stage::Lying(pinned) => {
                    if let Err(cut) = this.start_reading(pinned) {
                        return Poll::Ready(Some(Err(cut)));
                    }
                }
                Stage::Reading(pinned, mut read) => {
                    let Poll::Ready(done) = Pin::new(&mut read).poll(context) else {
                        this.stage = Stage::Reading(pinned, read);
                        return Poll::Pending;
                    };
                    let Ok((piece, bytes)) = done else {
                        let stopped = status(proto::errors::ClientError::Stopped);
                        return Poll::Ready(Some(Err(this.fail(stopped))));
                    };
                    pinned.put_back(piece);
                    return Poll::Ready(Some(this.send(bytes, Some(pinned))));
                }
                Stage::Trailers => {
                    this.call.end(Code::Ok as i32);
                    let mut trailers = HeaderMap::with_capacity(1);
                    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
