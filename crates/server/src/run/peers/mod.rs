//! The other members: the thread of the peer protocol, what the member answers there and what it asks.
//!
//! `host` is the member as its peers see it, `snapshots` carries databases in and out, `promotion` and `leases` hand calls on to
//! the leader, `joining` asks the others before a first start.

mod host;
mod joining;
mod leader;
pub mod leases;
pub mod promotion;
mod snapshots;

pub use joining::meet;

use super::front::Front;
use super::inbox::Inbox;
use super::sockets::{Accepted, Listening};
use super::waiters::{Parcel, unpack};
use crate::metrics::Metrics;
use ::peer::{Config, Identity, Running, Socket, Transport};
use disk::Disk;
use host::Host;
use node::boot::Booted;
use proto::etcdserverpb::Member;
use proto::raftpb::Message;
use state::Version;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

pub use snapshots::Source;

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Threads on which databases are read and written.
const BLOCKING_MAX: usize = 32;

/// What is known of this member before its threads run.
pub struct Plan<'a> {
    pub booted: &'a Booted,
    pub disk: Arc<dyn Disk>,
    pub version: Version,
    pub peer_urls: Vec<String>,
    pub election_timeout: Duration,
    pub inbox: Inbox,
    pub metrics: Arc<Metrics>,
}

/// The transport before its thread.
pub struct Prepared {
    pub transport: Transport,
    running: Running,
    front: Arc<OnceLock<Front>>,
}

/// The thread of the peer protocol.
pub struct Peering {
    transport: Transport,
    thread: JoinHandle<()>,
}

/// Makes the transport, with the members that are known now.
pub fn prepare(plan: Plan<'_>) -> Prepared {
    let Booted { member_id, cluster_id, reader, remotes, dir, .. } = plan.booted;
    let identity =
        Identity { member: *member_id, cluster: *cluster_id, version: plan.version, peer_urls: plan.peer_urls };
    let front = Arc::new(OnceLock::new());
    let host = Host {
        front: front.clone(),
        inbox: plan.inbox,
        reader: reader.clone(),
        version: plan.version,
        place: snapshots::Place::new(plan.disk, dir.clone()),
        told_removed: AtomicBool::new(false),
    };
    let observer = plan.metrics.peers.observer(*member_id);
    let config = Config::new(identity, plan.election_timeout);
    let (transport, running) = Transport::new(config, Arc::new(host), Arc::new(observer));
    transport.set_members(&reader.view().members().to_proto());
    for member in remotes.iter().filter(|member| member.id != *member_id) {
        transport.add_remote(member.id, member.peer_urls.clone());
    }
    Prepared { transport, running, front }
}

impl Prepared {
    /// Starts the thread. `front` is what it knows the member by, `parcels` brings the answers.
    pub fn start(self, front: Front, parcels: Vec<mpsc::UnboundedReceiver<Parcel>>) -> io::Result<Peering> {
        let Prepared { transport, running, front: place } = self;
        // It is empty: this is the only place where it is filled, and it is gone through once.
        drop(place.set(front));
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(BLOCKING_MAX).thread_name("peer-disk").build()?;
        let thread = super::spawn("peers", move || {
            runtime.block_on(async {
                for parcels in parcels {
                    tokio::spawn(unpack(parcels));
                }
                running.run().await;
            });
            // What is under way is of no use to anyone any more.
            runtime.shutdown_background();
        })?;
        Ok(Peering { transport, thread })
    }
}

impl Peering {
    /// Where connections go that come in on the peer URLs.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Ends all connections and the thread.
    pub fn stop(self) {
        self.transport.stop();
        if self.thread.join().is_err() {
            super::fatal("a thread has failed", &"the peer protocol");
        }
    }
}

/// Accepts on a peer URL for ever.
pub async fn accept(listener: Listening, transport: Transport) {
    loop {
        match listener.accept().await {
            Ok(Accepted::Tcp(stream)) => transport.serve(Socket::Tcp(stream)),
            Ok(Accepted::Unix(stream)) => transport.serve(Socket::Unix(stream)),
            Err(failure) => {
                tracing::warn!(error = %failure, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The peer URLs of a member.
fn urls_of(members: &[Member], id: u64) -> Vec<String> {
    members.iter().find(|member| member.id == id).map(|member| member.peer_urls.clone()).unwrap_or_default()
}

/// The index of the snapshot in a message; 0 where there is none.
fn snapshot_index(message: &Message) -> u64 {
    let metadata = message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
    metadata.map_or(0, |metadata| metadata.index)
}
