//! What every call meets before its own checks: the metadata rules (facts: errors, 2 and 5).

use crate::run::front::{Front, status};
use proto::errors::ClientError;
use tonic::metadata::MetadataMap;

/// The key by which a caller asks to be refused while no leader is known.
const HAS_LEADER: &str = "hasleader";
/// The key by which a client names its version.
const CLIENT_API_VERSION: &str = "client-api-version";

/// Errs with the answer that the call gets.
pub fn admit(front: &Front, metadata: &MetadataMap) -> Result<(), tonic::Status> {
    if let Some(version) = metadata.get(CLIENT_API_VERSION)
        && version.to_str().is_err()
        && std::str::from_utf8(version.as_bytes()).is_err()
    {
        return Err(status(ClientError::InvalidClientAPIVersion));
    }
    if wants_leader(metadata) && front.shared.status.get().leader == 0 {
        return Err(status(ClientError::NoLeader));
    }
    Ok(())
}

/// Whether the caller wants its call to fail without a leader: the first value must be exactly `true`.
pub fn wants_leader(metadata: &MetadataMap) -> bool {
    metadata.get(HAS_LEADER).is_some_and(|value| value.as_bytes() == b"true")
}
