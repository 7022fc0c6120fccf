//! A snapshot to a peer: the message, then the database as it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use proto::raftpb::Message;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;

use super::Peer;
use crate::codec::encode_envelope;
use crate::config::SILENCE_MAX;
use crate::host::SnapshotSource;
use crate::transport::Shared;
use crate::wire::{headers, read_body};

/// Parts of the database that are read ahead.
const PARTS_AHEAD: usize = 4;
/// How long the receiver may take from the last byte to its answer: it makes the database durable in that time.
const ANSWER_PATIENCE: Duration = Duration::from_secs(300);
/// How long the receiver may take nothing: its disk may be busy.
const STALL_MAX: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Tells the host the fate of a snapshot, whatever becomes of the task that sends it.
pub(crate) struct Report {
    shared: Arc<Shared>,
    peer: u64,
    began: Option<Instant>,
    arrived: bool,
}

impl Report {
    pub fn new(shared: &Arc<Shared>, peer: u64) -> Report {
        Report { shared: shared.clone(), peer, began: None, arrived: false }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            let outcome = if self.arrived { Ok(began.elapsed()) } else { Err(()) };
            self.shared.observer.snapshot_send_ended(self.peer, outcome);
        }
        if !self.arrived {
            self.shared.observer.sent_failures(self.peer, 1);
            self.shared.host.unreachable(self.peer);
        }
        self.shared.host.snapshot_report(self.peer, !self.arrived);
    }
}

impl Peer {
    /// Sends a snapshot; `place` is its place among those under way.
    pub fn send_snapshot(
        self: &Arc<Peer>,
        message: Message,
        database: Box<dyn SnapshotSource>,
        mut report: Report,
        place: OwnedSemaphorePermit,
    ) {
        let peer = self.clone();
        self.spawn(async move {
            let (to, index) = (format!("{:x}", peer.id), snapshot_index(&message));
            tracing::info!(%to, "snapshot-index" = index, "sending database snapshot");
            peer.shared.observer.snapshot_send_began(peer.id);
            report.began = Some(Instant::now());
            match post(&peer, &message, database).await {
                Ok(()) => {
                    report.arrived = true;
                    peer.posted(Ok(()));
                    tracing::info!(%to, "snapshot-index" = index, "sent database snapshot");
                }
                Err(error) => {
                    peer.posted(Err(&error));
                    tracing::warn!(%to, "snapshot-index" = index, %error, "failed to send database snapshot");
                }
            }
            drop((report, place));
        });
    }
}

fn snapshot_index(message: &Message) -> u64 {
    message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref()).map_or(0, |metadata| metadata.index)
}

async fn post(peer: &Peer, message: &Message, database: Box<dyn SnapshotSource>) -> Result<(), String> {
    let url = peer.urls().pick().ok_or("the peer has no usable URL")?;
    let mut headers = headers::of_sender(&peer.shared.config.identity);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let (body, ended) = Database::read(encode_envelope(message), database);
    let body = body.boxed_unsync();
    let posting = peer.shared.caller.begin(&url, Method::POST, "/raft/snapshot", headers, body, STALL_MAX);
    // While the body is written, the link's own deadline holds; the answer has its time once all is written.
    let too_late = async {
        // A dropped body has ended too.
        drop(ended.await);
        tokio::time::sleep(ANSWER_PATIENCE).await;
    };
    let answer = tokio::select! {
        answer = posting => answer.map_err(|error| error.to_string()),
        () = too_late => Err("the receiver does not answer".to_owned()),
    };
    let answer = answer.inspect_err(|_| peer.urls().failed(&url))?;
    let status = answer.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    let text = timeout(SILENCE_MAX, read_body(answer.into_body(), ANSWER_BYTES_MAX)).await;
    let text = text.ok().and_then(Result::ok).unwrap_or_default();
    Err(format!("the receiver answered {status}: {}", String::from_utf8_lossy(&text).trim()))
}

/// The body: parts arrive from a thread that may block, a few ahead.
struct Database {
    first: Option<Bytes>,
    parts: mpsc::Receiver<io::Result<Bytes>>,
    ended: Option<oneshot::Sender<()>>,
}

impl Database {
    /// The receiver hears when the last byte was handed over.
    fn read(envelope: Bytes, mut source: Box<dyn SnapshotSource>) -> (Database, oneshot::Receiver<()>) {
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        tokio::task::spawn_blocking(move || {
            loop {
                let part = source.next_part().transpose();
                if matches!(&part, Some(Ok(part)) if part.is_empty()) {
                    continue;
                }
                let last = !matches!(part, Some(Ok(_)));
                // The last thing said is an error, or an empty part: a thread that dies says neither.
                let part = part.unwrap_or(Ok(Bytes::new()));
                if sender.blocking_send(part).is_err() || last {
                    return;
                }
            }
        });
        let (ended, hears) = oneshot::channel();
        (Database { first: Some(envelope), parts, ended: Some(ended) }, hears)
    }
}

impl Body for Database {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        if let Some(first) = body.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let cut = || io::Error::other("the database could not be read to its end");
        match ready!(body.parts.poll_recv(cx)).unwrap_or_else(|| Err(cut())) {
            Ok(part) if part.is_empty() => {
                if let Some(ended) = body.ended.take() {
                    // Nobody may wait any more.
                    let _gone = ended.send(());
                }
                Poll::Ready(None)
            }
            Ok(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}
