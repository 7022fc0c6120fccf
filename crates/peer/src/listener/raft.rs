//! Streams and single messages: the checks that stand before them, then their start.

use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use proto::raftpb::{Message, MessageType};

use super::answer::{self, Reply};
use super::{Origin, body, stream_kind};
use crate::codec::{Unfit, admit, decode};
use crate::config::MIN_CLUSTER_VERSION;
use crate::observer::Sender;
use crate::transport::{Shared, deliver};
use crate::wire::headers;

/// Holds the sender's versions and cluster against our own.
pub(super) fn check_sender(shared: &Shared, request: &HeaderMap) -> Result<(), Reply> {
    let identity = &shared.config.identity;
    let version = |name| headers::read_version(request, name).map(|version| version.minor_line());
    let (Some(server), Some(minimum)) = (version(headers::SERVER_VERSION), version(headers::MIN_CLUSTER)) else {
        return Err(answer::text(
            StatusCode::BAD_REQUEST,
            "a version in the request is not of the form major.minor.patch",
        ));
    };
    let told = || format!("{:x}", headers::read_id(request, headers::SERVER_FROM).unwrap_or_default());
    if server < MIN_CLUSTER_VERSION || minimum > identity.version.minor_line() {
        tracing::warn!(
            "local-member-id" = %format!("{:x}", identity.member),
            "remote-peer-id" = %told(),
            "remote-peer-server-version" = %server,
            "remote-peer-minimum-cluster-version" = %minimum,
            "request version incompatibility"
        );
        return Err(answer::text(StatusCode::PRECONDITION_FAILED, "incompatible version"));
    }
    if headers::text(request, headers::CLUSTER_ID) != format!("{:x}", identity.cluster) {
        tracing::warn!(
            "local-member-id" = %format!("{:x}", identity.member),
            "local-member-cluster-id" = %format!("{:x}", identity.cluster),
            "remote-peer-id" = %told(),
            "remote-peer-cluster-id" = headers::text(request, headers::CLUSTER_ID),
            "request cluster ID mismatch"
        );
        return Err(answer::text(StatusCode::PRECONDITION_FAILED, "cluster ID mismatch"));
    }
    Ok(())
}

/// Takes up a sender who is in no member list, by the URLs it tells of.
pub(super) fn note_sender(origin: &Origin, request: &HeaderMap) {
    let urls = headers::text(request, headers::PEER_URLS);
    if let Some(from) = headers::read_id(request, headers::SERVER_FROM).filter(|_| !urls.is_empty()) {
        let urls: Vec<String> = urls.split(',').map(str::to_owned).collect();
        origin.shared.add_remote(from, &urls);
    }
}

/// Every answer of these paths names the cluster.
pub(super) fn of_cluster(shared: &Shared, reply: Reply) -> Reply {
    answer::with(reply, headers::CLUSTER_ID, headers::id(shared.config.identity.cluster))
}

/// `GET /raft/stream/…`; `rest` is what follows in the path.
pub(super) fn stream(origin: &Origin, request: &HeaderMap, rest: &str) -> Reply {
    let shared = &origin.shared;
    let reply = open_stream(origin, request, rest).unwrap_or_else(|refusal| refusal);
    let reply = answer::with(reply, headers::SERVER_VERSION, headers::version(shared.config.identity.version));
    of_cluster(shared, reply)
}

fn open_stream(origin: &Origin, request: &HeaderMap, rest: &str) -> Result<Reply, Reply> {
    let shared = &origin.shared;
    check_sender(shared, request)?;
    let refusal = |status, text| Err(answer::text(status, text));
    let (name, id) = rest.rsplit_once('/').unwrap_or_default();
    let Some(kind) = stream_kind(name) else { return refusal(StatusCode::NOT_FOUND, "invalid path") };
    let Some(from) = headers::parse_id(id) else { return refusal(StatusCode::NOT_FOUND, "invalid from") };
    if shared.host.is_removed(from) {
        tracing::warn!(
            "remote-peer-id" = %format!("{from:x}"),
            "stream-type" = kind.name(),
            "rejected stream from remote peer because it was removed"
        );
        return refusal(StatusCode::GONE, "removed member");
    }
    let Some(peer) = shared.member(from) else {
        note_sender(origin, request);
        tracing::warn!(
            "remote-peer-id" = %format!("{from:x}"),
            "failed to find remote peer in cluster"
        );
        return refusal(StatusCode::NOT_FOUND, "error sender not found");
    };
    let to = headers::text(request, headers::RAFT_TO);
    if to != format!("{:x}", shared.config.identity.member) {
        tracing::warn!("remote-peer-id" = %format!("{from:x}"), to, "ignored streaming request; ID mismatch");
        return refusal(StatusCode::PRECONDITION_FAILED, "to field mismatch");
    }
    Ok(answer::stream(peer.open_stream(kind)))
}

/// `POST /raft`.
pub(super) async fn message(origin: &Origin, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let reply = take(origin, &head.headers, body).await.unwrap_or_else(|refusal| refusal);
    of_cluster(&origin.shared, reply)
}

async fn take(origin: &Origin, request: &HeaderMap, body: Incoming) -> Result<Reply, Reply> {
    let shared = &origin.shared;
    check_sender(shared, request)?;
    note_sender(origin, request);
    let failed = |text: &str| {
        shared.observer.received_failure(Sender::Address(&origin.address));
        answer::text(StatusCode::BAD_REQUEST, text)
    };
    let body = body::read(shared, body, shared.config.limits.body_bytes_max).await.map_err(|error| {
        tracing::warn!("remote-addr" = %origin.address, %error, "failed to read Raft message");
        answer::last(failed("error reading raft message"))
    })?;
    let bytes = body.len() as u64;
    let message = decode(body).map_err(|error| {
        tracing::warn!("remote-addr" = %origin.address, %error, "failed to unmarshal Raft message");
        failed("error unmarshalling raft message")
    })?;
    shared.observer.received_bytes(message.from, bytes);
    step(origin, message, headers::read_id(request, headers::SERVER_FROM))
}

/// Hands a message on, or says why not.
fn step(origin: &Origin, message: Message, sender: Option<u64>) -> Result<Reply, Reply> {
    let shared = &origin.shared;
    // As etcd: an error here ends the connection.
    let refused = || answer::last(answer::text(StatusCode::INTERNAL_SERVER_ERROR, "error processing raft message"));
    let from = message.from;
    if shared.host.is_removed(from) || sender.is_some_and(|sender| shared.host.is_removed(sender)) {
        tracing::warn!("remote-peer-id" = %format!("{from:x}"), "rejected Raft message from removed member");
        return Err(refused());
    }
    let message = match admit(message, shared.config.identity.member, sender) {
        Ok(message) => message,
        Err(error) => {
            shared.observer.received_failure(Sender::Address(&origin.address));
            tracing::warn!("remote-peer-id" = %format!("{from:x}"), %error, "refused a Raft message");
            return match error {
                // etcd takes these and does nothing with them.
                Unfit::Type(_) | Unfit::Gap => Ok(answer::no_content()),
                Unfit::To(_) | Unfit::From(_) | Unfit::Snapshot => Err(refused()),
            };
        }
    };
    let is_proposal = message.msg_type == MessageType::MsgProp as i32;
    let (messages, proposals) = if is_proposal { (Vec::new(), vec![message]) } else { (vec![message], Vec::new()) };
    match deliver(shared, from, messages, proposals) {
        0 => Ok(answer::no_content()),
        _ => Err(refused()),
    }
}
