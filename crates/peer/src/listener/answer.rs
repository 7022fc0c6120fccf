//! Answers, in the forms that Go's HTTP server gives them.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

use crate::peer::OutgoingStream;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub(super) type Reply = Response<Body>;

fn reply(status: StatusCode, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply
}

/// A failure, or another text, with a line break.
pub(super) fn text(status: StatusCode, text: &str) -> Reply {
    let mut reply = reply(status, Full::new(Bytes::from(format!("{text}\n"))).boxed_unsync());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// The path knows another method only.
pub(super) fn wrong_method(allowed: &'static str) -> Reply {
    with(text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"), ALLOW, HeaderValue::from_static(allowed))
}

/// Taken, nothing to say.
pub(super) fn no_content() -> Reply {
    reply(StatusCode::NO_CONTENT, Empty::new().boxed_unsync())
}

/// A good answer.
pub(super) fn ok(content_type: &'static str, body: Bytes) -> Reply {
    with(reply(StatusCode::OK, Full::new(body).boxed_unsync()), CONTENT_TYPE, HeaderValue::from_static(content_type))
}

/// An open stream.
pub(super) fn stream(stream: OutgoingStream) -> Reply {
    reply(StatusCode::OK, stream.boxed_unsync())
}

/// With one more header.
pub(super) fn with(mut reply: Reply, name: HeaderName, value: HeaderValue) -> Reply {
    reply.headers_mut().insert(name, value);
    reply
}

/// The connection ends after this answer.
pub(super) fn last(reply: Reply) -> Reply {
    with(reply, CONNECTION, HeaderValue::from_static("close"))
}
