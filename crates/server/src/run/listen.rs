//! Listeners and connections: one thread accepts and deals the connections out in turn; each front-door thread serves its
//! own on a current-thread runtime.

use crate::doors::Doors;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a connection may take to end by itself when the process stops.
const FAREWELL: Duration = Duration::from_millis(500);
/// The pause after a failed accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which listener a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Client,
    Peer,
    Metrics,
}

/// A connection, dealt to a front-door thread.
pub type Dealt = (Listener, TcpStream);

/// What each kind of listener shows.
#[derive(Clone)]
pub struct House {
    pub client: Doors,
    pub peer: Doors,
    pub metrics: Doors,
}

impl House {
    fn doors(&self, listener: Listener) -> Doors {
        match listener {
            Listener::Client => self.client.clone(),
            Listener::Peer => self.peer.clone(),
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
}

/// Accepts on all listeners until `stop` is set, dealing connections out in turn.
pub async fn accept(
    listeners: Vec<(Listener, TcpListener)>,
    fronts: Vec<mpsc::UnboundedSender<Dealt>>,
    stop: watch::Receiver<bool>,
) {
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for (kind, listener) in listeners {
        let (fronts, turn, mut stop) = (fronts.clone(), turn.clone(), stop.clone());
        tasks.push(tokio::spawn(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopped(&mut stop) => return,
                };
                match accepted.and_then(|(stream, _)| stream.into_std()) {
                    Ok(stream) => {
                        let next = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % fronts.len();
                        if fronts[next].send((kind, stream)).is_err() {
                            return;
                        }
                    }
                    Err(failure) => {
                        tracing::warn!(error = %failure, "failed to accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }));
    }
    for task in tasks {
        if task.await.is_err() {
            tracing::error!("a listener failed");
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
            stream = connections.recv() => match stream {
                Some((listener, stream)) => {
                    drop(tasks.spawn(connection(stream, house.doors(listener), keeping, stop.clone())));
                }
                None => break,
            },
            () = stopped(&mut stop) => break,
            Some(_) = tasks.join_next() => {}
        }
    }
    let farewell = async { while tasks.join_next().await.is_some() {} };
    // Connections that still have streams open are cut.
    let _cut = tokio::time::timeout(FAREWELL, farewell).await;
}

async fn connection(stream: TcpStream, doors: Doors, keeping: Keeping, mut stop: watch::Receiver<bool>) {
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
    if let Err(failure) = stream.set_nodelay(true) {
        tracing::debug!(error = %failure, "TCP_NODELAY not set");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(keeping.streams_max)
        .keep_alive_interval(keeping.ping_interval)
        .keep_alive_timeout(keeping.ping_timeout);
    let served = builder.serve_connection(TokioIo::new(stream), doors);
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(failure) = outcome {
        tracing::debug!(error = %failure, "connection ended");
    }
}
