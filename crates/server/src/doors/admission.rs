//! What every call meets before its own checks: the metadata rules (facts: errors, 2 and 5).

use crate::run::front::{Front, status};
use http::{HeaderMap, HeaderValue};
use proto::errors::ClientError;
use tonic::metadata::MetadataMap;

/// The key by which a caller asks to be refused while no leader is known.
const HAS_LEADER: &str = "hasleader";
/// The key by which a client names its version.
const CLIENT_API_VERSION: &str = "client-api-version";

/// Errs with the answer that the call gets.
pub fn admit(front: &Front, metadata: &MetadataMap) -> Result<(), tonic::Status> {
    admit_headers(front, metadata.as_ref())
}

/// As [`admit`], for calls that are read by hand.
pub fn admit_headers(front: &Front, headers: &HeaderMap) -> Result<(), tonic::Status> {
    if headers.get(CLIENT_API_VERSION).is_some_and(|version| std::str::from_utf8(version.as_bytes()).is_err()) {
        return Err(status(ClientError::InvalidClientAPIVersion));
    }
    if is_leader_wanted(headers.get(HAS_LEADER)) && front.shared.status.get().leader == 0 {
        return Err(status(ClientError::NoLeader));
    }
    Ok(())
}

/// The version that the client names, where it is text.
pub fn client_version(headers: &HeaderMap) -> Option<&str> {
    headers.get(CLIENT_API_VERSION).and_then(|version| std::str::from_utf8(version.as_bytes()).ok())
}

/// Whether the caller wants its call to fail without a leader: the first value must be exactly `true`.
pub fn wants_leader(metadata: &MetadataMap) -> bool {
    is_leader_wanted(metadata.as_ref().get(HAS_LEADER))
}

fn is_leader_wanted(value: Option<&HeaderValue>) -> bool {
    value.is_some_and(|value| value.as_bytes() == b"true")
}
