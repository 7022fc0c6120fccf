//! One member as the simulation runs it: the three machines of `node`, with virtual time between asking and answering.
//!
//! The log writer takes a while to sync, the applier a while to apply, the committer a while to commit; each works on one
//! thing at a time, in order. What a member was about to do is lost when it crashes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use disk::{Disk, MemDisk};
use mvcc::watch::{Hub, HubConfig};
use node::{
    ApplyBatch, Batch, BootError, BootOptions, Booted, CommitJob, Config, ExistingCluster, InitialMember, Now, boot,
};
use proto::raftpb::{Entry, Message};
use state::Version;

use crate::options::{OWN_VERSION, Options};
use crate::rng::Rng;
use crate::world::Waiter;

/// The cluster's token.
pub const TOKEN: &str = "etcd-cluster";

/// Work for the applier.
#[derive(Debug)]
pub enum Task {
    Apply(ApplyBatch),
    Durable(u64),
    SendSnapshot(Box<Message>),
    Defragment(u64),
    Wake,
}

/// A member that runs.
pub struct Running {
    pub booted: Booted,
    pub hub: Hub,
    pub log_queue: VecDeque<Batch>,
    pub log_busy: bool,
    /// Only with a planted bug: the commit index told before its sync.
    pub told_commit: u64,
    /// Terms of the last entries given to the log, by index.
    pub tail: BTreeMap<u64, u64>,
    pub tasks: VecDeque<Task>,
    pub applier_busy: bool,
    pub job: Option<CommitJob>,
    /// Who waits for which ticket.
    pub waiting: BTreeMap<u64, Waiter>,
    /// The moment the next wake-up is planned for.
    pub wake_at: Duration,
    pub applier_wake_at: Duration,
}

impl Running {
    fn new(booted: Booted) -> Self {
        let view = booted.reader.view();
        let config = HubConfig {
            stream_bytes_max: 4 << 10,
            slice_revisions: 10,
            response_bytes: 2 << 10,
            fragment_bytes: 1 << 10,
            ..HubConfig::default()
        };
        let hub = Hub::new(view.kv(), config);
        drop(view);
        Self {
            booted,
            hub,
            log_queue: VecDeque::new(),
            log_busy: false,
            told_commit: 0,
            tail: BTreeMap::new(),
            tasks: VecDeque::new(),
            applier_busy: false,
            job: None,
            waiting: BTreeMap::new(),
            wake_at: Duration::MAX,
            applier_wake_at: Duration::MAX,
        }
    }

    /// Bytes of entries in its queues.
    pub fn held_bytes(&self) -> usize {
        let bytes = |entries: &[Entry]| entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        let queued = self.log_queue.iter().map(|batch| bytes(&batch.entries)).sum::<usize>();
        let tasks = self.tasks.iter().map(|task| match task {
            Task::Apply(batch) => bytes(&batch.entries),
            Task::Durable(_) | Task::SendSnapshot(_) | Task::Defragment(_) | Task::Wake => 0,
        });
        queued + tasks.sum::<usize>()
    }
}

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Stays,
    /// Its removal is committed; it may not know yet.
    Leaves,
    /// Switched off for good.
    Gone,
}

/// The cluster that a member starts into.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub members: Vec<InitialMember>,
    pub existing: Option<ExistingCluster>,
}

/// A place for a member: its disk, its clock, and the member while it runs.
pub struct Slot {
    pub id: u64,
    pub name: String,
    pub peer_urls: Vec<String>,
    pub disk: MemDisk,
    /// Its disk may fail by itself, because a fault was arranged.
    pub ill: bool,
    /// The disk has only so much room.
    pub disk_is_limited: bool,
    /// Counts starts; what was planned for an earlier one is void.
    pub incarnation: u32,
    pub running: Option<Running>,
    pub fate: Fate,
    /// It joins a cluster that exists, instead of founding one.
    pub joins: bool,
    pub paused_until: Option<Duration>,
    pub sync_stalled_until: Duration,
    /// The clock runs at this many thousandths of true time.
    pub clock_permille: u64,
    pub compat: Version,
}

