//! From a configuration to a serving member and back to an ended process.

use super::applier::{self, ToApplier};
use super::clock::Clock;
use super::driver::{self, Phase, StatusBoard};
use super::front::{Front, Limits, Shared};
use super::inbox::{Inbox, inbox};
use super::listen::{self, Dealt, House, Keeping, Listener};
use super::site::Site;
use super::waiters::{Waiters, unpack};
use super::watchers::feeds;
use super::watching::{Hubs, Watching};
use super::{disks, fatal, options};
use crate::config::{Config, Url};
use crate::doors::Doors;
use crate::http;
use crate::metrics::Metrics;
use node::Event;
use node::boot::Booted;
use state::quota::Quota;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{mpsc as async_mpsc, watch};

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("listen tcp {address}: {source}")]
    Listen { address: String, source: std::io::Error },
    #[error(transparent)]
    Boot(#[from] node::boot::BootError),
    #[error("{0}")]
    Config(String),
    #[error("failed to start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The threads of the member and the ends by which they are stopped.
struct Member {
    inbox: Inbox,
    applier: Sender<ToApplier>,
    phase: watch::Receiver<Phase>,
    driver: JoinHandle<()>,
    applier_thread: JoinHandle<()>,
    log_thread: JoinHandle<()>,
}

/// Serves until a signal, or until the member is removed.
pub fn serve(config: &Config) -> Result<(), ServeError> {
    let clock = Clock::start();
    let peers = listen_on(Listener::Peer, &config.listen_peer_urls)?;
    let mut clients = listen_on(Listener::Client, &config.listen_client_urls)?;
    clients.extend(listen_on(Listener::Metrics, &config.listen_metrics_urls)?);
    let booted = node::boot::boot(options::boot_options(config)?, clock.now())?;
    let fronts = thread::available_parallelism().map_or(1, usize::from);
    let (waiters, parcels) = Waiters::new(fronts);
    let (feeds, feed_ends) = feeds(fronts);
    let (shared, member) = start_member(config, booted, waiters, feeds, clock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let site = HttpSide { metrics: Arc::new(Metrics::new(config.metrics_extensive)), config: Arc::new(config.clone()) };
    let (mut streams, mut threads) = (Vec::new(), Vec::new());
    for (number, (parcels, feed)) in parcels.into_iter().zip(feed_ends).enumerate() {
        let (sender, receiver) = async_mpsc::unbounded_channel();
        streams.push(sender);
        let watching = Watching::new(shared.clone(), clock, config.watch_progress_notify_interval);
        let front = Front::new(shared.clone(), number, watching, stopped.clone());
        let start = FrontStart { front, parcels, feed, streams: receiver, site: site.clone(), stop: stopped.clone() };
        let keeping = keeping(config);
        threads.push(spawn(&format!("front-{number}"), move || run_front(start, keeping))?);
    }
    runtime.block_on(async {
        let accepting_peers = tokio::spawn(listen::accept(peers, streams.clone(), stopped.clone()));
        let mut phase = member.phase.clone();
        let ready = phase.wait_for(|phase| *phase != Phase::Starting).await.map(|phase| *phase);
        let accepting = match ready {
            Ok(Phase::Ready) => {
                tracing::info!("ready to serve client requests");
                Some(tokio::spawn(listen::accept(clients, streams, stopped.clone())))
            }
            _ => None,
        };
        let ended = async { drop(phase.wait_for(|phase| matches!(phase, Phase::Stopped { .. })).await) };
        tokio::select! {
            () = ended => {}
            name = signal() => tracing::info!(signal = name, "received signal; shutting down"),
        }
        stop.send_replace(true);
        drop(accepting_peers.await);
        if let Some(accepting) = accepting {
            drop(accepting.await);
        }
    });
    for thread in threads {
        join(thread, "a front-door thread");
    }
    stop_member(member);
    Ok(())
}

/// What one front-door thread starts with.
struct FrontStart {
    front: Front,
    parcels: async_mpsc::UnboundedReceiver<super::waiters::Parcel>,
    feed: super::watchers::FeedEnd,
    streams: async_mpsc::UnboundedReceiver<Dealt>,
    site: HttpSide,
    stop: watch::Receiver<bool>,
}

/// What the HTTP side of every thread needs.
#[derive(Clone)]
struct HttpSide {
    metrics: Arc<Metrics>,
    config: Arc<Config>,
}

impl HttpSide {
    fn house(&self, front: &Front) -> House {
        let site = || Arc::new(Site { front: front.clone(), metrics: self.metrics.clone() });
        let metrics = || self.metrics.clone();
        House {
            client: Doors::new(front, http::client_router(site(), metrics(), &self.config)),
            peer: Doors::without_grpc(http::peer_router(site(), metrics())),
            metrics: Doors::without_grpc(http::metrics_router(site(), metrics())),
        }
    }
}

fn run_front(start: FrontStart, keeping: Keeping) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(failure) => fatal("failed to start a front-door thread", &failure),
    };
    let FrontStart { front, parcels, feed, streams, site, stop } = start;
    runtime.block_on(async move {
        tokio::spawn(unpack(parcels));
        tokio::spawn(front.watching.clone().feed(feed, front.interests.clone()));
        let house = site.house(&front);
        listen::serve(streams, house, keeping, stop).await;
    });
}

