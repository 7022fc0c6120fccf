//! From a configuration to a serving member and back to an ended process.

use super::clock::Clock;
use super::driver::Phase;
use super::fronts::{Fronts, HttpSide};
use super::listen::{Dealer, Listener};
use super::member::{Member, Parts};
use super::open::Opened;
use super::peers::{self, Peering};
use super::served::{self, Unserved};
use super::sockets::{self, Bound, ListenError, connections_max};
use super::waiters::Waiters;
use super::watchers::feeds;
use super::{corruption, guard, not_yet, open, options};
use crate::config::{Config, Gate};
use crate::discovery::DiscoveryError;
use crate::exit::{self, Signal};
use crate::logging::{self, lines};
use crate::metrics::Metrics;
use crate::notify;
use node::boot::BootError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use tokio::sync::watch;

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Unserved(#[from] Unserved),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("{0}")]
    Config(String),
    #[error("failed to start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why the process ends in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    By(Signal),
    /// The member was removed from its cluster.
    Removed,
}

/// What is listened on.
struct Listeners {
    clients: Vec<Bound>,
    peers: Vec<Bound>,
    metrics: Vec<Bound>,
}

/// Serves until a signal, or until the member is removed. `commit` names the build.
pub fn serve(config: &Config, commit: &str) -> Result<Ended, ServeError> {
    guard::end_where_a_thread_of_the_member_fails();
    not_yet::check(config).map_err(ServeError::Config)?;
    let clock = Clock::start();
    let listeners = Listeners::bind(config)?;
    let places = connections_max().map_err(ServeError::Config)?;
    lines::starting(config, &options::version(config.compat_version).to_string(), commit, options::has_log(config));
    let metrics = Arc::new(Metrics::new(config.metrics_extensive));
    let opened = match open::open(config, &metrics, clock) {
        Err(ServeError::Boot(BootError::Removed)) => {
            // As etcd does: whoever waits for the unit must not take this for a failed start.
            notify::ready();
            tell_removed();
            lines::closing(config, false);
            lines::closing(config, true);
            return Ok(Ended::Removed);
        }
        opened => opened?,
    };
    if !opened.booted.fresh && config.gates.enabled(Gate::InitialCorruptCheck) {
        corruption::check_before_serving(&opened.booted, config.election_timeout)?;
    }
    let count = thread::available_parallelism().map_or(1, usize::from);
    // The thread of the peers waits for answers as well, but watches nothing.
    let (waiters, mut parcels) = Waiters::new(count + 1);
    let (feeds, feed_ends) = feeds(count);
    let peer_parcels = parcels.split_off(count);
    let Opened { booted, disk } = opened;
    let (member, prepared) =
        Member::start(config, Parts { booted, disk, waiters, feeds, metrics: metrics.clone(), clock })?;
    let http = HttpSide { metrics, config: Arc::new(config.clone()) };
    let fronts = Fronts::start(&member.shared, parcels.into_iter().zip(feed_ends).collect(), &http, clock)?;
    let for_peers = fronts.for_peers(&member.shared, clock);
    let peering = prepared.start(for_peers.clone(), peer_parcels)?;
    let compactions = config.gates.enabled(Gate::CompactHashCheck).then_some(config.compact_hash_check_time);
    let times = corruption::Times { periodic: config.corrupt_check_time, compactions };
    peering.transport().spawn(Box::pin(corruption::watch(for_peers, times)));
    lines::now_serving(config, member.shared.member_id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dealer = Dealer::new(fronts.ends(), places);
    let ended = runtime.block_on(run(config, listeners, &member, dealer, &fronts, &peering));
    // The listeners close first.
    runtime.shutdown_background();
    fronts.stop();
    if let Ok(Ended::By(Signal::Interrupt)) = ended {
        // Whoever asks again does not want to wait.
        exit::end_at_next_interrupt();
    }
    let joined = fronts.join();
    // Leadership is handed on over the connections that end last.
    member.stop();
    peering.stop();
    joined?;
    let ended = ended?;
    lines::closing(config, true);
    Ok(ended)
}

/// From the open listeners to the wish to end.
async fn run(
    config: &Config,
    listeners: Listeners,
    member: &Member,
    dealer: Dealer,
    fronts: &Fronts,
    peering: &Peering,
) -> Result<Ended, ServeError> {
    let stop = fronts.stopping();
    let accept = |kind, bound: Vec<Bound>| accept_all(kind, bound, &dealer, &stop);
    for bound in listeners.peers {
        tokio::spawn(peers::accept(bound.listen()?, peering.transport().clone()));
    }
    config.listen_peer_urls.iter().for_each(|url| lines::serving_peers(&url.authority));
    accept(Listener::Metrics, listeners.metrics)?;
    config.listen_metrics_urls.iter().for_each(|url| lines::serving_metrics(&url.authority));
    tell_purging(config);
    let mut phase = member.phase.clone();
    let ready = tokio::select! {
        ready = phase.wait_for(|phase| *phase != Phase::Starting) => ready.is_ok_and(|phase| *phase == Phase::Ready),
        signal = signal() => {
            lines::received_signal(signal.name());
            lines::closing(config, false);
            return Ok(Ended::By(signal));
        }
    };
    if ready {
        served::check_auth(&member.shared.reader.view())?;
        member.shared.serving.store(true, Ordering::SeqCst);
        let shared = &member.shared;
        lines::published(config, shared.member_id, shared.cluster_id, config.request_timeout());
        lines::ready();
        accept(Listener::Client, listeners.clients)?;
        lines::grpc_status("", "SERVING", "started to serve");
        notify::ready();
        config.listen_client_urls.iter().for_each(|url| lines::serving_clients("grpc+http", &url.authority));
    } else {
        // Removed before it was ready: as where it finds that out from its log.
        notify::ready();
    }
    tokio::spawn(oversee_pins(member.shared.figures.pins.clone()));
    let ended = tokio::select! {
        signal = signal() => {
            lines::received_signal(signal.name());
            Ended::By(signal)
        }
        _ = phase.wait_for(|phase| matches!(phase, Phase::Stopped { .. })) => Ended::Removed,
    };
    if ended == Ended::Removed {
        tell_removed();
    }
    lines::closing(config, false);
    Ok(ended)
}

/// Databases received with snapshots go once they are of no use, however many are kept of the others.
fn tell_purging(config: &Config) {
    let (snap, interval) = (config.data_dir.join("member").join("snap"), node::Config::default().purge_interval);
    for (dir, suffix, max) in [(snap, "snap", config.max_snapshots), (config.wal_path(), "wal", config.max_wals)] {
        if max > 0 {
            lines::purging(&dir, suffix, max, interval);
        }
    }
}

fn tell_removed() {
    logging::warn("server error", &[("error", BootError::Removed.to_string().into())]);
    logging::warn("data-dir used by this member must be removed", &[]);
}

fn accept_all(
    kind: Listener,
    bound: Vec<Bound>,
    dealer: &Dealer,
    stop: &watch::Receiver<bool>,
) -> Result<(), ServeError> {
    for bound in bound {
        tokio::spawn(dealer.clone().accept(kind, bound.listen()?, stop.clone()));
    }
    Ok(())
}

async fn oversee_pins(pins: Arc<super::pins::Pins>) {
    loop {
        tokio::time::sleep(super::pins::LOOK_EVERY).await;
        pins.look(std::time::Instant::now());
    }
}

/// Resolves to the signal that asks the process to end.
async fn signal() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => Signal::Terminate,
            _ = interrupt.recv() => Signal::Interrupt,
        },
        (Err(failure), _) | (_, Err(failure)) => super::fatal("failed to watch for signals", &failure),
    }
}

impl Listeners {
    fn bind(config: &Config) -> Result<Listeners, ServeError> {
        let all = |urls: &[crate::config::Url]| {
            let bound: Result<Vec<Bound>, ListenError> =
                urls.iter().map(|url| sockets::bind(url, config.socket_reuse_port)).collect();
            bound
        };
        lines::configuring_peer_listeners(&config.listen_peer_urls);
        let peers = all(&config.listen_peer_urls)?;
        lines::configuring_client_listeners(&config.listen_client_urls);
        let clients = all(&config.listen_client_urls)?;
        let metrics = all(&config.listen_metrics_urls)?;
        Ok(Listeners { clients, peers, metrics })
    }
}
