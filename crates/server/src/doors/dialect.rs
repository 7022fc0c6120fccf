//! Answers that the gRPC library makes itself, in the words of the library that etcd uses.

use http::HeaderValue;
use tonic::body::Body;
use tonic::{Code, Status};

/// What the library says of a message above the limit: `found N bytes, the limit is: M bytes`.
const TOO_LARGE: &str = "Error, decoded message length too large: found ";

/// The call that an answer belongs to.
pub struct Target {
    /// `package.Service/Method`; empty where the library's own text needs no translation.
    path: String,
}

impl Target {
    pub fn of(path: &str) -> Target {
        Target { path: path.trim_start_matches('/').to_owned() }
    }
}

/// The answer for a service that is not there.
pub fn unknown_service(name: &str) -> http::Response<Body> {
    let text = match name {
        "etcdserverpb.Auth" => "etcdserver: authentication is not supported by this release".to_owned(),
        _ => format!("unknown service {name}"),
    };
    Status::unimplemented(text).into_http()
}

/// Translates what the library answered itself; everything else passes.
pub fn translate(answer: http::Response<Body>, target: &Target) -> http::Response<Body> {
    let Some(code) = answer.headers().get(Status::GRPC_STATUS).map(HeaderValue::as_bytes) else { return answer };
    match Code::from_bytes(code) {
        Code::Unimplemented if !answer.headers().contains_key(Status::GRPC_MESSAGE) => {
            let (service, method) = target.path.split_once('/').unwrap_or_default();
            Status::unimplemented(format!("unknown method {method} for service {service}")).into_http()
        }
        Code::OutOfRange => {
            let status = Status::from_header_map(answer.headers());
            match status.as_ref().and_then(|status| too_large(status.message())) {
                Some(status) => status.into_http(),
                None => answer,
            }
        }
        _ => answer,
    }
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
        let told = too_large(library).expect("recognised");
        assert_eq!(told.code(), Code::ResourceExhausted);
        assert_eq!(told.message(), "grpc: received message larger than max (3000000 vs. 2097152)");
        assert!(too_large("etcdserver: mvcc: required revision has been compacted").is_none());
    }
}
