//! Listeners and connections: one thread accepts and deals the connections out in turn; each front-door thread serves its
//! own on a current-thread runtime.

use super::pings::{Peer, Watched};
use super::sockets::{Accepted, Listening};
use crate::doors::Doors;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// How often a connection that does not end by itself is looked at when the process stops.
const FAREWELL_LOOK: Duration = Duration::from_millis(50);
/// How long a call may take then. One that changes something, on a slow disk, has longer: its outcome matters.
const FAREWELL: Duration = Duration::from_millis(500);
/// The pause after a failed accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the head of an HTTP/1 request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);
/// The largest head of an HTTP/2 request: metadata are names, versions, tokens.
const HEAD_BYTES_MAX: u32 = 64 << 10;

/// Calls of one connection that may be canceled before anyone looked at them, and still be remembered. Clients cancel in bursts,
/// and more than this would cut everything else on the connection.
const CANCELED_UNSEEN_MAX: usize = 10_000;

/// Which listener a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Client,
    Metrics,
}

/// A connection, dealt to a front-door thread.
pub struct Dealt {
    listener: Listener,
    socket: Accepted,
    /// Its place among the connections of clients.
    place: Option<OwnedSemaphorePermit>,
}

/// What each kind of listener shows.
#[derive(Clone)]
pub struct House {
    pub client: Doors,
    pub metrics: Doors,
}

impl House {
    fn doors(&self, listener: Listener) -> Doors {
        match listener {
            Listener::Client => self.client.clone(),
            Listener::Metrics => self.metrics.clone(),
        }
    }
}

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    pub streams_max: u32,
    pub ping_interval: Option<Duration>,
    pub ping_timeout: Duration,
    /// The shortest interval of a client's pings, zero for any.
    pub client_ping_min: Duration,
    /// How long changes may wait for their answers when the process stops.
    pub patience: Duration,
}

/// Deals connections out to the front-door threads in turn.
#[derive(Clone)]
pub struct Dealer {
    fronts: Vec<mpsc::UnboundedSender<Dealt>>,
    turn: Arc<AtomicUsize>,
    /// Places for connections of clients.
    places: Arc<Semaphore>,
}

impl Dealer {
    pub fn new(fronts: Vec<mpsc::UnboundedSender<Dealt>>, places: Arc<Semaphore>) -> Dealer {
        Dealer { fronts, turn: Arc::default(), places }
    }

    /// Accepts on one listener until `stop` is set.
    pub async fn accept(self, kind: Listener, listener: Listening, mut stop: watch::Receiver<bool>) {
        loop {
            let next = async {
                let place = match kind {
                    Listener::Client => self.places.clone().acquire_owned().await.ok(),
                    Listener::Metrics => None,
                };
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                () = stopped(&mut stop) => return,
            };
            match accepted {
                Ok(socket) => {
                    let front = self.turn.fetch_add(1, Ordering::Relaxed) % self.fronts.len();
                    if self.fronts[front].send(Dealt { listener: kind, socket, place }).is_err() {
                        return;
                    }
                }
                Err(failure) => {
                    tracing::warn!(error = %failure, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Resolves once `stop` is set, or can't be any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Serves what is dealt to this thread until `stop` is set and the connections have ended or had their time.
pub async fn serve(
    mut connections: mpsc::UnboundedReceiver<Dealt>,
    house: House,
    keeping: Keeping,
    mut stop: watch::Receiver<bool>,
) {
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            dealt = connections.recv() => match dealt {
                Some(dealt) => {
                    let peer = Peer::at(dealt.socket.remote());
                    let doors = house.doors(dealt.listener).of_connection(peer.clone());
                    tasks.spawn(connection(dealt, doors, peer, keeping, stop.clone()));
                }
                None => break,
            },
            () = stopped(&mut stop) => break,
            Some(_) = tasks.join_next() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Resolves when a connection that was asked to end has had its time. One without a call, whose client does not listen, has
/// none left.
async fn farewell(peer: &Peer, patience: Duration) {
    let asked = Instant::now();
    loop {
        tokio::time::sleep(FAREWELL_LOOK).await;
        let time = if peer.is_writing() { patience } else { FAREWELL };
        if peer.is_deaf() || asked.elapsed() >= time {
            return;
        }
    }
}

async fn connection(dealt: Dealt, doors: Doors, peer: Arc<Peer>, keeping: Keeping, mut stop: watch::Receiver<bool>) {
    let Dealt { socket, place: _place, .. } = dealt;
    let stream = match socket.connect() {
        Ok(stream) => stream,
        Err(failure) => {
            tracing::debug!(error = %failure, "connection lost before it was served");
            return;
        }
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(keeping.streams_max)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_pending_accept_reset_streams(CANCELED_UNSEEN_MAX)
        .keep_alive_interval(keeping.ping_interval)
        .keep_alive_timeout(keeping.ping_timeout);
    let stream = Watched::new(stream, peer.clone(), keeping.client_ping_min);
    let served = builder.serve_connection(TokioIo::new(stream), doors);
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = served.as_mut() => outcome,
                () = farewell(&peer, keeping.patience) => return,
            }
        }
    };
    if let Err(failure) = outcome {
        tracing::debug!(error = %failure, "connection ended");
    }
}
