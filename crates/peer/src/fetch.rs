//! Single questions to other members, outside of streams: for joining, for version and corruption checks, and to hand
//! calls on to the leader (facts: peer-protocol, 4).

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, InvalidHeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use prost::Message;
use proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, Member,
};
use proto::leasepb::{LeaseInternalRequest, LeaseInternalResponse};
use state::Version;

use crate::host::{HashKv, HashKvError, LeaseError, PromoteError};
use crate::wire::{Call, CallError, Caller, PeerUrl, headers, json};

/// The largest answer read. Member lists and leases with their keys stay far below.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Texts of errors are quoted up to this length.
const QUOTED_BYTES_MAX: usize = 512;

/// Asks other members. Cheap to clone; clones share connections, which live on the runtime that asked first.
#[derive(Clone)]
pub struct Fetcher {
    caller: Caller,
}

/// The member list of another member.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    pub cluster: u64,
    /// Sorted by id.
    pub members: Vec<Member>,
}

/// What another member answers on `/version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedVersions {
    pub server: Version,
    /// `None` while undecided.
    pub cluster: Option<Version>,
}

/// No usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    BadUrl(String),
    /// No connection, or it broke before the answer was whole.
    #[error("{url}: {what}")]
    Unreachable { url: String, what: String },
    #[error("{url}: no answer within {patience:?}")]
    TimedOut { url: String, patience: Duration },
    /// Another status than the protocol's for a good answer.
    #[error("{url}: answered {status}: {body}")]
    Status { url: String, status: u16, body: String },
    #[error("{url}: unreadable answer: {what}")]
    Malformed { url: String, what: String },
}

/// Why a call that was handed to another member has no result.
#[derive(Debug, thiserror::Error)]
pub enum Refusal<E: std::error::Error> {
    /// The member answered, and refused.
    #[error("{0}")]
    Refused(E),
    #[error(transparent)]
    Failed(#[from] FetchError),
}

impl Fetcher {
    pub fn new(dial_timeout: Duration) -> Fetcher {
        Fetcher { caller: Caller::new(dial_timeout) }
    }

    pub(crate) fn with(caller: Caller) -> Fetcher {
        Fetcher { caller }
    }

    /// The members that the member at `url` knows, and the cluster's id.
    pub async fn members(&self, url: &str, patience: Duration) -> Result<Fetched, FetchError> {
        let answer = good(url, self.get(url, "/members", Bytes::new(), HeaderMap::new(), patience).await?)?;
        let malformed = |what: String| FetchError::Malformed { url: url.to_owned(), what };
        let cluster = headers::read_id(answer.headers(), headers::CLUSTER_ID);
        let cluster = cluster.ok_or_else(|| malformed("it doesn't tell its X-Etcd-Cluster-ID".to_owned()))?;
        Ok(Fetched { cluster, members: json::read_members(answer.body()).map_err(malformed)? })
    }

    /// The versions of the member at `url`.
    pub async fn version(&self, url: &str, patience: Duration) -> Result<FetchedVersions, FetchError> {
        let answer = good(url, self.get(url, "/version", Bytes::new(), HeaderMap::new(), patience).await?)?;
        let malformed = |what| FetchError::Malformed { url: url.to_owned(), what };
        let (server, cluster) = json::read_versions(answer.body()).map_err(malformed)?;
        Ok(FetchedVersions { server, cluster })
    }

    /// Whether a downgrade is under way, as the member at `url` knows it. A member of 3.4 has no such thing: false.
    pub async fn downgrade_enabled(&self, url: &str, patience: Duration) -> Result<bool, FetchError> {
        let answer = self.get(url, "/downgrade/enabled", Bytes::new(), HeaderMap::new(), patience).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        match &good(url, answer)?.body()[..] {
            b"true" => Ok(true),
            b"false" => Ok(false),
            other => Err(FetchError::Malformed { url: url.to_owned(), what: quoted(other) }),
        }
    }

    /// The hash of the keys at a revision of the member at `url`, which must belong to `cluster`.
    pub async fn hash_kv(
        &self,
        url: &str,
        cluster: u64,
        revision: i64,
        patience: Duration,
    ) -> Result<HashKv, Refusal<HashKvError>> {
        let mut headers = HeaderMap::new();
        headers.insert(headers::CLUSTER_ID, headers::id(cluster));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.get(url, "/members/hashkv", json::revision(revision), headers, patience).await?;
        let text = String::from_utf8_lossy(answer.body()).trim().to_owned();
        let known = [HashKvError::Compacted, HashKvError::FutureRevision, HashKvError::ClusterMismatch];
        if let Some(refused) =
            known.into_iter().find(|error| !answer.status().is_success() && error.to_string() == text)
        {
            return Err(Refusal::Refused(refused));
        }
        let malformed = |what| FetchError::Malformed { url: url.to_owned(), what };
        Ok(json::read_hash_kv(good(url, answer)?.body()).map_err(malformed)?)
    }

