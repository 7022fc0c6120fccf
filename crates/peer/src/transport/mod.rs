//! The transport: what the process holds, and the task that carries its orders out.

mod inbox;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use proto::etcdserverpb::Member;
use proto::raftpb::Message;
use state::Version;

use crate::config::Config;
use crate::fetch::Fetcher;
use crate::host::{Answer, Host, SnapshotSource};
use crate::observer::Observer;
use crate::peer::{Peer, Urls};
use crate::wire::{Caller, Socket};
use inbox::{Inbox, Order};

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
    peers: Mutex<BTreeMap<u64, Arc<Peer>>>,
    inbox: Inbox,
}

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
        let shared = Arc::new(Shared { config, host, observer, caller, peers: Mutex::default(), inbox });
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
        self.shared.inbox.put(Order::SendSnapshot { message, database });
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
    pub fn ask_versions(&self, done: Box<dyn FnOnce(Vec<(u64, Option<Version>)>) + Send>) {
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
        loop {
            let gathered = self.shared.inbox.gather().await;
            for (peer, messages) in gathered.dropped {
                self.shared.observer.sent_failures(peer, messages);
                self.shared.host.unreachable(peer);
            }
            for order in gathered.orders {
                match order {
                    Order::Stop => return,
                    Order::Run(work) => drop(tokio::spawn(work)),
                    Order::Members(members) => self.shared.set_members(&members),
                    _ => {}
                }
            }
        }
    }
}

impl Shared {
    fn status(&self) -> Vec<PeerStatus> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.values().map(|peer| PeerStatus { id: peer.id, active_since: peer.active_since() }).collect()
    }

    fn set_members(&self, members: &[Member]) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|id, _| members.iter().any(|member| member.id == *id));
        for member in members.iter().filter(|member| member.id != self.config.identity.member) {
            let urls = Urls::new(member.id, &member.peer_urls);
            match peers.get(&member.id) {
                Some(peer) => drop(peer.urls().update(urls)),
                None => drop(peers.insert(member.id, Arc::new(Peer::new(member.id, urls)))),
            }
        }
    }

    async fn versions_of_members(&self) -> Vec<(u64, Option<Version>)> {
        Vec::new()
    }
}
