//! The threads of the member behind the doors: how they start, how they are tied together, how they end.

use super::applier::{self, ToApplier};
use super::clock::Clock;
use super::driver::{self, Phase, StatusBoard};
use super::figures::Figures;
use super::front::{Limits, Shared};
use super::guard::fatal;
use super::inbox::{Inbox, inbox};
use super::ledger::{Ledger, Times};
use super::peers::{self, Plan, Prepared};
use super::waiters::Waiters;
use super::watchers::Feeds;
use super::watching::Hubs;
use super::{disks, options, spawn};
use crate::config::Config;
use crate::metrics::Metrics;
use disk::Disk;
use node::Event;
use node::boot::Booted;
use state::quota::Quota;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// What the threads are made of.
pub struct Parts {
    pub booted: Booted,
    pub disk: Arc<dyn Disk>,
    pub waiters: Arc<Waiters>,
    pub feeds: Feeds,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

/// The threads of the member and the ends by which they are stopped.
pub struct Member {
    pub shared: Arc<Shared>,
    pub phase: watch::Receiver<Phase>,
    inbox: Inbox,
    applier: Sender<ToApplier>,
    driver: JoinHandle<()>,
    applier_thread: JoinHandle<()>,
    log_thread: JoinHandle<()>,
}

impl Member {
    /// Starts the threads. The transport's own starts once the doors stand.
    pub fn start(config: &Config, parts: Parts) -> io::Result<(Member, Prepared)> {
        let Parts { booted, disk, waiters, feeds, metrics, clock } = parts;
        let (inbox, outbox) = inbox();
        let (phase, phase_seen) = watch::channel(Phase::Starting);
        let (leader, leader_seen) = watch::channel(0);
        let version = options::version(config.compat_version);
        let peers = peers::prepare(Plan {
            booted: &booted,
            disk,
            version,
            peer_urls: config.initial_advertise_peer_urls.iter().map(ToString::to_string).collect(),
            election_timeout: config.election_timeout,
            inbox: inbox.clone(),
            metrics: metrics.clone(),
        });
        let Booted { node, log_writer, mut applier, purger, reader, ids, member_id, cluster_id, .. } = booted;
        let figures = Arc::new(Figures::default());
        figures.set_live_keys(reader.view().kv().count(b"\0", b"\0"));
        let serving = Arc::new(AtomicBool::new(false));
        let ledger = Ledger {
            metrics: metrics.clone(),
            figures: figures.clone(),
            clock,
            slow: config.warning_apply_duration,
            times: Times::default(),
        };
        applier.observe(Box::new(ledger));

        let (to_log, log_queue) = mpsc::channel();
        let (to_applier, applier_queue) = mpsc::channel();
        let (to_committer, commit_queue) = mpsc::channel();
        let (to_purger, purge_queue) = mpsc::channel();
        let status = StatusBoard::new(node.status());
        let driver_ends = driver::Ends {
            log: to_log,
            applier: to_applier.clone(),
            purge: to_purger,
            waiters: waiters.clone(),
            status: status.clone(),
            phase,
            leader,
            transport: peers.transport.clone(),
            inbox: inbox.clone(),
            metrics: metrics.clone(),
            clock,
            heartbeat: config.heartbeat_interval,
        };
        let applier_ends = applier::Ends {
            inbox: inbox.clone(),
            waiters: waiters.clone(),
            jobs: to_committer,
            watchers: feeds,
            clock,
            metrics: metrics.clone(),
            figures: figures.clone(),
            reader: reader.clone(),
            member_id,
            cluster_id,
            transport: peers.transport.clone(),
            serving: serving.clone(),
            members: reader.view().members().clone(),
        };
        let (log_inbox, committer_applier) = (inbox.clone(), to_applier.clone());
        let committer_metrics = metrics.clone();
        let log_thread = spawn("log", move || disks::write_log(log_writer, log_queue, log_inbox))?;
        let applier_thread = spawn("applier", move || applier::apply(applier, applier_queue, applier_ends))?;
        spawn("committer", move || disks::commit(commit_queue, committer_applier, committer_metrics))?;
        spawn("purger", move || disks::purge(purger, purge_queue))?;
        let driver = spawn("driver", move || driver::drive(node, outbox, driver_ends))?;
        let shared = Arc::new(Shared {
            member_id,
            cluster_id,
            version,
            gates: config.gates.clone(),
            hubs: Hubs::default(),
            inbox: inbox.clone(),
            applier: to_applier.clone(),
            waiters,
            ids,
            reader,
            status,
            leader: leader_seen,
            quota: Quota::from_flag(config.quota_backend_bytes),
            quota_bytes: quota_bytes(config),
            limits: limits(config),
            metrics,
            figures,
            serving,
        });
        let member =
            Member { shared, phase: phase_seen, inbox, applier: to_applier, driver, applier_thread, log_thread };
        Ok((member, peers))
    }

    /// The driver goes first, then the applier with its last commit, then the log.
    pub fn stop(self) {
        self.inbox.answer(Event::Stop);
        join(self.driver, "the driver");
        // Where the applier has ended, there is nothing to commit.
        let _ended = self.applier.send(ToApplier::Stop);
        join(self.applier_thread, "the applier");
        join(self.log_thread, "the log writer");
    }
}

fn join(thread: JoinHandle<()>, name: &str) {
    if thread.join().is_err() {
        fatal("a thread has failed", &name);
    }
}

fn quota_bytes(config: &Config) -> i64 {
    match Quota::from_flag(config.quota_backend_bytes) {
        Quota::Off => config.quota_backend_bytes,
        Quota::Bytes(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        request_bytes_max: usize::try_from(config.max_request_bytes).unwrap_or(usize::MAX),
        txn_ops_max: usize::try_from(config.max_txn_ops).unwrap_or(usize::MAX),
        election_timeout: config.election_timeout,
        request_timeout: config.request_timeout(),
        slow_apply: config.warning_apply_duration,
        slow_call: config.warning_unary_request_duration,
    }
}
