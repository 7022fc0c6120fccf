//! The Cluster service of a single member: the list.

use super::admission::admit;
use crate::generated::etcdserverpb::cluster_server::Cluster;
use crate::run::front::{Front, status};
use proto::etcdserverpb::*;
use tonic::{Request, Response, Status};

/// The door for membership.
#[derive(Clone)]
pub struct ClusterDoor {
    pub front: Front,
}

fn not_built() -> Status {
    Status::unimplemented("etcdserver: this release serves one member, membership cannot be changed")
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

    async fn member_add(&self, _request: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        Err(not_built())
    }

    async fn member_remove(
        &self,
        _request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        Err(not_built())
    }

    async fn member_update(
        &self,
        _request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        Err(not_built())
    }

    async fn member_promote(
        &self,
        _request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        Err(not_built())
    }
}
