//! The pipeline: one POST for each message, while streams are down and for those who have none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use prost::Message as _;

use super::Peer;
use crate::wire::{Call, CallError, headers};

/// How long the other end may take beyond the time for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers are read up to this length.
const ANSWER_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the peer has no usable URL")]
    NoUrl,
    #[error("{0}")]
    Refused(String),
    #[error("the member has been permanently removed from the cluster")]
    Removed,
    #[error("unexpected http status {0} while posting")]
    Status(StatusCode),
}

/// One of several workers.
pub(super) async fn work(peer: Arc<Peer>) {
    loop {
        let body = Bytes::from(peer.pipeline.pop().await.encode_to_vec());
        let bytes = body.len() as u64;
        match post(&peer, body).await {
            Ok(()) => {
                peer.posted(Ok(()));
                peer.shared.observer.sent_bytes(peer.id, bytes);
            }
            Err(error) => {
                peer.posted(Err(&error));
                peer.failed(1);
                if matches!(error, Failed::Removed) {
                    tracing::error!("remote-peer-id" = %format!("{:x}", peer.id), %error, "a peer refuses this member");
                    peer.shared.host.removed_self();
                }
            }
        }
    }
}

async fn post(peer: &Peer, body: Bytes) -> Result<(), Failed> {
    let url = peer.urls().pick().ok_or(Failed::NoUrl)?;
    let config = &peer.shared.config;
    let mut headers = headers::of_sender(&config.identity);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/protobuf"));
    let call = Call { method: Method::POST, path: "/raft".to_owned(), headers, body };
    let answer = peer.shared.caller.ask(&url, call, ANSWER_BYTES_MAX, config.dial_timeout + PATIENCE).await;
    let outcome = match answer {
        Ok(answer) => judge(peer, answer.status(), answer.body()),
        Err(error) => Err(error.into()),
    };
    if outcome.is_err() {
        peer.urls().failed(&url);
    }
    outcome
}

fn judge(peer: &Peer, status: StatusCode, text: &[u8]) -> Result<(), Failed> {
    match status {
        StatusCode::NO_CONTENT => Ok(()),
        StatusCode::FORBIDDEN => Err(Failed::Removed),
        StatusCode::PRECONDITION_FAILED => {
            let text = String::from_utf8_lossy(text).trim().to_owned();
            tracing::error!(
                "local-member-id" = %peer.local(),
                "remote-peer-id" = %format!("{:x}", peer.id),
                error = %text,
                "request sent was ignored by remote peer"
            );
            Err(Failed::Refused(text))
        }
        other => Err(Failed::Status(other)),
    }
}
