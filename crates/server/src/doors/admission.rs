//! What every call meets before its own checks: the metadata rules (facts: errors, 2 and 5).

use crate::run::front::{Front, status};
use http::{HeaderMap, HeaderValue};
use proto::errors::ClientError;
use state::Version;
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

/// The calls that a learner answers; of ranges only serializable ones.
const FOR_LEARNERS: [&str; 3] =
    ["/etcdserverpb.Maintenance/Status", "/etcdserverpb.Maintenance/Snapshot", super::range::PATH];

/// Errs where this member is a learner and the call not for it (facts: errors, 10).
pub fn admit_path(front: &Front, path: &str) -> Result<(), tonic::Status> {
    if is_learner(front) && !FOR_LEARNERS.contains(&path) { Err(not_for_learners(front)) } else { Ok(()) }
}

/// As [`admit_path`], for a range.
pub fn admit_range(front: &Front, serializable: bool) -> Result<(), tonic::Status> {
    if is_learner(front) && !serializable { Err(not_for_learners(front)) } else { Ok(()) }
}

/// What the membership says, as everywhere. Raft hears a little later of a promotion; voters it costs less to ask.
fn is_learner(front: &Front) -> bool {
    front.shared.status.is_learner() && front.view().members().is_learner(front.shared.member_id)
}

/// Up to 3.5 the code was another one.
fn not_for_learners(front: &Front) -> tonic::Status {
    let refusal = ClientError::NotSupportedForLearner;
    if front.shared.version < Version::V3_6 { tonic::Status::unavailable(refusal.text()) } else { status(refusal) }
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
