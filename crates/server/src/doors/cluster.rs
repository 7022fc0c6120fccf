//! The Cluster service: the list of members and its changes (facts: errors, 10; peer-protocol, 5 and 7.1).

use super::admission::admit;
use crate::config::Url;
use crate::generated::etcdserverpb::cluster_server::Cluster;
use crate::run::front::{Failure, Front, status};
use crate::run::peers::promotion;
use crate::run::waiters::Reply;
use bytes::Bytes;
use node::{Event, Outcome as NodeOutcome, member_id};
use proto::errors::ClientError;
use proto::etcdserverpb::*;
use proto::raftpb::{ConfChange, ConfChangeType};
use state::members::{self, ChangeContext};
use state::{ApplyError, Outcome};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Request, Response, Status};

/// The door for membership.
#[derive(Clone)]
pub struct ClusterDoor {
    pub front: Front,
}

/// An accepted change: the member that it named, and all members after it.
pub struct Changed {
    pub member: Option<Member>,
    pub members: Vec<Member>,
}

/// Proposes a change and waits until raft has taken it. Its `id` is set here.
pub async fn change(
    front: &Front,
    kind: ConfChangeType,
    node_id: u64,
    context: Option<ChangeContext>,
) -> Result<Changed, Failure> {
    let ticket = front.shared.ids.next();
    let context = context.map_or_else(Bytes::new, |context| context.to_json().into());
    let change = ConfChange { id: ticket, change_type: kind as i32, node_id, context };
    match front.ask(ticket, Event::ProposeConfChange(change)).await? {
        Reply::Node(NodeOutcome::ConfChanged(Ok(Outcome::Members { member, members }))) => {
            Ok(Changed { member, members })
        }
        Reply::Node(NodeOutcome::ConfChanged(Err(ApplyError::Client(error)))) => Err(error.into()),
        Reply::Node(NodeOutcome::ConfChanged(Err(other))) => Err(Failure::Other(other.to_string())),
        _ => Err(Failure::wrong_reply()),
    }
}

/// Peer URLs in the order given; an empty list, and what is no URL of a peer, is refused.
fn peer_urls(words: &[String]) -> Result<Vec<String>, ClientError> {
    let parsed: Result<Vec<String>, _> = words.iter().map(|word| Url::parse(word).map(|url| url.to_string())).collect();
    parsed.ok().filter(|urls| !urls.is_empty()).ok_or(ClientError::MemberBadURLs)
}

fn unix_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl ClusterDoor {
    /// A header without a revision, as all answers about members have it.
    fn header(&self) -> Option<ResponseHeader> {
        Some(self.front.header(&self.front.view(), 0))
    }
}

#[tonic::async_trait]
impl Cluster for ClusterDoor {
    async fn member_list(&self, request: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        admit(&self.front, request.metadata())?;
        if request.into_inner().linearizable {
            self.front.read_index().await.map_err(status)?;
        }
        let view = self.front.view();
        let header = Some(self.front.header(&view, 0));
        Ok(Response::new(MemberListResponse { header, members: view.members().to_proto() }))
    }

    async fn member_add(&self, request: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let MemberAddRequest { peer_urls: words, is_learner } = request.into_inner();
        let mut peer_urls = peer_urls(&words).map_err(status)?;
        peer_urls.sort();
        let id = member_id(&peer_urls, "", Some(unix_secs()));
        let member = members::Member { id, peer_urls, is_learner, ..Default::default() };
        let kind = match is_learner {
            true => ConfChangeType::ConfChangeAddLearnerNode,
            false => ConfChangeType::ConfChangeAddNode,
        };
        let context = ChangeContext { member: member.clone(), is_promote: false };
        let changed = change(&self.front, kind, id, Some(context)).await?;
        let (header, member) = (self.header(), Some(member.to_proto()));
        Ok(Response::new(MemberAddResponse { header, member, members: changed.members }))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let id = request.into_inner().id;
        let changed = change(&self.front, ConfChangeType::ConfChangeRemoveNode, id, None).await?;
        Ok(Response::new(MemberRemoveResponse { header: self.header(), members: changed.members }))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let MemberUpdateRequest { id, peer_urls: words } = request.into_inner();
        // A URL that is none would make members of other releases fail.
        let peer_urls = peer_urls(&words).map_err(status)?;
        // The change says anew whether the member is a learner, and this member may not have heard of its promotion yet.
        self.front.read_index().await.map_err(status)?;
        let is_learner = self.front.view().members().is_learner(id);
        let member = members::Member { id, peer_urls, is_learner, ..Default::default() };
        let context = ChangeContext { member, is_promote: false };
        let kind = ConfChangeType::ConfChangeUpdateNode;
        let changed = change(&self.front, kind, id, Some(context)).await?;
        Ok(Response::new(MemberUpdateResponse { header: self.header(), members: changed.members }))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let members = promotion::promote(&self.front, request.into_inner().id).await?;
        Ok(Response::new(MemberPromoteResponse { header: self.header(), members }))
    }
}
