//! The Maintenance service.

use super::admission::admit;
use super::kv::on_reader_thread;
use crate::generated::etcdserverpb::maintenance_server::Maintenance;
use crate::logging::lines;
use crate::metrics::Op;
use crate::run::front::{Failure, Front, status};
use crate::run::waiters::Reply;
use node::{Event, Outcome as NodeOutcome};
use proto::errors::ClientError;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::*;
use state::{Outcome, Version};
use std::pin::Pin;
use std::time::Instant;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// The door for operators.
#[derive(Clone)]
pub struct MaintenanceDoor {
    pub front: Front,
}

type Parts = Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send>>;

impl MaintenanceDoor {
    fn header(&self) -> Option<ResponseHeader> {
        let view = self.front.view();
        Some(self.front.header(&view, view.kv().revision()))
    }

    fn status_now(&self) -> StatusResponse {
        let shared = &self.front.shared;
        let (node, view) = (shared.status.get(), self.front.view());
        let mut errors = Vec::new();
        if node.leader == 0 {
            errors.push(ClientError::NoLeader.text().to_owned());
        }
        let spaced = shared.version < Version::V3_7;
        errors.extend(view.alarms().all().iter().map(|alarm| alarm_text(alarm, spaced)));
        let downgrade = view.versions().downgrade;
        StatusResponse {
            header: self.header(),
            version: shared.version.to_string(),
            db_size: view.kv().size() as i64,
            leader: node.leader,
            raft_index: node.committed,
            raft_term: node.term,
            raft_applied_index: view.applied_entry().index,
            errors,
            db_size_in_use: view.kv().size_in_use() as i64,
            is_learner: view.members().is_learner(shared.member_id),
            storage_version: view.versions().storage.map(|version| version.to_string()).unwrap_or_default(),
            db_size_quota: shared.quota_bytes,
            downgrade_info: Some(DowngradeInfo {
                enabled: downgrade.enabled(),
                target_version: downgrade.target.map(|version| version.to_string()).unwrap_or_default(),
            }),
        }
    }
}

/// An alarm as `Status` shows it, in the debug form of its message: what is zero is left out, and up to 3.6 a space ends it.
fn alarm_text(alarm: &AlarmMember, spaced: bool) -> String {
    let mut fields = Vec::new();
    if alarm.member_id != 0 {
        fields.push(format!("memberID:{}", alarm.member_id));
    }
    if alarm.alarm != 0 {
        fields.push(format!("alarm:{}", alarm.alarm().as_str_name()));
    }
    let text = fields.join(" ");
    if spaced { text + " " } else { text }
}

#[tonic::async_trait]
impl Maintenance for MaintenanceDoor {
    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let request = request.into_inner();
        if AlarmAction::try_from(request.action) == Ok(AlarmAction::Get) {
            let view = self.front.view();
            let header = Some(self.front.header(&view, view.kv().revision()));
            return Ok(Response::new(AlarmResponse { header, alarms: view.alarms().of_type(request.alarm) }));
        }
        if AlarmAction::try_from(request.action).is_err() {
            return Err(Failure::Other(format!("etcdserver: unknown alarm action {}", request.action)).into());
        }
        match self.front.propose(Op::Alarm, |entry| entry.alarm = Some(request)).await? {
            Outcome::Alarm(mut response) => {
                self.front.sign(&mut response.header);
                Ok(Response::new(response))
            }
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        admit(&self.front, request.metadata())?;
        Ok(Response::new(self.status_now()))
    }

    async fn defragment(&self, request: Request<DefragmentRequest>) -> Result<Response<DefragmentResponse>, Status> {
        admit(&self.front, request.metadata())?;
        lines::defragment(false);
        self.front.defragment().await?;
        lines::defragment(true);
        Ok(Response::new(DefragmentResponse { header: None }))
    }

    async fn hash(&self, request: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let (began, view) = (Instant::now(), self.front.view());
        let moved = view.clone();
        let hash = on_reader_thread(move || moved.kv().hash(moved.hash_rule())).await?.map_err(Failure::from)?;
        self.front.shared.metrics.hash.observe(began.elapsed());
        let header = Some(self.front.header(&view, view.kv().revision()));
        Ok(Response::new(HashResponse { header, hash }))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let (began, revision, view) = (Instant::now(), request.into_inner().revision, self.front.view());
        let moved = view.clone();
        let hash = on_reader_thread(move || moved.kv().hash_kv(revision, moved.hash_rule())).await?;
        let hash = hash.map_err(Failure::from)?;
        self.front.shared.metrics.hash_rev.observe(began.elapsed());
        Ok(Response::new(HashKvResponse {
            header: Some(self.front.header(&view, hash.current_revision)),
            hash: hash.hash,
            compact_revision: hash.compact_revision,
            hash_revision: hash.hash_revision,
        }))
    }

    type SnapshotStream = Parts;

    async fn snapshot(&self, request: Request<SnapshotRequest>) -> Result<Response<Parts>, Status> {
        admit(&self.front, request.metadata())?;
        Ok(Response::new(Box::pin(super::snapshot::parts(self.front.clone()).await?)))
    }

    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        admit(&self.front, request.metadata())?;
        let target = request.into_inner().target_id;
        let ticket = self.front.shared.ids.next();
        match self.front.ask(ticket, Event::MoveLeader { ticket, target }).await.map_err(status)? {
            Reply::Node(NodeOutcome::LeaderMoved) => Ok(Response::new(MoveLeaderResponse { header: None })),
            _ => Err(Failure::wrong_reply().into()),
        }
    }

    async fn downgrade(&self, request: Request<DowngradeRequest>) -> Result<Response<DowngradeResponse>, Status> {
        admit(&self.front, request.metadata())?;
        Ok(Response::new(super::downgrade::answer(&self.front, &request.into_inner()).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_as_their_messages_are_printed() {
        let alarm = |member_id, alarm: AlarmType| AlarmMember { member_id, alarm: alarm as i32 };
        assert_eq!(alarm_text(&alarm(1, AlarmType::Nospace), false), "memberID:1 alarm:NOSPACE");
        assert_eq!(alarm_text(&alarm(1, AlarmType::Nospace), true), "memberID:1 alarm:NOSPACE ");
        assert_eq!(alarm_text(&alarm(0, AlarmType::Corrupt), false), "alarm:CORRUPT");
    }
}
