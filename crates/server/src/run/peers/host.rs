//! The member as its peers see it.

use super::super::front::{Failure, Front};
use super::super::inbox::{Inbox, Post};
use super::super::waiters::Reply;
use super::snapshots::Place;
use super::{leases, promotion};
use crate::doors::on_reader_thread;
use ::peer::{Answer, HashKv, HashKvError, LeaseError, PromoteError, SnapshotSink, Versions};
use node::{Event, Outcome as NodeOutcome, Ticket};
use proto::errors::ClientError;
use proto::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, Member, ResponseHeader};
use proto::raftpb::Message;
use state::{StateReader, Version};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// So long a member goes on that was told of its removal: the removal itself may be on its way, and somebody wait for it here.
const REMOVED_LINGER: Duration = Duration::from_secs(1);

/// What stands behind the peer protocol.
pub struct Host {
    /// Set before the thread of the protocol runs.
    pub front: Arc<OnceLock<Front>>,
    pub inbox: Inbox,
    pub reader: StateReader,
    pub version: Version,
    pub place: Place,
    pub told_removed: AtomicBool,
}

impl Host {
    fn front(&self) -> Result<Front, String> {
        self.front.get().cloned().ok_or_else(|| ClientError::Stopped.text().to_owned())
    }
}

impl ::peer::Host for Host {
    fn receive(&self, messages: Vec<Message>) -> usize {
        self.inbox.post(Post::Messages, messages)
    }

    fn receive_proposals(&self, messages: Vec<Message>) -> usize {
        self.inbox.post(Post::Proposals, messages)
    }

    fn unreachable(&self, peer: u64) {
        self.inbox.answer(Event::Unreachable { peer });
    }

    fn snapshot_report(&self, peer: u64, failed: bool) {
        self.inbox.answer(Event::SnapshotReport { peer, failed });
    }

    fn activity(&self, peer: u64, connected: bool) {
        self.inbox.answer(Event::PeerActivity { peer, connected });
    }

    fn removed_self(&self) {
        if !self.told_removed.swap(true, Ordering::Relaxed) {
            let inbox = self.inbox.clone();
            tokio::spawn(async move {
                tokio::time::sleep(REMOVED_LINGER).await;
                inbox.answer(Event::ToldRemoved);
            });
        }
    }

    fn is_removed(&self, id: u64) -> bool {
        self.reader.view().members().is_removed(id)
    }

    fn members(&self) -> Arc<Vec<Member>> {
        Arc::new(self.reader.view().members().to_proto())
    }

    fn versions(&self) -> Versions {
        let known = self.reader.view().versions();
        let storage = known.storage.filter(|_| self.version >= Version::V3_6);
        Versions { server: self.version, cluster: known.cluster, storage }
    }

    fn receive_snapshot(&self, message: &Message) -> io::Result<Box<dyn SnapshotSink>> {
        self.place.begin(message)
    }

    fn promote(&self, id: u64, _token: Option<String>) -> Answer<Result<Arc<Vec<Member>>, PromoteError>> {
        let front = self.front();
        Box::pin(async move {
            let front = front.map_err(PromoteError::Failed)?;
            let members = promotion::promote_here(&front, id).await;
            members.map(Arc::new).map_err(|failure| match failure {
                Failure::Client(ClientError::MemberNotFound) => PromoteError::NotFound,
                Failure::Client(ClientError::MemberNotLearner) => PromoteError::NotLearner,
                Failure::Client(ClientError::LearnerNotReady) => PromoteError::NotReady,
                Failure::Client(error) if is_timeout(error) => PromoteError::TimedOut,
                other => PromoteError::Failed(other.to_string()),
            })
        })
    }

    fn lease_renew(&self, id: i64) -> Answer<Result<i64, LeaseError>> {
        let front = self.front();
        Box::pin(async move {
            let front = front.map_err(LeaseError::Failed)?;
            match ask(&front, |ticket| Event::LeaseKeepAlive { ticket, lease: id }).await? {
                NodeOutcome::LeaseRenewed { ttl_secs: Some(ttl) } => {
                    front.shared.metrics.leases_renewed.inc();
                    Ok(ttl)
                }
                NodeOutcome::LeaseRenewed { ttl_secs: None } => Err(LeaseError::NotFound),
                NodeOutcome::AskLeader { .. } => Err(LeaseError::NotPrimary),
                _ => Err(LeaseError::Failed(Failure::wrong_reply().to_string())),
            }
        })
    }

    fn lease_time_to_live(
        &self,
        request: LeaseTimeToLiveRequest,
    ) -> Answer<Result<LeaseTimeToLiveResponse, LeaseError>> {
        let front = self.front();
        Box::pin(async move {
            let front = front.map_err(LeaseError::Failed)?;
            let LeaseTimeToLiveRequest { id, keys } = request;
            match ask(&front, |ticket| Event::LeaseTimeToLive { ticket, lease: id }).await? {
                NodeOutcome::LeaseTimeLeft(Some(time)) => {
                    // There, but empty: whoever asked puts in its own.
                    let header = Some(ResponseHeader::default());
                    Ok(LeaseTimeToLiveResponse { header, ..leases::time_left(&front, id, time, keys) })
                }
                NodeOutcome::LeaseTimeLeft(None) => Err(LeaseError::NotFound),
                NodeOutcome::AskLeader { .. } => Err(LeaseError::NotPrimary),
                _ => Err(LeaseError::Failed(Failure::wrong_reply().to_string())),
            }
        })
    }

    fn hash_kv(&self, revision: i64) -> Answer<Result<HashKv, HashKvError>> {
        let view = self.reader.view();
        Box::pin(async move {
            let hash = on_reader_thread(move || view.kv().hash_kv(revision, view.hash_rule())).await;
            let hash = hash.map_err(|failure| HashKvError::Failed(failure.to_string()))?;
            let hash = hash.map_err(|error| match error {
                mvcc::Error::Compacted => HashKvError::Compacted,
                mvcc::Error::FutureRevision => HashKvError::FutureRevision,
                other => HashKvError::Failed(other.to_string()),
            })?;
            Ok(HashKv {
                hash: hash.hash,
                compact_revision: hash.compact_revision,
                hash_revision: hash.hash_revision,
                current_revision: hash.current_revision,
            })
        })
    }

    fn downgrade_enabled(&self) -> Answer<Result<bool, String>> {
        let front = self.front();
        Box::pin(async move {
            let front = front?;
            front.read_index().await.map_err(|error| error.text().to_owned())?;
            Ok(front.view().versions().downgrade.enabled())
        })
    }
}

/// Whether the error says that time ran out.
fn is_timeout(error: ClientError) -> bool {
    use ClientError::{Timeout, TimeoutDueToConnectionLost, TimeoutDueToLeaderFail, TimeoutWaitAppliedIndex};
    matches!(error, Timeout | TimeoutDueToConnectionLost | TimeoutDueToLeaderFail | TimeoutWaitAppliedIndex)
}

async fn ask(front: &Front, event: impl FnOnce(Ticket) -> Event) -> Result<NodeOutcome, LeaseError> {
    let ticket = front.shared.ids.next();
    match front.ask(ticket, event(ticket)).await {
        Ok(Reply::Node(outcome)) => Ok(outcome),
        Ok(_) => Err(LeaseError::Failed(Failure::wrong_reply().to_string())),
        Err(error) if is_timeout(error) => Err(LeaseError::TimedOut),
        Err(error) => Err(LeaseError::Failed(error.text().to_owned())),
    }
}
