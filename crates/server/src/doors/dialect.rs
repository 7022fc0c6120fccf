//! Answers that the gRPC library makes itself, or that stand for what is not there, in the words of the library that etcd uses.

use crate::metrics::Method;
use http::{HeaderMap, StatusCode, header};
use tonic::body::Body;
use tonic::{Code, Status};

/// What the library says of a message above the limit: `found N bytes, the limit is: M bytes`.
const TOO_LARGE: &str = "Error, decoded message length too large: found ";

/// The answer to a request for a method that is not there.
pub fn unknown(path: &str) -> Status {
    let Some((service, method)) = path.strip_prefix('/').unwrap_or(path).rsplit_once('/') else {
        return Status::unimplemented(format!("malformed method name: \"{}\"", path.escape_default()));
    };
    if Method::knows_service(service) {
        Status::unimplemented(format!("unknown method {method} for service {service}"))
    } else {
        Status::unimplemented(format!("unknown service {service}"))
    }
}

/// The answer for authentication, which is part of the contract and not of this release.
pub fn no_auth() -> Status {
    Status::unimplemented("etcdserver: authentication is not supported by this release")
}

/// The answer to an HTTP/2 request that is no gRPC, where only gRPC is spoken.
pub fn not_grpc(headers: &HeaderMap) -> http::Response<Body> {
    let given = headers.get(header::CONTENT_TYPE).map(|t| String::from_utf8_lossy(t.as_bytes()).into_owned());
    let given = given.unwrap_or_default();
    let text = format!("invalid gRPC request content-type \"{}\"", given.escape_default());
    let mut answer = Status::invalid_argument(text).into_http();
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    answer
}

/// Translates what the library answered itself before anything was sent; everything else passes.
pub fn translate(answer: http::Response<Body>) -> http::Response<Body> {
    if super::meter::code_in(answer.headers()) != Some(Code::OutOfRange) {
        return answer;
    }
    match Status::from_header_map(answer.headers()).and_then(|status| too_large(status.message())) {
        Some(status) => status.into_http(),
        None => answer,
    }
}

/// Translates what the library says while it reads a stream of requests.
pub fn translate_status(status: Status) -> Status {
    too_large(status.message()).unwrap_or(status)
}

fn too_large(message: &str) -> Option<Status> {
    let (found, limit) = message.strip_prefix(TOO_LARGE)?.split_once(" bytes, the limit is: ")?;
    let limit = limit.trim_end_matches(" bytes");
    Some(Status::resource_exhausted(format!("grpc: received message larger than max ({found} vs. {limit})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_above_the_limit_is_told_in_etcds_words() {
        let library = "Error, decoded message length too large: found 3000000 bytes, the limit is: 2097152 bytes";
        let told = translate_status(Status::out_of_range(library));
        assert_eq!(told.code(), Code::ResourceExhausted);
        assert_eq!(told.message(), "grpc: received message larger than max (3000000 vs. 2097152)");
        let answer = translate(Status::out_of_range(library).into_http());
        assert_eq!(super::super::meter::code_in(answer.headers()), Some(Code::ResourceExhausted));
        let other = Status::out_of_range("etcdserver: mvcc: required revision has been compacted");
        assert_eq!(translate_status(other).code(), Code::OutOfRange);
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (path, text) in [
            ("/etcdserverpb.KV/Nope", "unknown method Nope for service etcdserverpb.KV"),
            ("/no.Service/Range", "unknown service no.Service"),
            ("/a/b/c", "unknown service a/b"),
            ("/nothing", "malformed method name: \"/nothing\""),
        ] {
            let status = unknown(path);
            assert_eq!((status.code(), status.message()), (Code::Unimplemented, text));
        }
    }
}
