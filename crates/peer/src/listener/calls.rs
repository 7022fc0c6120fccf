//! What members ask each other besides raft (facts: peer-protocol, 4).

use std::time::SystemTime;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use prost::Message;
use proto::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use proto::leasepb::{LeaseInternalRequest, LeaseInternalResponse};
use state::Version;

use super::Origin;
use super::answer::{self, Reply};
use super::body::{self, BodyError};
use super::raft::of_cluster;
use crate::host::{HashKvError, LeaseError, PromoteError};
use crate::wire::{headers, json, time};

/// The largest request.
const BODY_BYTES_MAX: usize = 64 << 10;
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/protobuf";

/// `/raft/probing`
pub(super) fn probing() -> Reply {
    answer::ok(
        "text/plain; charset=utf-8",
        format!("{{\"OK\":true,\"Now\":\"{}\"}}\n", time::text(SystemTime::now())).into(),
    )
}

/// `/members`
pub(super) fn members(origin: &Origin) -> Reply {
    of_cluster(&origin.shared, answer::ok(JSON, json::members(&origin.shared.host.members())))
}

/// `/version`
pub(super) fn version(origin: &Origin) -> Reply {
    answer::ok(JSON, json::versions(&origin.shared.host.versions()))
}

/// Whether this member tells of downgrades: not where it passes for a 3.4.
pub(super) fn knows_downgrade(origin: &Origin) -> bool {
    origin.shared.config.identity.version >= Version::V3_5
}

/// `/downgrade/enabled`
pub(super) async fn downgrade_enabled(origin: &Origin) -> Reply {
    let reply = match origin.shared.host.downgrade_enabled().await {
        Ok(enabled) => answer::ok("text/plain", Bytes::from_static(if enabled { b"true" } else { b"false" })),
        Err(error) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, &error),
    };
    of_cluster(&origin.shared, reply)
}

/// `/members/promote/ID`
pub(super) async fn promote(origin: &Origin, request: &HeaderMap, text: &str) -> Reply {
    of_cluster(&origin.shared, promoted(origin, request, text).await)
}

async fn promoted(origin: &Origin, request: &HeaderMap, text: &str) -> Reply {
    let Ok(id) = text.parse::<u64>() else {
        return answer::text(StatusCode::NOT_FOUND, &format!("member {text} not found in cluster"));
    };
    let token = request.get(AUTHORIZATION).and_then(|token| token.to_str().ok()).map(str::to_owned);
    match origin.shared.host.promote(id, token).await {
        Ok(members) => answer::ok(JSON, json::members(&members)),
        Err(error) => {
            let status = match error {
                PromoteError::NotFound => StatusCode::NOT_FOUND,
                PromoteError::NotLearner | PromoteError::NotReady => StatusCode::PRECONDITION_FAILED,
                PromoteError::TimedOut => StatusCode::REQUEST_TIMEOUT,
                PromoteError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            answer::text(status, &error.to_string())
        }
    }
}

async fn read(origin: &Origin, body: Incoming) -> Result<Bytes, Reply> {
    body::read(&origin.shared, body, BODY_BYTES_MAX).await.map_err(|error| {
        let refusal = match error {
            BodyError::TooLarge => answer::text(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large"),
            BodyError::Cut | BodyError::TooSlow | BodyError::NoRoom => {
                answer::text(StatusCode::BAD_REQUEST, "error reading body")
            }
        };
        answer::last(refusal)
    })
}

fn decoded<M: Message + Default>(body: Bytes) -> Result<M, Reply> {
    M::decode(body).map_err(|_| answer::text(StatusCode::BAD_REQUEST, "error unmarshalling request"))
}

/// `/leases`
pub(super) async fn lease_renew(origin: &Origin, request: Request<Incoming>) -> Reply {
    renewed(origin, request.into_body()).await.unwrap_or_else(|refusal| refusal)
}

async fn renewed(origin: &Origin, body: Incoming) -> Result<Reply, Reply> {
    let LeaseKeepAliveRequest { id } = decoded(read(origin, body).await?)?;
    let ttl = origin.shared.host.lease_renew(id).await.map_err(|error| {
        let status = match error {
            LeaseError::NotFound => StatusCode::NOT_FOUND,
            LeaseError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            LeaseError::NotPrimary | LeaseError::Failed(_) => StatusCode::BAD_REQUEST,
        };
        answer::text(status, &error.to_string())
    })?;
    let response = LeaseKeepAliveResponse { header: None, id, ttl };
    Ok(answer::ok(PROTOBUF, response.encode_to_vec().into()))
}

/// `/leases/internal`
pub(super) async fn lease_time_to_live(origin: &Origin, request: Request<Incoming>) -> Reply {
    time_left(origin, request.into_body()).await.unwrap_or_else(|refusal| refusal)
}

async fn time_left(origin: &Origin, body: Incoming) -> Result<Reply, Reply> {
    let request: LeaseInternalRequest = decoded(read(origin, body).await?)?;
    let Some(request) = request.lease_time_to_live_request else {
        return Err(answer::text(StatusCode::BAD_REQUEST, "error unmarshalling request"));
    };
    let left = origin.shared.host.lease_time_to_live(request).await.map_err(|error| {
        let status = match error {
            LeaseError::NotFound => StatusCode::NOT_FOUND,
            LeaseError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            LeaseError::NotPrimary | LeaseError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        answer::text(status, &error.to_string())
    })?;
    let response = LeaseInternalResponse { lease_time_to_live_response: Some(left) };
    Ok(answer::ok(PROTOBUF, response.encode_to_vec().into()))
}

/// `/members/hashkv`
pub(super) async fn hash_kv(origin: &Origin, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    hashed(origin, &head.headers, body).await.unwrap_or_else(|refusal| refusal)
}

async fn hashed(origin: &Origin, request: &HeaderMap, body: Incoming) -> Result<Reply, Reply> {
    let told = headers::text(request, headers::CLUSTER_ID);
    if !told.is_empty() && told != format!("{:x}", origin.shared.config.identity.cluster) {
        return Err(answer::text(StatusCode::PRECONDITION_FAILED, &HashKvError::ClusterMismatch.to_string()));
    }
    let wrong = |_| answer::text(StatusCode::BAD_REQUEST, "error unmarshalling request");
    let revision = json::read_revision(&read(origin, body).await?).map_err(wrong)?;
    let hash = origin.shared.host.hash_kv(revision).await.map_err(|error| {
        let status = match error {
            HashKvError::Compacted | HashKvError::FutureRevision => StatusCode::BAD_REQUEST,
            HashKvError::ClusterMismatch => StatusCode::PRECONDITION_FAILED,
            HashKvError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        answer::text(status, &error.to_string())
    })?;
    Ok(of_cluster(&origin.shared, answer::ok(JSON, json::hash_kv(&hash))))
}
