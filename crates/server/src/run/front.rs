//! What a door needs from the member: asking the driver, waiting for read indexes, taking views, filling in headers.

use super::applier::ToApplier;
use super::driver::StatusBoard;
use super::inbox::Inbox;
use super::interests::Interests;
use super::waiters::{Reply, Waiters};
use super::watching::{Hubs, Watching};
use crate::config::Gates;
use bytes::Bytes;
use node::{Event, Outcome, Proposal, ProposalKind, RequestIds, Ticket};
use prost::Message;
use proto::errors::ClientError;
use proto::etcdserverpb::{InternalRaftRequest, RequestHeader, ResponseHeader};
use state::{ApplyError, StateReader, StateView, Version};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// What all front-door threads share.
pub struct Shared {
    pub member_id: u64,
    pub cluster_id: u64,
    /// The release that the member reports.
    pub version: Version,
    pub gates: Gates,
    pub hubs: Hubs,
    pub inbox: Inbox,
    pub applier: std::sync::mpsc::Sender<ToApplier>,
    pub waiters: Arc<Waiters>,
    pub ids: Arc<RequestIds>,
    pub reader: StateReader,
    pub status: Arc<StatusBoard>,
    pub quota: state::quota::Quota,
    pub limits: Limits,
}

/// The limits that doors hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub request_bytes_max: usize,
    pub txn_ops_max: usize,
    pub election_timeout: Duration,
}

/// Added to the largest request for what stands around it.
const REQUEST_OVERHEAD_BYTES: usize = 512 * 1024;

impl Limits {
    /// The largest message received, and the size from which answers of a watch are split.
    pub fn receive_bytes_max(&self) -> usize {
        self.request_bytes_max.saturating_add(REQUEST_OVERHEAD_BYTES)
    }
}

/// The member as seen from one front-door thread.
#[derive(Clone)]
pub struct Front {
    pub shared: Arc<Shared>,
    number: usize,
    /// Events that leave together: waking the driver for each would cost more than most of them.
    outgoing: Arc<Mutex<Vec<Event>>>,
    reads: Arc<Mutex<Reads>>,
    pub interests: Interests,
    pub watching: Watching,
    stop: watch::Receiver<bool>,
}

/// The linearizable reads of one thread: those that wait for the round under way, and whether there is one. All that arrive
/// during a round share the next, so the driver hears of one ticket a round.
#[derive(Default)]
struct Reads {
    waiting: Vec<oneshot::Sender<Result<(), ClientError>>>,
    under_way: bool,
}

impl Front {
    pub fn new(shared: Arc<Shared>, number: usize, watching: Watching, stop: watch::Receiver<bool>) -> Front {
        Front {
            shared,
            number,
            outgoing: Arc::default(),
            reads: Arc::default(),
            interests: Interests::default(),
            watching,
            stop,
        }
    }

    /// Resolves when the process is asked to end: streams end then.
    pub async fn stopped(&self) {
        drop(self.stop.clone().wait_for(|stop| *stop).await);
    }

    /// Puts an event to those that leave together at the end of this turn of the thread.
    fn send(&self, event: Event) -> Result<(), ClientError> {
        self.shared.inbox.reserve()?;
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        outgoing.push(event);
        if outgoing.len() == 1 {
            tokio::spawn(self.clone().dispatch());
        }
        Ok(())
    }

    /// Has the NOSPACE alarm of this member raised: a request was refused for want of room.
    pub fn raise_no_space(&self) {
        // With a full inbox the next refusal raises it.
        let _full = self.send(Event::RaiseNoSpace);
    }

    /// Lets the requests that the thread has at hand gather, then sends them as one.
    async fn dispatch(self) {
        tokio::task::yield_now().await;
        let events = std::mem::take(&mut *self.outgoing.lock().unwrap_or_else(PoisonError::into_inner));
        // After the driver's end the waiters are told by the registry's end.
        let _ended = self.shared.inbox.requests(events);
    }

    /// Sends an event that will be answered under `ticket`, and waits for the answer.
    pub async fn ask(&self, ticket: Ticket, event: Event) -> Result<Reply, ClientError> {
        let waiting = self.shared.waiters.wait(self.number, ticket);
        self.send(event)?;
        match waiting.await {
            Some(Reply::Node(Outcome::Failed(error))) => Err(error),
            Some(reply) => Ok(reply),
            None => Err(ClientError::Stopped),
        }
    }

