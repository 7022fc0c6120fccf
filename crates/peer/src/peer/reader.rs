//! An incoming stream: this member dials and reads what the peer writes on the answer's body.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use proto::raftpb::{Message, MessageType};
use state::Version;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Peer, StreamKind, Way};
use crate::codec::{AppendDecoder, CodecError, Decoded, Input, MessageDecoder, admit};
use crate::config::{DIAL_PAUSE_MAX, DIAL_PAUSE_MIN, SILENCE_MAX};
use crate::observer::Sender;
use crate::transport::deliver;
use crate::wire::{CallError, headers, read_body};

/// The oldest and newest releases that are known to have both kinds of streams.
const STREAMS_SINCE: Version = Version::new(2, 1);
const STREAMS_UNTIL: Version = Version::V3_7;
/// Bodies of refusals are read up to this length.
const REFUSAL_BYTES_MAX: usize = 4096;

/// Why there is no stream, or no more.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("this member was removed from the cluster")]
    Removed,
    #[error("the peer answered {0}: {1}")]
    Refused(StatusCode, String),
    #[error("the peer's version {0:?} doesn't know this kind of stream")]
    Unsupported(Option<Version>),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("{0}")]
    Broken(hyper::Error),
    #[error("EOF")]
    Eof,
    #[error("nothing was heard for {SILENCE_MAX:?}")]
    Silent,
}

/// Keeps one kind of stream open as long as the peer is a peer.
pub(super) async fn read(peer: Arc<Peer>, kind: StreamKind) {
    let mut pause = DIAL_PAUSE_MIN;
    loop {
        let began = Instant::now();
        match open(&peer, kind).await {
            Ok(body) => {
                pause = DIAL_PAUSE_MIN;
                follow(&peer, kind, body).await;
            }
            Err(Ended::Removed) => {
                tracing::error!(
                    "remote-peer-id" = %format!("{:x}", peer.id),
                    "the member has been permanently removed from the cluster"
                );
                peer.shared.host.removed_self();
                pause = DIAL_PAUSE_MAX;
            }
            Err(error) => {
                tracing::debug!(
                    "stream-reader-type" = kind.name(),
                    "remote-peer-id" = %format!("{:x}", peer.id),
                    %error,
                    "no stream"
                );
                pause = (pause * 3 / 2).min(DIAL_PAUSE_MAX);
            }
        }
        rest(&peer, began, pause).await;
    }
}

/// Waits until the next attempt may be made. A peer that has shown itself is tried as soon as the shortest pause is over.
async fn rest(peer: &Peer, began: Instant, pause: Duration) {
    sleep_until(began + DIAL_PAUSE_MIN).await;
    tokio::select! {
        () = sleep_until(began + pause) => {}
        () = peer.seen.notified() => {}
    }
}

async fn open(peer: &Peer, kind: StreamKind) -> Result<Incoming, Ended> {
    let config = &peer.shared.config;
    let Some(url) = peer.urls().pick() else {
        return Err(Ended::Refused(StatusCode::BAD_GATEWAY, "the peer has no usable URL".to_owned()));
    };
    let path = format!("/raft/stream/{}/{:x}", kind.path(), config.identity.member);
    let mut headers = headers::of_sender(&config.identity);
    headers.insert(headers::RAFT_TO, headers::id(peer.id));
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let patience = config.dial_timeout + SILENCE_MAX;
    let asking = peer.shared.caller.begin(&url, Method::GET, &path, headers, body, SILENCE_MAX);
    let answer = timeout(patience, asking).await;
    let outcome = match answer.unwrap_or(Err(CallError::TimedOut(patience))) {
        Ok(answer) => judge(config.identity.version, answer).await,
        Err(error) => Err(error.into()),
    };
    if outcome.is_err() {
        peer.urls().failed(&url);
    }
    outcome
}

/// Whether the answer is a stream.
async fn judge(own: Version, answer: Response<Incoming>) -> Result<Incoming, Ended> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::GONE => return Err(Ended::Removed),
        status => {
            let text = timeout(SILENCE_MAX, read_body(answer.into_body(), REFUSAL_BYTES_MAX)).await;
            let text = text.ok().and_then(Result::ok).unwrap_or_default();
            return Err(Ended::Refused(status, String::from_utf8_lossy(&text).trim().to_owned()));
        }
    }
    match peer_version(answer.headers()) {
        Some(version) if version >= own.minor_line() => Ok(answer.into_body()),
        Some(version) if (STREAMS_SINCE..=STREAMS_UNTIL).contains(&version) => Ok(answer.into_body()),
        other => Err(Ended::Unsupported(other)),
    }
}