    /// Has the leader at `url` promote a learner. `token` is the caller's auth token.
    pub async fn promote(
        &self,
        url: &str,
        id: u64,
        token: Option<&str>,
        patience: Duration,
    ) -> Result<Vec<Member>, Refusal<PromoteError>> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, header(url, token)?);
        }
        let answer =
            self.ask(url, Method::POST, &format!("/members/promote/{id}"), Bytes::new(), headers, patience).await?;
        let text = String::from_utf8_lossy(answer.body()).trim().to_owned();
        let known = [PromoteError::NotFound, PromoteError::NotLearner, PromoteError::NotReady];
        if let Some(refused) =
            known.into_iter().find(|error| !answer.status().is_success() && error.to_string() == text)
        {
            return Err(Refusal::Refused(refused));
        }
        if answer.status() == StatusCode::REQUEST_TIMEOUT {
            return Err(Refusal::Refused(PromoteError::TimedOut));
        }
        let malformed = |what| FetchError::Malformed { url: url.to_owned(), what };
        Ok(json::read_members(good(url, answer)?.body()).map_err(malformed)?)
    }

    /// Has the leader at `url` renew a lease: the seconds it has again.
    pub async fn lease_renew(&self, url: &str, id: i64, patience: Duration) -> Result<i64, Refusal<LeaseError>> {
        let body = LeaseKeepAliveRequest { id }.encode_to_vec().into();
        let answer = self.ask_lease(url, "/leases", body, patience).await?;
        Ok(decoded::<LeaseKeepAliveResponse>(url, answer)?.ttl)
    }

    /// Asks the leader at `url` for the time that a lease has left.
    pub async fn lease_time_to_live(
        &self,
        url: &str,
        request: LeaseTimeToLiveRequest,
        patience: Duration,
    ) -> Result<LeaseTimeToLiveResponse, Refusal<LeaseError>> {
        let body = LeaseInternalRequest { lease_time_to_live_request: Some(request) }.encode_to_vec().into();
        let answer = self.ask_lease(url, "/leases/internal", body, patience).await?;
        let inner = decoded::<LeaseInternalResponse>(url, answer)?.lease_time_to_live_response;
        let malformed = || FetchError::Malformed { url: url.to_owned(), what: "no lease in the answer".to_owned() };
        Ok(inner.ok_or_else(malformed)?)
    }

    async fn ask_lease(
        &self,
        url: &str,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Response<Bytes>, Refusal<LeaseError>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/protobuf"));
        let answer = self.ask(url, Method::POST, path, body, headers, patience).await?;
        let text = || String::from_utf8_lossy(answer.body()).trim().to_owned();
        match answer.status() {
            // A member without this path says so in other words.
            StatusCode::NOT_FOUND if text() == LeaseError::NotFound.to_string() => {
                Err(Refusal::Refused(LeaseError::NotFound))
            }
            StatusCode::REQUEST_TIMEOUT => Err(Refusal::Refused(LeaseError::TimedOut)),
            StatusCode::BAD_REQUEST if text() == LeaseError::NotPrimary.to_string() => {
                Err(Refusal::Refused(LeaseError::NotPrimary))
            }
            StatusCode::BAD_REQUEST => Err(Refusal::Refused(LeaseError::Failed(quoted(text().as_bytes())))),
            _ => Ok(good(url, answer)?),
        }
    }

    async fn get(
        &self,
        url: &str,
        path: &str,
        body: Bytes,
        headers: HeaderMap,
        patience: Duration,
    ) -> Result<Response<Bytes>, FetchError> {
        self.ask(url, Method::GET, path, body, headers, patience).await
    }

    async fn ask(
        &self,
        url: &str,
        method: Method,
        path: &str,
        body: Bytes,
        headers: HeaderMap,
        patience: Duration,
    ) -> Result<Response<Bytes>, FetchError> {
        let at = PeerUrl::parse(url).map_err(|error| FetchError::BadUrl(error.to_string()))?;
        let call = Call { method, path: path.to_owned(), headers, body };
        let answer = self.caller.ask(&at, call, ANSWER_BYTES_MAX, patience).await;
        answer.map_err(|error| match error {
            CallError::TimedOut(patience) => FetchError::TimedOut { url: url.to_owned(), patience },
            other => FetchError::Unreachable { url: url.to_owned(), what: other.to_string() },
        })
    }
}

fn good(url: &str, answer: Response<Bytes>) -> Result<Response<Bytes>, FetchError> {
    if answer.status() == StatusCode::OK {
        return Ok(answer);
    }
    Err(FetchError::Status { url: url.to_owned(), status: answer.status().as_u16(), body: quoted(answer.body()) })
}

fn decoded<M: Message + Default>(url: &str, answer: Response<Bytes>) -> Result<M, FetchError> {
    let malformed = |error: prost::DecodeError| FetchError::Malformed { url: url.to_owned(), what: error.to_string() };
    M::decode(answer.into_body()).map_err(malformed)
}

fn header(url: &str, value: &str) -> Result<HeaderValue, FetchError> {
    let wrong = |error: InvalidHeaderValue| FetchError::BadUrl(format!("{url}: {error}"));
    HeaderValue::from_str(value).map_err(wrong)
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(QUOTED_BYTES_MAX)]).trim().to_owned()
}