    /// Proposes a request and waits until it is applied. `fill` sets the field of the request; header and id are set here.
    pub async fn propose(&self, fill: impl FnOnce(&mut InternalRaftRequest)) -> Result<state::Outcome, Failure> {
        let ticket = self.shared.ids.next();
        let header = RequestHeader { id: ticket, ..Default::default() };
        let mut request = InternalRaftRequest { header: Some(header), ..Default::default() };
        fill(&mut request);
        let data = Bytes::from(request.encode_to_vec());
        if data.len() > self.shared.limits.request_bytes_max {
            return Err(ClientError::RequestTooLarge.into());
        }
        let proposal = Proposal { ticket, data, kind: ProposalKind::Client };
        match self.ask(ticket, Event::Propose(proposal)).await? {
            Reply::Applied(Ok(outcome)) => Ok(outcome),
            Reply::Applied(Err(ApplyError::Client(error))) => Err(error.into()),
            Reply::Applied(Err(other)) => Err(Failure::Other(other.to_string())),
            _ => Err(Failure::wrong_reply()),
        }
    }

    /// Rewrites the backend file densely.
    pub async fn defragment(&self) -> Result<(), Failure> {
        let ticket = self.shared.ids.next();
        match self.ask_applier(ticket, ToApplier::Defragment(ticket)).await? {
            Reply::Applied(Ok(_)) => Ok(()),
            Reply::Applied(Err(failure)) => Err(Failure::Other(failure.to_string())),
            _ => Err(Failure::wrong_reply()),
        }
    }

    /// Sends an order to the applier that will be answered under `ticket`, and waits for the answer.
    async fn ask_applier(&self, ticket: Ticket, order: ToApplier) -> Result<Reply, ClientError> {
        let waiting = self.shared.waiters.wait(self.number, ticket);
        self.shared.applier.send(order).map_err(|_| ClientError::Stopped)?;
        waiting.await.ok_or(ClientError::Stopped)
    }

    /// The database as of the last entry applied now.
    pub async fn snapshot_source(&self) -> Result<mvcc::SnapshotSource, Failure> {
        let ticket = self.shared.ids.next();
        match self.ask_applier(ticket, ToApplier::Snapshot(ticket)).await? {
            Reply::Snapshot(source) => Ok(source),
            Reply::Applied(Err(failure)) => Err(Failure::Other(failure.to_string())),
            _ => Err(Failure::wrong_reply()),
        }
    }

    /// Waits until a view taken afterwards is linearizable.
    pub async fn read_index(&self) -> Result<(), ClientError> {
        let (sender, receiver) = oneshot::channel();
        let start = {
            let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.waiting.push(sender);
            !std::mem::replace(&mut reads.under_way, true)
        };
        if start {
            tokio::spawn(self.clone().read_rounds());
        }
        receiver.await.unwrap_or(Err(ClientError::Stopped))
    }

    /// Asks for read indexes, one round after the other, while someone waits.
    async fn read_rounds(self) {
        loop {
            let waiting = {
                let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
                reads.under_way = !reads.waiting.is_empty();
                std::mem::take(&mut reads.waiting)
            };
            if waiting.is_empty() {
                return;
            }
            let ticket = self.shared.ids.next();
            let outcome = self.ask(ticket, Event::ReadIndex { ticket }).await.map(|_| ());
            for sender in waiting {
                // A reader that has gone away meanwhile wants no answer.
                let _gone = sender.send(outcome);
            }
        }
    }

    /// The newest published moment.
    pub fn view(&self) -> StateView {
        self.shared.reader.view()
    }

    /// A header for an answer from this view, with this revision.
    pub fn header(&self, view: &StateView, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.shared.cluster_id,
            member_id: self.shared.member_id,
            revision,
            raft_term: view.applied_entry().term,
        }
    }

    /// Puts the member's identity into a header made at apply.
    pub fn sign(&self, header: &mut Option<ResponseHeader>) {
        if let Some(header) = header {
            header.cluster_id = self.shared.cluster_id;
            header.member_id = self.shared.member_id;
        }
    }
}

/// Why a call failed: by the table, or with a text of its own and the code Unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// An answer of a kind that this request has not.
    pub fn wrong_reply() -> Failure {
        Failure::Other("etcdserver: the answer does not fit the request".to_owned())
    }
}

impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Failure {
        Failure::Other(error.to_string())
    }
}

impl From<mvcc::Error> for Failure {
    fn from(error: mvcc::Error) -> Failure {
        match error {
            mvcc::Error::Compacted => ClientError::Compacted.into(),
            mvcc::Error::FutureRevision => ClientError::FutureRev.into(),
            other => Failure::Other(other.to_string()),
        }
    }
}

impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> tonic::Status {
        match failure {
            Failure::Client(error) => status(error),
            Failure::Other(text) => tonic::Status::unknown(text),
        }
    }
}

/// An error of the table as gRPC carries it.
pub fn status(error: ClientError) -> tonic::Status {
    tonic::Status::new(tonic::Code::from(error.code() as i32), error.text())
}
