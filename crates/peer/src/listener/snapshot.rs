//! `POST /raft/snapshot`: a database and the message that it belongs to.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use proto::raftpb::{Message, MessageType};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::answer::{self, Reply};
use super::{Origin, body, raft};
use crate::codec::{EnvelopeDecoder, Input, clear_local};
use crate::observer::Sender;
use crate::transport::{Shared, deliver};
use crate::wire::headers;

/// Pieces that may wait to be written.
const PIECES_AHEAD: usize = 8;
/// How long the sender may send nothing: it reads from a disk that may be busy.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// Receives a snapshot: the database is made durable, then the message handed on.
pub(super) async fn receive(origin: &Origin, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let reply = take(origin, &head.headers, body).await.unwrap_or_else(answer::last);
    raft::of_cluster(&origin.shared, reply)
}

async fn take(origin: &Origin, request: &HeaderMap, mut body: Incoming) -> Result<Reply, Reply> {
    let shared = &origin.shared;
    if let Err(refusal) = raft::check_sender(shared, request) {
        shared.observer.snapshot_receive_refused(Sender::UnknownSnapshot);
        return Err(refusal);
    }
    raft::note_sender(origin, request);
    let mut input = Input::default();
    let message = match envelope(&mut body, &mut input).await {
        Ok(message) => message,
        Err(error) => {
            tracing::warn!("remote-addr" = %origin.address, %error, "failed to decode Raft message");
            shared.observer.received_failure(Sender::Address(&origin.address));
            shared.observer.snapshot_receive_refused(Sender::UnknownSnapshot);
            return Err(answer::text(StatusCode::BAD_REQUEST, &format!("failed to decode raft message ({error})")));
        }
    };
    let from = message.from;
    if let Err(refusal) = check(origin, &message, headers::read_id(request, headers::SERVER_FROM)) {
        shared.observer.snapshot_receive_refused(Sender::Member(from));
        return Err(refusal);
    }
    let Ok(_place) = shared.receiving.clone().try_acquire_owned() else {
        shared.observer.snapshot_receive_refused(Sender::Member(from));
        return Err(not_saved("too many snapshots are being received"));
    };
    shared.observer.snapshot_receive_began(from);
    let began = Instant::now();
    let saved = save(shared, message, body, input).await;
    shared.observer.snapshot_receive_ended(from, saved.as_ref().map(|_| began.elapsed()).map_err(|_| ()));
    let (message, bytes) = saved.map_err(|error| {
        tracing::warn!("remote-snapshot-sender-id" = %format!("{from:x}"), %error, "failed to receive database snapshot");
        shared.observer.received_failure(Sender::Member(from));
        not_saved(&error.to_string())
    })?;
    shared.observer.received_bytes(from, bytes);
    tell_received(from, bytes, began.elapsed());
    match deliver(shared, from, vec![message], Vec::new()) {
        0 => Ok(answer::no_content()),
        _ => Err(not_processed("the member is busy")),
    }
}

fn tell_received(from: u64, bytes: u64, took: Duration) {
    tracing::info!(
        "remote-snapshot-sender-id" = %format!("{from:x}"),
        "incoming-snapshot-size-bytes" = bytes,
        took = %format!("{took:?}"),
        "received and saved database snapshot"
    );
}

fn not_saved(why: &str) -> Reply {
    answer::text(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to save KV snapshot ({why})"))
}

fn not_processed(why: &str) -> Reply {
    answer::text(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to process raft message ({why})"))
}

/// The message ahead of the database.
async fn envelope(body: &mut Incoming, input: &mut Input) -> Result<Message, String> {
    let mut decoder = EnvelopeDecoder::default();
    loop {
        if let Some(message) = decoder.next(input).map_err(|error| error.to_string())? {
            return Ok(message);
        }
        match body::next_piece(body, SILENT_MAX).await {
            Ok(Some(piece)) => input.push(piece),
            Ok(None) => return Err("unexpected EOF".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Whether the message may come with a database at all, before anything is written.
fn check(origin: &Origin, message: &Message, sender: Option<u64>) -> Result<(), Reply> {
    let shared = &origin.shared;
    if message.msg_type != MessageType::MsgSnap as i32 {
        tracing::warn!("message-type" = message.msg_type, "unexpected Raft message type");
        return Err(answer::text(StatusCode::BAD_REQUEST, "wrong raft message type"));
    }
    let metadata = message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
    if metadata.is_none_or(|metadata| metadata.index == 0 || metadata.term == 0) {
        return Err(answer::text(StatusCode::BAD_REQUEST, "failed to decode raft message (the snapshot is empty)"));
    }
    if shared.host.is_removed(message.from) {
        return Err(not_processed("cannot process message from removed member"));
    }
    let forged = message.from == 0 || sender.is_some_and(|sender| sender != message.from);
    if forged || message.to != shared.config.identity.member {
        return Err(not_processed("the message is not from its sender, or not for this member"));
    }
    Ok(())
}

/// Writes the database on a thread that may block. Returns the message, and how many bytes came with it.
async fn save(
    shared: &Arc<Shared>,
    mut message: Message,
    mut body: Incoming,
    mut input: Input,
) -> io::Result<(Message, u64)> {
    clear_local(&mut message);
    let (pieces, writer) = write(shared, &message);
    let mut bytes = 0;
    let mut next = Some(input.take_rest());
    while let Some(piece) = next {
        bytes += piece.len() as u64;
        // An end before the end means that the writer has failed, and says why.
        if !piece.is_empty() && pieces.send(Piece::Bytes(piece)).await.is_err() {
            break;
        }
        next = body::next_piece(&mut body, SILENT_MAX).await.map_err(io::Error::other)?;
    }
    // The same.
    drop(pieces.send(Piece::End).await);
    writer.await.map_err(io::Error::other)??;
    Ok((message, bytes))
}

enum Piece {
    Bytes(Bytes),
    /// The body has come to its proper end.
    End,
}

/// The writer gives up when the pieces end without [`Piece::End`].
fn write(shared: &Arc<Shared>, message: &Message) -> (mpsc::Sender<Piece>, JoinHandle<io::Result<()>>) {
    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let (host, message) = (shared.host.clone(), message.clone());
    let writer = tokio::task::spawn_blocking(move || {
        let mut sink = host.receive_snapshot(&message)?;
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => sink.write(&bytes)?,
                Some(Piece::End) => return sink.finish(),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF")),
            }
        }
    });
    (sender, writer)
}
