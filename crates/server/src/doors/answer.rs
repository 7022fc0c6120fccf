//! The bodies of answers, as hyper sends them.

use super::meter::Outward;
use super::range::RangeBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The largest message that is sent.
pub const BYTES_MAX: usize = i32::MAX as usize;

type BoxError = Box<dyn Error + Send + Sync>;

/// What an answer consists of.
#[expect(clippy::large_enum_variant, reason = "one for each request, which is moved once")]
pub enum Answer {
    Grpc(Outward),
    /// gRPC without a message: everything stands in the headers.
    Plain(tonic::body::Body),
    Range(RangeBody),
    Http(axum::body::Body),
}

impl Answer {
    pub fn plain(body: tonic::body::Body) -> Answer {
        Answer::Plain(body)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Answer::Grpc(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Answer::Plain(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Answer::Range(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Answer::Http(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Grpc(body) => body.is_end_stream(),
            Answer::Plain(body) => body.is_end_stream(),
            Answer::Range(body) => body.is_end_stream(),
            Answer::Http(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Grpc(body) => body.size_hint(),
            Answer::Plain(body) => body.size_hint(),
            Answer::Range(body) => body.size_hint(),
            Answer::Http(body) => body.size_hint(),
        }
    }
}
