//! A load on one server: clients on connections, in a closed or an open loop, with the latencies of all requests.

use crate::work::{Kind, Shape, Worker};
use hdrhistogram::Histogram;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Latencies are told apart up to a minute, to three digits, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub kind: Kind,
    pub shape: Shape,
    pub clients: usize,
    pub connections: usize,
    pub pace: Pace,
    pub until: Until,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each client sends its next request after the last answer.
    Closed,
    /// This many a second in all are due, whatever the answers do; latency counts from when a request was due.
    Open { per_sec: f64 },
}

/// When it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    Time(Duration),
    Requests(u64),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub requests: u64,
    pub failed: u64,
    pub first_failure: Option<String>,
    pub took: Duration,
    pub latency_us: Histogram<u64>,
}

impl Outcome {
    pub fn per_sec(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

/// What all clients share.
struct Common {
    load: Load,
    start: Instant,
    next: AtomicU64,
    done: AtomicU64,
}

/// What one client has seen.
struct Seen {
    latency_us: Histogram<u64>,
    failed: u64,
    first_failure: Option<String>,
}

/// Opens the connections.
pub async fn connect(url: &str, connections: usize) -> Result<Vec<Channel>, Failure> {
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?);
    }
    Ok(channels)
}

/// Writes every key of the shape once.
pub async fn fill(channels: &[Channel], shape: Shape) -> Result<Outcome, Failure> {
    let whole = Shape { ..shape };
    let load = Load {
        kind: Kind::Put,
        shape: whole,
        clients: 64,
        connections: channels.len(),
        pace: Pace::Closed,
        until: Until::Requests(shape.keys),
    };
    run(channels, load).await
}

/// Runs a load to its end, with a line of progress where someone watches.
pub async fn run(channels: &[Channel], load: Load) -> Result<Outcome, Failure> {
    let common = Arc::new(Common { load, start: Instant::now(), next: AtomicU64::new(0), done: AtomicU64::new(0) });
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..load.clients {
        let worker = Worker::new(channels[number % channels.len()].clone(), load.shape);
        clients.spawn(client(worker, common.clone()));
    }
    let progress = tokio::spawn(show_progress(common.clone()));
    let mut outcome = Outcome {
        requests: 0,
        failed: 0,
        first_failure: None,
        took: Duration::ZERO,
        latency_us: Histogram::new_with_max(LATENCY_US_MAX, 3)?,
    };
    while let Some(seen) = clients.join_next().await {
        let seen = seen??;
        outcome.latency_us.add(&seen.latency_us)?;
        outcome.failed += seen.failed;
        outcome.first_failure = outcome.first_failure.or(seen.first_failure);
    }
    outcome.took = common.start.elapsed();
    outcome.requests = outcome.latency_us.len();
    progress.abort();
    Ok(outcome)
}

async fn client(mut worker: Worker, common: Arc<Common>) -> Result<Seen, Failure> {
    let mut seen = Seen { latency_us: Histogram::new_with_max(LATENCY_US_MAX, 3)?, failed: 0, first_failure: None };
    loop {
        let number = common.next.fetch_add(1, Ordering::Relaxed);
        let due = common.due(number);
        if common.is_over(number, due) {
            return Ok(seen);
        }
        if let Some(due) = due {
            tokio::time::sleep_until((common.start + due).into()).await;
        }
        let from = due.map_or_else(Instant::now, |due| common.start + due);
        match worker.send(common.load.kind, number).await {
            Ok(()) => {
                let us = u64::try_from(from.elapsed().as_micros()).unwrap_or(LATENCY_US_MAX);
                seen.latency_us.record(us.clamp(1, LATENCY_US_MAX))?;
            }
            Err(status) => {
                seen.failed += 1;
                seen.first_failure.get_or_insert_with(|| status.to_string());
            }
        }
        common.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Common {
    /// When the request with this number is due, in an open loop.
    fn due(&self, number: u64) -> Option<Duration> {
        match self.load.pace {
            Pace::Closed => None,
            Pace::Open { per_sec } => Some(Duration::from_secs_f64(number as f64 / per_sec)),
        }
    }

    fn is_over(&self, number: u64, due: Option<Duration>) -> bool {
        match self.load.until {
            Until::Requests(count) => number >= count,
            Until::Time(time) => due.unwrap_or_else(|| self.start.elapsed()) >= time,
        }
    }
}

async fn show_progress(common: Arc<Common>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let done = common.done.load(Ordering::Relaxed);
        eprint!("\r{} {done} requests, {}/s   ", common.load.kind.name(), done - last);
        // Progress that cannot be shown is no reason to stop.
        let _unshown = std::io::stderr().flush();
        last = done;
    }
}
