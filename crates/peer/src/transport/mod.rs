//! The transport: what the process holds, and the task that carries its orders out.

mod book;
mod inbox;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proto::etcdserverpb::Member;
use proto::raftpb::Message;
use state::Version;

use crate::config::Config;
use crate::fetch::Fetcher;
use crate::host::{Answer, Host, SnapshotSource};
use crate::listener::{self, Guests};
use crate::observer::Observer;
use crate::peer::Peer;
use crate::wire::{Caller, Socket};
pub(crate) use book::deliver;
pub(crate) use inbox::weight;
use inbox::{Inbox, Order};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Between the order to stop and the end of the connections.
const FAREWELL: Duration = Duration::from_millis(50);

/// The peers by their ids.
type Peers = BTreeMap<u64, Arc<Peer>>;

/// Sends to the other members and takes their connections. Cheap to clone, callable from any thread; no method waits.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

/// The transport's work, to be polled on a current-thread runtime with I/O and time, on a thread that does little else.
#[must_use = "the transport does nothing unless this runs"]
pub struct Running {
    shared: Arc<Shared>,
}

/// What all of the room shares.
pub(crate) struct Shared {
    pub config: Config,
    pub host: Arc<dyn Host>,
    pub observer: Arc<dyn Observer>,
    pub caller: Caller,
    peers: Mutex<Peers>,
    inbox: Inbox,
    /// Places for snapshots under way, in each direction.
    pub sending: Arc<Semaphore>,
    pub receiving: Arc<Semaphore>,
    /// Who is connected.
    pub guests: Mutex<Guests>,
    /// Bytes of bodies that are being read.
    pub bodies_bytes: AtomicUsize,
}

/// Takes what members say of their versions, by id.
pub type VersionsTold = Box<dyn FnOnce(Vec<(u64, Option<Version>)>) + Send>;

/// A peer as the transport sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    pub id: u64,
    /// Since when it is connected without a break; `None` while it isn't.
    pub active_since: Option<Instant>,
}

impl Transport {
    /// A transport without peers. Orders given before [`Running::run`] wait for it.
    pub fn new(config: Config, host: Arc<dyn Host>, observer: Arc<dyn Observer>) -> (Transport, Running) {
        let caller = Caller::new(config.dial_timeout);
        let inbox = Inbox::new(&config.limits);
        let snapshots = || Arc::new(Semaphore::new(config.limits.snapshots_max));
        let (sending, receiving) = (snapshots(), snapshots());
        let shared = Arc::new(Shared {
            config,
            host,
            observer,
            caller,
            peers: Mutex::default(),
            inbox,
            sending,
            receiving,
            guests: Mutex::default(),
            bodies_bytes: AtomicUsize::new(0),
        });
        (Transport { shared: shared.clone() }, Running { shared })
    }

    /// Sends messages, each to the member in its `to`. Messages to 0 and to this member are left aside, those to unknown
    /// members dropped; whatever can't be sent is reported by [`Host::unreachable`]. Of several `MsgAppResp` of one call to
    /// one member that accept, only the last is sent. A `MsgSnap` belongs to [`Transport::send_snapshot`].
    pub fn send(&self, messages: Vec<Message>) {
        if !messages.is_empty() {
            self.shared.inbox.send(messages);
        }
    }

    /// Sends a `MsgSnap` with its database. [`Host::snapshot_report`] tells the outcome, once, whatever happens.
    pub fn send_snapshot(&self, message: Message, database: Box<dyn SnapshotSource>) {
        self.shared.inbox.put(Order::SendSnapshot { message: Box::new(message), database });
    }

    /// Takes up the membership: every member but this one becomes a peer under its URLs; connections with those that are
    /// members no more end.
    pub fn set_members(&self, members: &[Member]) {
        self.shared.inbox.put(Order::Members(members.to_vec()));
    }

    /// Makes known where a member can be reached that is not in the list yet: for a joining member, the members that it has
    /// learned of. It gets messages through the pipeline only.
    pub fn add_remote(&self, id: u64, peer_urls: Vec<String>) {
        self.shared.inbox.put(Order::Remote { id, urls: peer_urls });
    }

    /// Serves a connection that came in on a peer listener.
    pub fn serve(&self, socket: Socket) {
        self.shared.inbox.put(Order::Serve(socket));
    }

    /// Asks the members other than this one for their versions, and hands over what they say: `None` for those that don't
    /// answer. Members without an answer within five seconds count as those.
    pub fn ask_versions(&self, done: VersionsTold) {
        let shared = self.shared.clone();
        self.spawn(Box::pin(async move {
            done(shared.versions_of_members().await);
        }));
    }

    /// Runs something on the transport's thread; it ends with the transport.
    pub fn spawn(&self, work: Answer<()>) {
        self.shared.inbox.put(Order::Run(work));
    }

    /// Asks other members on this transport's connections; to be used on its thread ([`Transport::spawn`]).
    pub fn fetcher(&self) -> Fetcher {
        Fetcher::with(self.shared.caller.clone())
    }

    /// The members other than this one, by id.
    pub fn status(&self) -> Vec<PeerStatus> {
        self.shared.status()
    }

    /// Ends all connections, then [`Running::run`].
    pub fn stop(&self) {
        self.shared.inbox.put(Order::Stop);
    }
}

impl Running {
    /// Carries out orders until [`Transport::stop`].
    pub async fn run(self) {
        let shared = self.shared;
        let mut tasks = JoinSet::new();
        'serving: loop {
            let gathered = tokio::select! {
                gathered = shared.inbox.gather() => gathered,
                Some(ended) = tasks.join_next() => {
                    report_panic(ended);
                    continue;
                }
            };
            for (peer, messages) in gathered.dropped {
                shared.observer.sent_failures(peer, messages);
                shared.host.unreachable(peer);
            }
            for order in gathered.orders {
                match order {
                    Order::Send(messages) => shared.dispatch(messages),
                    Order::SendSnapshot { message, database } => shared.send_snapshot(*message, database),
                    Order::Members(members) => shared.set_members(&members),
                    Order::Remote { id, urls } => shared.add_remote(id, &urls),
                    Order::Serve(socket) => drop(tasks.spawn(listener::serve(shared.clone(), socket))),
                    Order::Run(work) => drop(tasks.spawn(work)),
                    Order::Stop => break 'serving,
                }
            }
        }
        // What was sent last is on its way once the connections have had a turn.
        tokio::time::sleep(FAREWELL).await;
        tasks.shutdown().await;
        shared.stop_peers();
    }
}

/// A task that panicked is a defect: it is told, and nothing else ends with it.
pub(crate) fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task of the peer transport failed");
    }
}
