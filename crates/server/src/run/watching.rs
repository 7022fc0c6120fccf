//! The watch hub of one front-door thread: fed with published batches, serving history in slices between them, waking the
//! streams that have something to send.

use super::clock::Clock;
use super::front::Shared;
use super::interests::Interests;
use super::watchers::FeedEnd;
use mvcc::EventBatch;
use mvcc::watch::{Hub, HubConfig, HubStats, Output, StreamId};
use proto::etcdserverpb::WatchRequest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// While no watcher wants to hear of progress, the thread looks up this often.
const IDLE: Duration = Duration::from_secs(3600);

/// The hub and the streams that wait on it. The lock is only ever taken on one thread and never held across a wait.
#[derive(Clone)]
pub struct Watching {
    inner: Arc<Mutex<Inner>>,
    shared: Arc<Shared>,
    clock: Clock,
    progress_every: Duration,
    /// Wakes the feeding task: watchers were added that read history or wait for progress.
    poked: Arc<Notify>,
}

struct Inner {
    hub: Hub,
    sleepers: HashMap<StreamId, Arc<Notify>>,
}

/// The hubs of all threads, for those who count.
#[derive(Default)]
pub struct Hubs(Mutex<Vec<Weak<Mutex<Inner>>>>);

impl Hubs {
    /// The sums over all hubs.
    pub fn stats(&self) -> HubStats {
        let hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = HubStats::default();
        for hub in hubs.iter().filter_map(Weak::upgrade) {
            let stats = hub.lock().unwrap_or_else(PoisonError::into_inner).hub.stats();
            sum.streams += stats.streams;
            sum.watchers += stats.watchers;
            sum.slow_watchers += stats.slow_watchers;
            sum.pending_events += stats.pending_events;
            sum.events_total += stats.events_total;
        }
        sum
    }

    fn add(&self, hub: &Arc<Mutex<Inner>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(hub));
    }
}

/// One open watch stream; its watchers end when it is dropped.
pub struct WatchStream {
    watching: Watching,
    id: StreamId,
    /// There is output.
    pub woken: Arc<Notify>,
}

impl Watching {
    /// A hub that begins at what is published now.
    pub fn new(shared: Arc<Shared>, clock: Clock, progress_every: Duration) -> Watching {
        let config = HubConfig {
            cluster_id: shared.cluster_id,
            member_id: shared.member_id,
            fragment_bytes: shared.limits.receive_bytes_max(),
            ..HubConfig::default()
        };
        let hub = Hub::new(shared.reader.view().kv(), config);
        let inner = Arc::new(Mutex::new(Inner { hub, sleepers: HashMap::new() }));
        shared.hubs.add(&inner);
        Watching { inner, shared, clock, progress_every, poked: Arc::new(Notify::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a stream.
    pub fn open(&self) -> WatchStream {
        // Up to a tenth more, so that streams opened together are not all told at the same moment.
        let jitter =
            self.progress_every.mul_f64(f64::from(self.clock.now().monotonic.subsec_nanos() % 1000) / 10_000.0);
        let woken = Arc::new(Notify::new());
        let mut inner = self.lock();
        let id = inner.hub.open_stream(self.clock.now().monotonic, self.progress_every + jitter);
        inner.sleepers.insert(id, woken.clone());
        WatchStream { watching: self.clone(), id, woken }
    }

    /// Feeds the hub until the applier has ended.
    pub async fn feed(self, mut feed: FeedEnd, interests: Interests) {
        let missed = feed.missed_bell();
        loop {
            let (behind, tick) = {
                let inner = self.lock();
                (inner.hub.needs_sync(), inner.hub.next_tick())
            };
            let patience = tick.map_or(IDLE, |at| at.saturating_sub(self.clock.now().monotonic));
            tokio::select! {
                biased;
                () = missed.notified() => {
                    self.catch_up();
                    interests.tell_missed();
                }
                batch = feed.next() => match batch {
                    Some(batch) => {
                        self.publish(&batch);
                        interests.tell(&batch);
                    }
                    None => return,
                },
                () = tokio::task::yield_now(), if behind => self.serve_history(),
                () = self.poked.notified() => {}
                () = tokio::time::sleep(patience) => self.tick(),
            }
        }
    }

    /// Batches were lost: watchers read on in history. What is still in the feed is known then and passed over.
    fn catch_up(&self) {
        let view = self.shared.reader.view();
        self.lock().hub.reset(view.kv());
        self.wake();
    }

    fn tick(&self) {
        let began = Instant::now();
        self.lock().hub.tick(self.clock.now().monotonic);
        self.wake();
        self.shared.metrics.watch_progress.observe(began.elapsed());
    }

    fn publish(&self, batch: &Arc<EventBatch>) {
        let term = self.shared.reader.view().applied_entry().term;
        let told = {
            let mut inner = self.lock();
            inner.hub.set_raft_term(term);
            inner.hub.publish(batch)
        };
        self.outcome(told);
    }

    fn serve_history(&self) {
        let view = self.shared.reader.view();
        let told = self.lock().hub.sync(view.kv());
        self.outcome(told);
    }

    /// The database cannot be read: the member must not go on as if nothing had happened.
    fn outcome(&self, told: mvcc::Result<()>) {
        if let Err(failure) = told {
            super::fatal("failed to read events for watchers", &failure);
        }
        self.wake();
    }

    fn wake(&self) {
        let mut inner = self.lock();
        for id in inner.hub.take_ready() {
            if let Some(sleeper) = inner.sleepers.get(&id) {
                sleeper.notify_one();
            }
        }
    }
}

impl WatchStream {
    /// Carries out a request.
    pub fn request(&self, request: &WatchRequest) {
        let view = self.watching.shared.reader.view();
        let mut inner = self.watching.lock();
        inner.hub.set_raft_term(view.applied_entry().term);
        inner.hub.request(self.id, request, view.kv().revision());
        drop(inner);
        self.watching.poked.notify_one();
    }

    /// The next thing to send.
    pub fn next(&self) -> Option<Output> {
        let mut inner = self.watching.lock();
        let output = inner.hub.next_output(self.id);
        let behind = inner.hub.needs_sync();
        drop(inner);
        if behind {
            self.watching.poked.notify_one();
        }
        output
    }

    /// Whether so much is to be sent that no request should be read.
    pub fn is_full(&self) -> bool {
        self.watching.lock().hub.is_full(self.id)
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        let mut inner = self.watching.lock();
        inner.hub.close_stream(self.id);
        inner.sleepers.remove(&self.id);
    }
}