fn peer_version(headers: &HeaderMap) -> Option<Version> {
    headers::read_version(headers, headers::SERVER_VERSION).map(Version::minor_line)
}

/// Reads an open stream to its end.
async fn follow(peer: &Arc<Peer>, kind: StreamKind, body: Incoming) {
    let remote_peer_id = format!("{:x}", peer.id);
    let (stream_reader_type, local_member_id) = (kind.name(), peer.local());
    tracing::info!(
        "stream-reader-type" = stream_reader_type,
        "local-member-id" = %local_member_id,
        "remote-peer-id" = %remote_peer_id,
        "established TCP streaming connection with remote peer"
    );
    let open = Open::new(peer, kind);
    let error = take_all(peer, kind, body).await;
    if matches!(error, Ended::Codec(_)) {
        peer.shared.observer.received_failure(Sender::Member(peer.id));
    }
    tracing::warn!(
        "stream-reader-type" = stream_reader_type,
        "local-member-id" = %local_member_id,
        "remote-peer-id" = %remote_peer_id,
        %error,
        "lost TCP streaming connection with remote peer"
    );
    drop(open);
}

/// The stream counts as open while this lives.
struct Open<'a>(&'a Peer, StreamKind);

impl<'a> Open<'a> {
    fn new(peer: &'a Peer, kind: StreamKind) -> Open<'a> {
        peer.stream_changed(Way::In, kind, true, &"");
        Open(peer, kind)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.stream_changed(Way::In, self.1, false, &"the stream ended");
    }
}

enum Decoder {
    Append(AppendDecoder),
    Message(MessageDecoder),
}

impl Decoder {
    fn next(&mut self, input: &mut Input) -> Result<Option<Decoded>, CodecError> {
        match self {
            Decoder::Append(decoder) => decoder.next(input),
            Decoder::Message(decoder) => decoder.next(input),
        }
    }
}

async fn take_all(peer: &Arc<Peer>, kind: StreamKind, mut body: Incoming) -> Ended {
    let mut input = Input::default();
    let mut decoder = match kind {
        StreamKind::Append => Decoder::Append(AppendDecoder::new(peer.shared.config.identity.member, peer.id)),
        StreamKind::Message => Decoder::Message(MessageDecoder::default()),
    };
    loop {
        let frame = match timeout(SILENCE_MAX, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Ended::Broken(error),
            Ok(None) => return Ended::Eof,
            Err(_) => return Ended::Silent,
        };
        let Ok(chunk) = frame.into_data() else { continue };
        if let Err(error) = take_chunk(peer, &mut decoder, &mut input, chunk) {
            return error.into();
        }
    }
}

/// Hands on what a chunk completes. Whatever stands before bytes that follow no rule is still handed on.
fn take_chunk(peer: &Peer, decoder: &mut Decoder, input: &mut Input, chunk: Bytes) -> Result<(), CodecError> {
    let shared = &peer.shared;
    input.push(chunk);
    let (mut messages, mut proposals) = (Vec::new(), Vec::new());
    let outcome = loop {
        let message = match decoder.next(input) {
            Ok(Some(Decoded::Heartbeat { bytes })) => {
                shared.observer.received_bytes(0, bytes);
                continue;
            }
            Ok(Some(Decoded::Message { message, bytes })) => {
                shared.observer.received_bytes(message.from, bytes);
                message
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        match admit(message, shared.config.identity.member, Some(peer.id)) {
            Ok(message) if is_proposal(&message) => proposals.push(message),
            Ok(message) => messages.push(message),
            Err(error) => {
                shared.observer.received_failure(Sender::Member(peer.id));
                tracing::warn!("remote-peer-id" = %format!("{:x}", peer.id), %error, "refused a message of a peer");
            }
        }
    };
    deliver(shared, peer.id, messages, proposals);
    outcome
}

fn is_proposal(message: &Message) -> bool {
    message.msg_type == MessageType::MsgProp as i32
}
