//! The front-door threads: how they start, what each of them runs, how they end.

use super::clock::Clock;
use super::front::{Front, Shared};
use super::guard::fatal;
use super::listen::{self, Dealt, House, Keeping};
use super::site::Site;
use super::waiters::{Parcel, unpack};
use super::watchers::FeedEnd;
use super::watching::Watching;
use crate::config::Config;
use crate::doors::Doors;
use crate::http;
use crate::metrics::Metrics;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinError;

/// Threads of one front door on which reads wait for the disk.
const READERS_MAX: usize = 16;
/// What stands for no limit of time.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// All of them.
pub struct Fronts {
    threads: Vec<JoinHandle<()>>,
    ends: Vec<mpsc::UnboundedSender<Dealt>>,
    stop: watch::Sender<bool>,
}

/// What the HTTP side of every thread needs.
#[derive(Clone)]
pub struct HttpSide {
    pub metrics: Arc<Metrics>,
    pub config: Arc<Config>,
}

/// What one thread starts with.
struct Start {
    front: Front,
    parcels: mpsc::UnboundedReceiver<Parcel>,
    feed: FeedEnd,
    connections: mpsc::UnboundedReceiver<Dealt>,
    http: HttpSide,
    stop: watch::Receiver<bool>,
}

impl Fronts {
    /// Starts one thread for each pair of ends.
    pub fn start(
        shared: &Arc<Shared>,
        ends: Vec<(mpsc::UnboundedReceiver<Parcel>, FeedEnd)>,
        http: &HttpSide,
        clock: Clock,
    ) -> io::Result<Fronts> {
        let (stop, stopping) = watch::channel(false);
        let mut fronts = Fronts { threads: Vec::new(), ends: Vec::new(), stop };
        for (number, (parcels, feed)) in ends.into_iter().enumerate() {
            let watching = Watching::new(shared.clone(), clock, http.config.watch_progress_notify_interval);
            let front = Front::new(shared.clone(), number, watching, stopping.clone());
            let (sender, connections) = mpsc::unbounded_channel();
            let start = Start { front, parcels, feed, connections, http: http.clone(), stop: stopping.clone() };
            fronts.threads.push(super::spawn(&format!("front-{number}"), move || start.run())?);
            fronts.ends.push(sender);
        }
        Ok(fronts)
    }

    /// The member as the thread of the peers sees it.
    pub fn for_peers(&self, shared: &Arc<Shared>, clock: Clock) -> Front {
        let watching = Watching::new(shared.clone(), clock, FOR_EVER);
        Front::new(shared.clone(), self.threads.len(), watching, self.stop.subscribe())
    }

    /// Where connections are dealt to.
    pub fn ends(&self) -> Vec<mpsc::UnboundedSender<Dealt>> {
        self.ends.clone()
    }

    /// Tells when the process is asked to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Asks everyone to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until all threads have ended.
    pub fn join(self) -> io::Result<()> {
        let failed = |_| io::Error::other("a front-door thread has failed");
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(failed))
    }
}

impl Start {
    fn run(self) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(READERS_MAX).thread_name("reader").build();
        let runtime = runtime.unwrap_or_else(|failure| fatal("failed to start a front-door thread", &failure));
        runtime.block_on(self.serve());
        // A read that still waits for the disk is of no use to anyone any more.
        runtime.shutdown_background();
    }

    async fn serve(self) {
        let Start { front, parcels, feed, connections, http, stop } = self;
        let unpacking = tokio::spawn(unpack(parcels));
        let feeding = tokio::spawn(front.watching.clone().feed(feed, front.interests.clone()));
        let serving = listen::serve(connections, http.house(&front), keeping(&http.config), stop);
        tokio::select! {
            () = serving => {}
            // Without these nobody gets an answer, or no watcher an event.
            outcome = lives(unpacking) => fatal("a front-door thread has failed", &outcome),
            outcome = lives(feeding) => fatal("a watch hub has failed", &outcome),
        }
    }
}

/// Resolves only where the task has failed: one that has ended did so because the member has.
async fn lives(task: tokio::task::JoinHandle<()>) -> JoinError {
    match task.await {
        Ok(()) => std::future::pending().await,
        Err(failure) => failure,
    }
}

impl HttpSide {
    fn house(&self, front: &Front) -> House {
        let site = || Arc::new(Site { front: front.clone(), metrics: self.metrics.clone() });
        let metrics = || self.metrics.clone();
        House {
            client: Doors::new(front, http::client_router(site(), metrics(), &self.config)),
            metrics: Doors::without_grpc(http::metrics_router(site(), metrics())),
        }
    }
}

fn keeping(config: &Config) -> Keeping {
    Keeping {
        // 0 would let nobody call; it means no limit, as in etcd.
        streams_max: if config.max_concurrent_streams == 0 { u32::MAX } else { config.max_concurrent_streams },
        ping_interval: config.grpc_keepalive_interval,
        ping_timeout: config.grpc_keepalive_timeout.unwrap_or(FOR_EVER),
        client_ping_min: config.grpc_keepalive_min_time,
        patience: config.request_timeout(),
    }
}
