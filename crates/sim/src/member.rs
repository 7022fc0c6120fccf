//! One member as the simulation runs it: the three machines of `node`, with virtual time between asking and answering.
//!
//! The log writer takes a while to sync, the applier a while to apply, the committer a while to commit; each works on one
//! thing at a time, in order. What a member was about to do is lost when it crashes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use disk::{Disk, MemDisk};
use mvcc::watch::{Hub, HubConfig};
use node::{ApplyBatch, Batch, BootError, BootOptions, Booted, CommitJob, Config, InitialMember, Now, boot};
use proto::raftpb::Message;

use crate::options::Options;

/// Work for the applier.
#[derive(Debug)]
pub enum Task {
    Apply(ApplyBatch),
    Durable(u64),
    SendSnapshot(Box<Message>),
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
    pub waiting: BTreeMap<u64, usize>,
    /// The moment the next wake-up is planned for.
    pub wake_at: Duration,
    pub applier_wake_at: Duration,
}

/// A place for a member: its disk, its clock, and the member while it runs.
pub struct Slot {
    pub id: u64,
    pub name: String,
    pub disk: MemDisk,
    /// Counts starts; what was planned for an earlier one is void.
    pub incarnation: u32,
    pub running: Option<Running>,
    pub paused_until: Option<Duration>,
    pub sync_stalled_until: Duration,
    /// The clock runs at this many thousandths of true time.
    pub clock_permille: u64,
}

/// Bytes of entries that a member may have waiting for its disk.
pub const UNSYNCED_BYTES_MAX: usize = 64 << 10;

impl Slot {
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

    /// Starts the member on its disk.
    pub fn start(&mut self, options: &Options, cluster: &[InitialMember], now: Duration) -> Result<(), BootError> {
        self.incarnation += 1;
        let booted = boot(self.boot_options(options, cluster), self.local(now))?;
        assert_eq!(booted.member_id, self.id, "ids follow from names and token");
        let view = booted.reader.view();
        let hub =
            Hub::new(view.kv(), HubConfig { stream_bytes_max: 4 << 10, slice_revisions: 10, ..HubConfig::default() });
        drop(view);
        self.running = Some(Running {
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
        });
        Ok(())
    }

    fn boot_options(&self, options: &Options, cluster: &[InitialMember]) -> BootOptions {
        let node = Config {
            name: self.name.clone(),
            client_urls: vec![format!("http://{}:2379", self.name)],
            snapshot_count: options.snapshot_count,
            catch_up_entries: options.catch_up_entries,
            unsynced_bytes_max: UNSYNCED_BYTES_MAX,
            purge_interval: Duration::from_secs(5),
            pre_vote: options.pre_vote,
            ..Config::default()
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let peer_urls = vec![format!("http://{}:2380", self.name)];
        BootOptions {
            initial_cluster: cluster.to_vec(),
            wal_segment_bytes: 64 << 10,
            wals_max: 2,
            snapshots_max: 2,
            backend_cache_bytes: 256 << 10,
            compaction_batch_limit: 50,
            seed: options.seed.wrapping_mul(31).wrapping_add(self.id).wrapping_add(u64::from(self.incarnation)),
            ..BootOptions::new(disk, "/data", node, peer_urls)
        }
    }
}
