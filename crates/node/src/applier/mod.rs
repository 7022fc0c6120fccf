//! The owner of the state: applies, publishes, answers; keeps the backend's commits, sweeps and snapshots going.
//!
//! `mod.rs` runs the queue of entries; `effects` sorts what they bring about; `commit` decides when the backend is
//! written and with what; `install` replaces the state by a received snapshot.

mod commit;
mod effects;
mod install;
mod observer;
mod peek;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mvcc::EventBatch;
use proto::raftpb::{Entry, Message, Snapshot};
use state::auth::password::HashJob;
use state::versions::Migration;
use state::{Answer, ApplyError, Effect, Outcome, State, StateOptions, StateReader, Version};
use wal::SnapFiles;

use self::commit::Commits;
pub use self::commit::{CommitDone, CommitJob};
use self::effects::Held;
pub(crate) use self::install::lease_changes;
pub use self::observer::Observer;
use self::peek::peek;
use crate::action::ApplyBatch;
use crate::event::{Applied, Event, Now, Ticket};
use crate::ids::RequestIds;

/// What stops a member at apply. Nothing of it is a client's fault; the member must not go on.
#[derive(Debug, thiserror::Error)]
pub enum ApplierError {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("failed to write the database: {0}")]
    Backend(#[from] mvcc::Error),
    #[error("failed to save a snapshot: {0}")]
    Snap(#[from] wal::WalError),
    #[error("failed to install the database of a snapshot, {}: {source}", path.display())]
    Install { path: PathBuf, source: std::io::Error },
}

/// How often the storage is brought to the cluster version, where it is not yet.
const MIGRATION_INTERVAL: Duration = Duration::from_secs(4);

/// What the applier wants done after a call. Give it to its receivers in the order of the fields.
#[derive(Default)]
pub struct Output {
    /// The state was replaced by a received snapshot: watchers go on from history, caches are void.
    pub installed: bool,
    /// For the front doors' own bookkeeping: tokens, alarms, members.
    pub effects: Vec<Effect>,
    /// For the watch hubs; already readable.
    pub events: Option<Arc<EventBatch>>,
    /// For those who wait by request id; unknown ids are to be ignored.
    pub replies: Vec<(Ticket, Result<Outcome, ApplyError>)>,
    /// For the driver.
    pub driver: Vec<Event>,
    /// To be run on another thread, one at a time and in order; its result goes to [`Applier::committed`].
    pub job: Option<CommitJob>,
    /// To be run on another thread; the text goes to [`Applier::hashed`]. Entries wait for it.
    pub hash: Option<HashJob>,
    /// Snapshots asked for, ready to be streamed.
    pub snapshots: Vec<ReadySnapshot>,
}

/// A snapshot ready to be streamed, sealed at the applied index of its making. Pins the backend's pages.
#[derive(Clone)]
pub struct ReadySnapshot {
    pub to: SnapshotTo,
    pub source: mvcc::SnapshotSource,
}

/// Who asked for a snapshot.
#[derive(Clone, Debug)]
pub enum SnapshotTo {
    Client(Ticket),
    /// The message that goes ahead of the content, with the snapshot's real index, term, configuration and v2 tree.
    Peer(Box<Message>),
}

/// What the applier needs beside the state.
pub(crate) struct ApplierOptions {
    pub ids: Arc<RequestIds>,
    /// How the state was opened, for opening one in its place.
    pub state: StateOptions,
    pub snap_files: Arc<SnapFiles>,
    pub batch_interval: Duration,
    pub batch_limit: usize,
    pub compaction_batch_limit: usize,
    pub compaction_sleep: Duration,
    pub snapshot_count: u64,
    pub request_timeout: Duration,
}

/// What stands in the queue.
enum Item {
    Entry(Entry),
    Install(Arc<Snapshot>),
}

/// Owns the state. One thread drives it.
pub struct Applier {
    state: State,
    options: ApplierOptions,
    queue: VecDeque<Item>,
    /// The entry of this index waits for its password to be hashed.
    hashing: Option<u64>,
    commits: Commits,
    held: Held,
    sweep_at: Option<Duration>,
    migrate_at: Duration,
    /// The newest release whose kind of entry is in the log since the last snapshot; and since the one under way.
    newest_entry: Version,
    newest_unsealed: Version,
    observer: Box<dyn Observer>,
}

impl Applier {
    pub(crate) fn new(
        state: State,
        options: ApplierOptions,
        snapshot_index: u64,
        durable_commit: u64,
        now: Now,
    ) -> Self {
        Self {
            commits: Commits::new(snapshot_index, durable_commit),
            state,
            options,
            queue: VecDeque::new(),
            hashing: None,
            held: Held::default(),
            // A compaction that was cut short goes on.
            sweep_at: Some(now.monotonic),
            migrate_at: now.monotonic,
            newest_entry: Version::V3_0,
            newest_unsealed: Version::V3_0,
            observer: Box::new(observer::Nobody),
        }
    }

    /// Tells this observer of everything from now on.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observer = observer;
    }

    /// Applies a batch in order and publishes it once.
    pub fn apply(&mut self, batch: ApplyBatch, now: Now) -> Result<Output, ApplierError> {
        self.queue.extend(batch.snapshot.map(Item::Install));
        self.queue.extend(batch.entries.into_iter().map(Item::Entry));
        self.run(now)
    }

    /// The log holds a durable hard state with this commit index: commits up to it may leave.
    pub fn durable(&mut self, commit: u64, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        self.commits.durable(commit);
        self.advance_commits(now, &mut out)?;
        Ok(out)
    }

    /// A [`HashJob`] has ended.
    pub fn hashed(&mut self, index: u64, text: String, now: Now) -> Result<Output, ApplierError> {
        self.state.offer_hash(index, text);
        if self.hashing == Some(index) {
            self.hashing = None;
        }
        self.run(now)
    }

    /// Does what time asks for: commits, slices of a sweep. To be called when [`Self::next_wakeup`] has come.
    pub fn wake(&mut self, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        if self.sweep_at.is_some_and(|at| now.monotonic >= at) {
            if self.state.pending().full {
                // What is swept waits in memory for a commit too.
                self.commits.hurry_if_full(true);
                self.sweep_at = Some(now.monotonic + self.options.compaction_sleep);
            } else {
                self.sweep(now.monotonic)?;
            }
        }
        if now.monotonic >= self.migrate_at {
            self.migrate_storage(now.monotonic);
        }
        self.held.release_late(now.monotonic, &mut out.replies);
        self.advance_commits(now, &mut out)?;
        Ok(out)
    }

    /// When [`Self::wake`] wants to be called at the latest.
    pub fn next_wakeup(&self) -> Duration {
        let commit = self.commits.next_due(&self.options, self.state.pending());
        [self.sweep_at, commit, self.held.next_late()].into_iter().flatten().fold(self.migrate_at, Duration::min)
    }

    /// Gives space back to the disk; the ticket is answered with [`Outcome::Done`] through a later [`Output`].
    pub fn defragment(&mut self, ticket: Ticket, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        self.commits.defragment(ticket);
        self.advance_commits(now, &mut out)?;
        Ok(out)
    }

    /// Makes a snapshot of what is applied now, for a client.
    pub fn snapshot(&mut self, ticket: Ticket, now: Now) -> Result<Output, ApplierError> {
        self.ask_snapshot(SnapshotTo::Client(ticket), now)
    }

    /// Makes a snapshot of what is applied now, for a peer that has fallen behind the log.
    pub fn send_snapshot(&mut self, message: Message, now: Now) -> Result<Output, ApplierError> {
        self.ask_snapshot(SnapshotTo::Peer(Box::new(message)), now)
    }

    /// Seals and commits everything applied, as soon as that may be. For a stop in good order: call it after
    /// [`crate::Action::Stopped`], run the jobs it and [`Self::committed`] give until there is none.
    pub fn stop(&mut self, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        self.commits.stop();
        self.advance_commits(now, &mut out)?;
        Ok(out)
    }

    pub fn reader(&self) -> StateReader {
        self.state.reader()
    }

    /// Index of the last entry applied.
    pub fn applied_index(&self) -> u64 {
        self.state.applied().index
    }

    /// Runs the queue as far as it may go.
    fn run(&mut self, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        let mut batch = effects::Batch::default();
        if !self.queue.is_empty() {
            self.observer.applying();
        }
        while let Some(item) = self.queue.pop_front() {
            if let Err(item) = self.run_item(item, &mut batch, &mut out, now)? {
                self.queue.push_front(item);
                break;
            }
        }
        self.publish(batch, &mut out, now);
        self.advance_commits(now, &mut out)?;
        Ok(out)
    }

    /// Applies one item; gives it back where it has to wait.
    fn run_item(
        &mut self,
        item: Item,
        batch: &mut effects::Batch,
        out: &mut Output,
        now: Now,
    ) -> Result<Result<(), Item>, ApplierError> {
        let entry = match item {
            Item::Entry(entry) => entry,
            Item::Install(snapshot) => {
                if self.commits.is_running() {
                    return Ok(Err(Item::Install(snapshot)));
                }
                self.install(&snapshot, batch, now)?;
                out.installed = true;
                return Ok(Ok(()));
            }
        };
        if self.hashing.is_some() || self.state.pending().full {
            self.commits.hurry_if_full(self.state.pending().full);
            return Ok(Err(Item::Entry(entry)));
        }
        let peek = peek(&entry);
        if peek.may_hold_password
            && !self.commits.is_hashed(entry.index)
            && let Some(job) = HashJob::of(&entry)
        {
            self.commits.set_hashed(entry.index);
            self.hashing = Some(entry.index);
            out.hash = Some(job);
            return Ok(Err(Item::Entry(entry)));
        }
        if peek.may_need_newer {
            let required = state::versions::required(&entry);
            self.newest_entry = self.newest_entry.max(required);
            self.newest_unsealed = self.newest_unsealed.max(required);
        }
        let answer = if self.options.ids.is_own(peek.id) {
            batch.applied.tickets.push(peek.id);
            Answer::Wanted
        } else {
            Answer::Unwanted
        };
        let applied = self.state.apply_for(&entry, answer)?;
        self.observer.applied(&entry, &applied);
        self.sort_effects(applied, batch, out, now);
        Ok(Ok(()))
    }

    /// Makes the batch readable, then tells of it: contract 4.
    fn publish(&mut self, batch: effects::Batch, out: &mut Output, now: Now) {
        if batch.is_empty() {
            return;
        }
        out.events = self.state.publish();
        out.replies.extend(batch.replies);
        let view = self.state.reader().view();
        let mut applied = batch.applied;
        applied.index = self.state.applied().index;
        applied.term = self.state.applied().term;
        fill_applied(&mut applied, &self.state, &view, batch.members_changed);
        out.driver.push(Event::Applied(applied));
        if self.state.pending().changes > 0 {
            self.commits.touched(now.monotonic);
        }
    }

    fn sweep(&mut self, now: Duration) -> Result<(), ApplierError> {
        self.observer.sweeping();
        let progress = self.state.sweep(self.options.compaction_batch_limit)?;
        self.observer.swept(progress, self.state.swept_records(), self.state.image());
        match progress {
            mvcc::SweepProgress::Idle => self.sweep_at = None,
            mvcc::SweepProgress::More => self.sweep_at = Some(now + self.options.compaction_sleep),
            mvcc::SweepProgress::Finished { revision } => {
                self.held.swept(revision);
                self.commits.swept();
                self.sweep_at = Some(now + self.options.compaction_sleep);
            }
        }
        self.commits.touched(now);
        Ok(())
    }

    /// Brings the storage to the cluster version (facts: disk-formats, 10).
    fn migrate_storage(&mut self, now: Duration) {
        self.migrate_at = now + MIGRATION_INTERVAL;
        let cluster = self.state.versions().cluster.filter(|version| *version > Version::V3_0);
        let done = cluster.map(|target| self.state.migrate_storage(target, self.newest_entry));
        if let (Some(Migration::Done { .. }), Some(version)) = (done, cluster) {
            self.observer.migrated(version);
            self.commits.touched(now);
        }
    }
}

/// What the node wants to know of the state.
pub(crate) fn fill_applied(applied: &mut Applied, state: &State, view: &state::StateView, with_members: bool) {
    let versions = view.versions();
    applied.cluster_version = versions.cluster;
    applied.downgrade_enabled = versions.downgrade.enabled();
    applied.downgrade_target = versions.downgrade.target;
    applied.revision = view.revision();
    applied.compact_revision = view.compact_revision();
    applied.v2_ttl_keys = state.has_v2_ttl_keys();
    applied.auth_revision = view.auth().is_enabled().then(|| view.auth().revision());
    if with_members {
        applied.members = Some(Arc::new(view.members().to_proto()));
    }
}

/// The v2 tree as a snapshot carries it.
type Json = Bytes;