/// Bytes of entries that a member may have waiting for its disk.
pub const UNSYNCED_BYTES_MAX: usize = 64 << 10;

impl Slot {
    /// A place with an empty disk.
    pub fn new(id: u64, member: InitialMember, options: &Options, rng: &mut Rng) -> Self {
        Self {
            id,
            name: member.name,
            peer_urls: member.peer_urls,
            disk: MemDisk::new(rng.next()),
            ill: false,
            disk_is_limited: false,
            incarnation: 0,
            running: None,
            fate: Fate::Stays,
            joins: false,
            paused_until: None,
            sync_stalled_until: Duration::ZERO,
            clock_permille: rng.between(1000 - options.drift_permille, 1000 + options.drift_permille),
            compat: options.compat,
        }
    }

    /// True time as the member's clock shows it.
    pub fn local(&self, now: Duration) -> Now {
        let millis = now.as_micros() as u64 * self.clock_permille / 1_000_000;
        let monotonic = Duration::from_micros(now.as_micros() as u64 * self.clock_permille / 1000);
        Now { monotonic, unix_millis: 1_700_000_000_000 + millis + u64::from(self.incarnation) }
    }

    /// The true time at which the member's clock shows this.
    pub fn global(&self, local: Duration) -> Duration {
        Duration::from_micros((local.as_micros() as u64).saturating_mul(1000).div_ceil(self.clock_permille))
    }

    pub fn is_paused(&self, now: Duration) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Whether an error of its disk is to be expected.
    pub fn disk_may_fail(&self) -> bool {
        self.ill || self.disk.is_cut()
    }

    /// Starts the member on its disk. One that joins needs to hear of the cluster from one that is in it.
    pub fn start(&mut self, options: &Options, cluster: Cluster, now: Duration) -> Result<(), BootError> {
        self.incarnation += 1;
        let booted = boot(self.boot_options(options, cluster), self.local(now))?;
        assert_eq!(booted.member_id, self.id, "ids follow from names and token");
        self.running = Some(Running::new(booted));
        Ok(())
    }

    /// Whether it needs to hear of the cluster before it can start.
    pub fn must_ask(&self) -> bool {
        self.joins && !self.disk.exists(std::path::Path::new("/data/member/wal")).unwrap_or(false)
    }

    fn boot_options(&self, options: &Options, cluster: Cluster) -> BootOptions {
        let checkpoints = options.lease_checkpoints;
        let defaults = Config::default();
        let node = Config {
            name: self.name.clone(),
            client_urls: vec![format!("http://{}:2379", self.name)],
            snapshot_count: options.snapshot_count,
            catch_up_entries: options.catch_up_entries,
            unsynced_bytes_max: UNSYNCED_BYTES_MAX,
            purge_interval: Duration::from_secs(5),
            pre_vote: options.pre_vote,
            strict_reconfig: options.strict_reconfig,
            learners_max: options.learners_max,
            lease_checkpoint: checkpoints.is_some(),
            lease_checkpoint_interval: checkpoints.unwrap_or(defaults.lease_checkpoint_interval),
            lease_checkpoint_persist: options.persist_checkpoints,
            compat: self.compat,
            ..defaults
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        BootOptions {
            initial_cluster: cluster.members,
            join: cluster.existing,
            wal_segment_bytes: 64 << 10,
            wals_max: 2,
            snapshots_max: 2,
            backend_cache_bytes: 256 << 10,
            compaction_batch_limit: 50,
            seed: options.seed.wrapping_mul(31).wrapping_add(self.id).wrapping_add(u64::from(self.incarnation)),
            ..BootOptions::new(disk, "/data", node, self.peer_urls.clone())
        }
    }

    /// The version that the member tells others at present.
    pub fn version(&self) -> Version {
        self.compat
    }

    /// Lets go of the cap on the member's version.
    pub fn upgrade(&mut self) {
        self.compat = OWN_VERSION;
    }
}
