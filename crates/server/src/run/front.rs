//! What a door needs from the member: asking the driver, waiting for read indexes, taking views, filling in headers.

use super::applier::ToApplier;
use super::driver::StatusBoard;
use super::figures::Figures;
use super::inbox::Inbox;
use super::interests::Interests;
use super::waiters::{Reply, Waiters};
use super::watching::{Hubs, Watching};
use crate::config::Gates;
use crate::metrics::{Metrics, Op};
use ::peer::Fetcher;
use bytes::Bytes;
use node::{Event, Outcome, Proposal, ProposalKind, RequestIds, Ticket};
use prost::Message;
use proto::errors::ClientError;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{AlarmRequest, AlarmType, InternalRaftRequest, RequestHeader, ResponseHeader};
use state::{ApplyError, StateReader, StateView, Version};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
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
    /// 0 while there is none.
    pub leader: watch::Receiver<u64>,
    pub quota: state::quota::Quota,
    /// `--quota-backend-bytes` in force: negative where the quota is off.
    pub quota_bytes: i64,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub figures: Arc<Figures>,
    /// Clients are let in.
    pub serving: Arc<AtomicBool>,
}

/// The limits that doors hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub request_bytes_max: usize,
    pub txn_ops_max: usize,
    pub election_timeout: Duration,
    /// How long a request may wait for the cluster.
    pub request_timeout: Duration,
    /// An applied request or a local read that takes longer is logged.
    pub slow_apply: Duration,
    /// A unary call that takes longer is logged.
    pub slow_call: Duration,
}

/// Election timeouts without a leader after which streams that want one are cut.
pub const LEADERLESS_TIMEOUTS_MAX: u32 = 3;
/// What a connection to another member may take beside an election timeout.
const DIAL_MARGIN: Duration = Duration::from_secs(1);
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
    fetcher: Fetcher,
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
            fetcher: Fetcher::new(DIAL_MARGIN + shared.limits.election_timeout),
            shared,
            number,
            outgoing: Arc::default(),
            reads: Arc::default(),
            interests: Interests::default(),
            watching,
            stop,
        }
    }

    /// Asks other members, over connections of this thread.
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Resolves when the process is asked to end: streams end then.
    pub async fn stopped(&self) {
        drop(self.stop.clone().wait_for(|stop| *stop).await);
    }

    /// Resolves once no leader has been known for so long that streams which want one are cut.
    pub async fn leaderless(&self) {
        let mut leader = self.shared.leader.clone();
        let patience = self.shared.limits.election_timeout * LEADERLESS_TIMEOUTS_MAX;
        // It errs where the driver has ended, and then nothing is decided here any more.
        while leader.wait_for(|leader| *leader == 0).await.is_ok() {
            if tokio::time::timeout(patience, leader.wait_for(|leader| *leader != 0)).await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// Whether the process is asked to end.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// The outcome of something that may wait for ever, or `Stopped` where the process is asked to end before.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            outcome = work => outcome,
            () = self.stopped() => Err(ClientError::Stopped.into()),
        }
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

    /// Lets the requests that the thread has at hand gather, then sends them as one.
    async fn dispatch(self) {
        tokio::task::yield_now().await;
        let events = std::mem::take(&mut *self.outgoing.lock().unwrap_or_else(PoisonError::into_inner));
        // Once the driver has ended, the waiters have been let go.
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

    /// Proposes a request of this kind and waits until it is applied. `fill` sets the field of the request; header and id
    /// are set here.
    pub async fn propose(
        &self,
        op: Op,
        fill: impl FnOnce(&mut InternalRaftRequest),
    ) -> Result<state::Outcome, Failure> {
        self.propose_shown(op, fill).await.map(|(outcome, _)| outcome)
    }

    /// As [`Front::propose`]; gives the entry's data too, from which a slow request can be shown.
    pub async fn propose_shown(
        &self,
        op: Op,
        fill: impl FnOnce(&mut InternalRaftRequest),
    ) -> Result<(state::Outcome, Bytes), Failure> {
        let began = Instant::now();
        let ticket = self.shared.ids.next();
        let data = encode(ticket, fill);
        if data.len() > self.shared.limits.request_bytes_max {
            return Err(ClientError::RequestTooLarge.into());
        }
        let proposal = Proposal { ticket, data: data.clone(), kind: ProposalKind::Client };
        let outcome = match self.ask(ticket, Event::Propose(proposal)).await {
            Ok(Reply::Applied(Ok(outcome))) => Ok((outcome, data)),
            Ok(Reply::Applied(Err(ApplyError::Client(error)))) | Err(error) => Err(error.into()),
            Ok(Reply::Applied(Err(other))) => Err(Failure::Other(other.to_string())),
            Ok(_) => Err(Failure::wrong_reply()),
        };
        self.shared.metrics.requests.observe(op, outcome.is_ok(), began.elapsed());
        outcome
    }

    /// Errs with NoSpace where the backend has no room for a request of this cost. The first to find that raises the alarm,
    /// and has its answer only then, so that whoever looks finds it.
    pub async fn check_quota(&self, cost_bytes: u64) -> Result<(), Failure> {
        let view = self.view();
        if self.shared.quota.fits(view.kv().size(), cost_bytes) {
            return Ok(());
        }
        let member_id = self.shared.member_id;
        let raised = view.alarms().of_type(AlarmType::Nospace as i32).iter().any(|alarm| alarm.member_id == member_id);
        drop(view);
        if !raised {
            let (action, alarm) = (AlarmAction::Activate as i32, AlarmType::Nospace as i32);
            let request = AlarmRequest { action, member_id, alarm };
            // The refusal stands, whatever becomes of the alarm: the next one finds it missing and tries again.
            let _raised = self.propose(Op::Alarm, |entry| entry.alarm = Some(request)).await;
        }
        Err(ClientError::NoSpace.into())
    }

    /// Gives space of the backend file back to the disk.
    pub async fn defragment(&self) -> Result<(), Failure> {
        let (began, _running) = (Instant::now(), self.shared.figures.defragmenting());
        let ticket = self.shared.ids.next();
        match self.ask_applier(ticket, ToApplier::Defragment(ticket)).await? {
            Reply::Applied(Ok(_)) => {
                self.shared.metrics.backend_defrag.observe(began.elapsed());
                Ok(())
            }
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

/// An entry, apart from the function that waits for it: the request takes much room while it is filled in.
fn encode(id: Ticket, fill: impl FnOnce(&mut InternalRaftRequest)) -> Bytes {
    let header = RequestHeader { id, ..Default::default() };
    let mut request = InternalRaftRequest { header: Some(header), ..Default::default() };
    fill(&mut request);
    Bytes::from(request.encode_to_vec())
}

/// Why a call failed: by the table, or with a text of its own and the code Unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Other(String),
    #[error("grpc: trying to send message larger than max ({bytes} vs. {max})")]
    TooLarge { bytes: usize, max: usize },
    #[error("etcdserver: as many snapshots are being sent as may be")]
    TooManySnapshots,
    #[error("etcdserver: the answer was cut, because it was not taken in time")]
    Cut,
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
            Failure::TooLarge { .. } | Failure::TooManySnapshots => {
                tonic::Status::resource_exhausted(failure.to_string())
            }
            Failure::Cut => tonic::Status::aborted(failure.to_string()),
            Failure::Other(text) => tonic::Status::unknown(text),
        }
    }
}

/// An error of the table as gRPC carries it.
pub fn status(error: ClientError) -> tonic::Status {
    tonic::Status::new(tonic::Code::from(error.code() as i32), error.text())
}