fn start_member(
    config: &Config,
    booted: Booted,
    waiters: Arc<Waiters>,
    watchers: super::watchers::Feeds,
    clock: Clock,
) -> Result<(Arc<Shared>, Member), ServeError> {
    let Booted { node, log_writer, applier, purger, reader, ids, member_id, cluster_id, .. } = booted;
    let (inbox, outbox) = inbox();
    let (to_log, log_queue) = mpsc::channel();
    let (to_applier, applier_queue) = mpsc::channel();
    let (to_committer, commit_queue) = mpsc::channel();
    let (to_purger, purge_queue) = mpsc::channel();
    let (phase, phase_seen) = watch::channel(Phase::Starting);
    let status = StatusBoard::new(node.status());
    let driver_ends = driver::Ends {
        log: to_log,
        applier: to_applier.clone(),
        purge: to_purger,
        waiters: waiters.clone(),
        status: status.clone(),
        phase,
        clock,
    };
    let applier_ends =
        applier::Ends { inbox: inbox.clone(), waiters: waiters.clone(), jobs: to_committer, watchers, clock };
    let (log_inbox, committer_applier) = (inbox.clone(), to_applier.clone());
    let log_thread = spawn("log", move || disks::write_log(log_writer, log_queue, log_inbox))?;
    let applier_thread = spawn("applier", move || applier::apply(applier, applier_queue, applier_ends))?;
    spawn("committer", move || disks::commit(commit_queue, committer_applier))?;
    spawn("purger", move || disks::purge(purger, purge_queue))?;
    let driver = spawn("driver", move || driver::drive(node, outbox, driver_ends))?;
    let shared = Arc::new(Shared {
        member_id,
        cluster_id,
        version: options::version(config.compat_version),
        gates: config.gates.clone(),
        hubs: Hubs::default(),
        inbox: inbox.clone(),
        applier: to_applier.clone(),
        waiters,
        ids,
        reader,
        status,
        quota: Quota::from_flag(config.quota_backend_bytes),
        limits: Limits {
            request_bytes_max: usize::try_from(config.max_request_bytes).unwrap_or(usize::MAX),
            txn_ops_max: usize::try_from(config.max_txn_ops).unwrap_or(usize::MAX),
            election_timeout: config.election_timeout,
        },
    });
    Ok((shared, Member { inbox, applier: to_applier, phase: phase_seen, driver, applier_thread, log_thread }))
}

/// The driver goes first, then the applier with its last commit, then the log.
fn stop_member(member: Member) {
    member.inbox.answer(Event::Stop);
    join(member.driver, "the driver");
    // Where the applier has ended, there is nothing to commit.
    let _ended = member.applier.send(ToApplier::Stop);
    join(member.applier_thread, "the applier");
    drop(member.inbox);
    join(member.log_thread, "the log writer");
}

fn join(thread: JoinHandle<()>, name: &str) {
    if thread.join().is_err() {
        fatal("a thread has failed", &name);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Resolves to the name of the signal that asks the process to end.
async fn signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => "terminated",
            _ = interrupt.recv() => "interrupt",
        },
        (Err(failure), _) | (_, Err(failure)) => fatal("failed to watch for signals", &failure),
    }
}

fn listen_on(kind: Listener, urls: &[Url]) -> Result<Vec<(Listener, TcpListener)>, ServeError> {
    urls.iter()
        .map(|url| {
            let failed = |source| ServeError::Listen { address: url.authority.clone(), source };
            let listener = TcpListener::bind(&url.authority).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            Ok((kind, listener))
        })
        .collect()
}

fn keeping(config: &Config) -> Keeping {
    Keeping {
        streams_max: config.max_concurrent_streams,
        ping_interval: config.grpc_keepalive_interval,
        ping_timeout: config.grpc_keepalive_timeout.unwrap_or(Duration::from_secs(20)),
    }
}
