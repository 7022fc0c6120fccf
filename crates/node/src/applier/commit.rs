//! When the backend is written, and with what: commits, snapshot files, snapshots to be streamed, giving space back.
//! One job at a time, and none before the log holds a durable hard state that covers it (contract 2).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::raftpb::{ConfState, Snapshot, SnapshotMetadata};
use state::{ApplyError, Outcome};
use wal::SnapFiles;

use super::{Applier, ApplierError, ApplierOptions, Json, Output, ReadySnapshot, SnapshotTo};
use crate::action::SnapshotRecord;
use crate::event::{Event, Now, Ticket};

/// Pages moved in one step of giving space back.
const SHRINK_PAGES: usize = 256;

type Reply = (Ticket, Result<Outcome, ApplyError>);

/// Work on the backend file. Runs anywhere.
pub struct CommitJob(Work);

enum Work {
    Commit {
        /// `None` where the file holds everything already.
        commit: Option<mvcc::CommitJob>,
        snap: Option<(Arc<SnapFiles>, Snapshot)>,
    },
    Shrink(mvcc::ShrinkJob),
}

/// The result of a [`CommitJob`].
pub struct CommitDone(Done);

enum Done {
    Committed(Option<mvcc::Committed>),
    Shrunk(mvcc::Shrunk),
}

impl CommitJob {
    /// Whether the job writes changes; others give space back, or only write a snapshot file.
    pub fn is_commit(&self) -> bool {
        matches!(self.0, Work::Commit { commit: Some(_), .. })
    }

    /// Commits and, after that, writes the snapshot file that rides on it. Blocks on the disk. A failure stops the
    /// member.
    pub fn run(self) -> Result<CommitDone, ApplierError> {
        match self.0 {
            Work::Commit { commit, snap } => {
                let committed = commit.map(mvcc::CommitJob::run).transpose()?;
                if let Some((files, snapshot)) = snap {
                    files.save(&snapshot)?;
                }
                Ok(CommitDone(Done::Committed(committed)))
            }
            Work::Shrink(job) => Ok(CommitDone(Done::Shrunk(job.run()?))),
        }
    }
}

/// A commit that waits for the log, or is under way: what follows from it.
struct Sealed {
    index: u64,
    term: u64,
    conf_state: ConfState,
    json: Json,
    snapshot_file: bool,
    snapshots: Vec<SnapshotTo>,
    replies: Vec<Reply>,
    /// These wait for the file to have shrunk.
    defragment: Vec<Ticket>,
    /// What a compaction has swept is in it, so there is space to give back after it.
    swept: bool,
}

/// The state of affairs with the backend file.
pub(super) struct Commits {
    durable_commit: u64,
    snapshot_index: u64,
    /// The next seal is to make a snapshot file, however few entries that is for.
    force_snapshot_file: bool,
    /// When the first change came that no seal covers.
    dirty_since: Option<Duration>,
    hurry: bool,
    waiting: Option<(Option<mvcc::CommitJob>, Sealed)>,
    asked_durable: bool,
    running: Option<Option<Sealed>>,
    snapshots: Vec<SnapshotTo>,
    defragment: Vec<Ticket>,
    /// A compaction was swept since the last seal.
    swept: bool,
    shrink: bool,
    shrink_waiters: Vec<Ticket>,
    /// The member stops: no space is given back any more.
    stopping: bool,
    hashed: BTreeSet<u64>,
}

impl Commits {
    pub fn new(snapshot_index: u64, durable_commit: u64) -> Self {
        Self {
            durable_commit,
            snapshot_index,
            force_snapshot_file: false,
            dirty_since: None,
            hurry: false,
            waiting: None,
            asked_durable: false,
            running: None,
            snapshots: Vec::new(),
            defragment: Vec::new(),
            swept: false,
            shrink: false,
            shrink_waiters: Vec::new(),
            stopping: false,
            hashed: BTreeSet::new(),
        }
    }

    pub fn durable(&mut self, commit: u64) {
        self.durable_commit = self.durable_commit.max(commit);
        self.asked_durable = false;
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Something has changed.
    pub fn touched(&mut self, now: Duration) {
        self.dirty_since.get_or_insert(now);
    }

    /// One last commit.
    pub fn stop(&mut self) {
        self.hurry = true;
        self.stopping = true;
    }

    /// The cluster version went down: the log must let go of what older releases can't read.
    pub fn want_snapshot_file(&mut self) {
        self.force_snapshot_file = true;
    }

    pub fn hurry_if_full(&mut self, full: bool) {
        self.hurry |= full;
    }

    pub fn defragment(&mut self, ticket: Ticket) {
        self.defragment.push(ticket);
        self.hurry = true;
    }

    /// A compaction is swept: its space is given back once that is committed, and not before, because until then the file
    /// holds everything still.
    pub fn swept(&mut self) {
        self.swept = true;
    }

    pub fn set_hashed(&mut self, index: u64) {
        self.hashed.insert(index);
        while self.hashed.len() > 16 {
            self.hashed.pop_first();
        }
    }

    pub fn is_hashed(&self, index: u64) -> bool {
        self.hashed.contains(&index)
    }

    /// When a commit is due that nothing else hurries.
    pub fn next_due(&self, options: &ApplierOptions, pending: mvcc::Pending) -> Option<Duration> {
        let idle = self.running.is_none() && self.waiting.is_none() && pending.changes > 0;
        self.dirty_since.filter(|_| idle).map(|since| since + options.batch_interval)
    }

    /// The state was replaced by a snapshot at this index: what was sealed of the old one is void, and who waited for it
    /// waits for the new one; but nothing is left to be swept.
    pub fn replaced(&mut self, snapshot_index: u64, replies: &mut Vec<Reply>) {
        if let Some((_, sealed)) = self.waiting.take() {
            self.snapshots.extend(sealed.snapshots);
            self.defragment.extend(sealed.defragment);
            replies.extend(sealed.replies);
        }
        self.asked_durable = false;
        self.force_snapshot_file = false;
        self.dirty_since = None;
        self.snapshot_index = snapshot_index;
        self.durable_commit = self.durable_commit.max(snapshot_index);
    }
}

impl Applier {
    pub(super) fn ask_snapshot(&mut self, to: SnapshotTo, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        self.commits.snapshots.push(to);
        self.advance_commits(now, &mut out)?;
        Ok(out)
    }

    /// A commit job has ended.
    pub fn committed(&mut self, done: CommitDone, now: Now) -> Result<Output, ApplierError> {
        let mut out = Output::default();
        let sealed = self.commits.running.take().flatten();
        match done.0 {
            Done::Shrunk(shrunk) => {
                self.commits.shrink = self.state.shrunk(shrunk);
                if !self.commits.shrink {
                    let waiters = self.commits.shrink_waiters.drain(..);
                    out.replies.extend(waiters.map(|ticket| (ticket, Ok(Outcome::Done))));
                }
            }
            Done::Committed(committed) => {
                let source = match &committed {
                    Some(committed) => Some(committed.snapshot()),
                    None => self.state.snapshot(),
                };
                if let Some(committed) = committed {
                    self.state.committed(committed);
                }
                if let Some(sealed) = sealed {
                    self.finish(sealed, source, &mut out);
                }
            }
        }
        let more = self.run(now)?;
        Ok(merge(out, more))
    }

    /// Seals and lets jobs go as far as that may be.
    pub(super) fn advance_commits(&mut self, now: Now, out: &mut Output) -> Result<(), ApplierError> {
        if self.commits.running.is_some() {
            return Ok(());
        }
        if self.commits.waiting.is_none() && self.is_commit_due(now.monotonic) {
            self.seal();
        }
        if self.release_sealed(out) || self.commits.waiting.is_some() {
            return Ok(());
        }
        self.shrink(out);
        Ok(())
    }

    fn is_commit_due(&self, now: Duration) -> bool {
        let pending = self.state.pending();
        let options = &self.options;
        let time_is_up = self.commits.dirty_since.is_some_and(|since| now >= since + options.batch_interval);
        let wants_snapshot = !self.commits.snapshots.is_empty() && !self.is_replaying();
        let asked = self.commits.hurry || wants_snapshot || self.held.wants_commit();
        asked
            || pending.full
            || pending.changes >= options.batch_limit
            || (pending.changes > 0 && time_is_up)
            || self.wants_snapshot_file()
    }

    /// After a start, entries that the database has are applied again, for the sake of the v2 tree: until they are through,
    /// database and tree do not stand at one index, and nothing can be made of them together.
    fn is_replaying(&self) -> bool {
        self.state.applied().index < self.state.consistent().index
    }

    fn wants_snapshot_file(&self) -> bool {
        let entries = self.state.applied().index.saturating_sub(self.commits.snapshot_index);
        let wanted = entries > self.options.snapshot_count || (entries > 0 && self.commits.force_snapshot_file);
        wanted && !self.is_replaying()
    }

    /// Freezes what has gathered, exactly at the applied index, with all that is to follow from its commit.
    fn seal(&mut self) {
        let snapshot_file = self.wants_snapshot_file();
        let replaying = self.is_replaying();
        let snapshots = if replaying { Vec::new() } else { std::mem::take(&mut self.commits.snapshots) };
        let for_peer = snapshots.iter().any(|to| matches!(to, SnapshotTo::Peer(_)));
        let index = self.state.applied().index.max(self.state.consistent().index);
        if snapshot_file {
            self.newest_unsealed = state::Version::V3_0;
            self.commits.force_snapshot_file = false;
        }
        let sealed = Sealed {
            index,
            term: self.state.applied().term,
            conf_state: self.state.conf_state(),
            json: if snapshot_file || for_peer { self.state.snapshot_json() } else { Json::new() },
            snapshot_file,
            snapshots,
            replies: self.held.take_swept(),
            defragment: std::mem::take(&mut self.commits.defragment),
            swept: std::mem::take(&mut self.commits.swept),
        };
        // The job is kept here until a hard state with commit >= index is durable.
        let job = self.state.seal(index);
        self.commits.dirty_since = None;
        self.commits.hurry = false;
        self.commits.waiting = Some((job, sealed));
    }

    /// Lets the sealed job go once the log allows it; asks the driver to see to that. True where a job has left.
    fn release_sealed(&mut self, out: &mut Output) -> bool {
        let Some((_, sealed)) = &self.commits.waiting else { return false };
        if sealed.index > self.commits.durable_commit {
            if !std::mem::replace(&mut self.commits.asked_durable, true) {
                out.driver.push(Event::WantDurable { index: sealed.index });
            }
            return false;
        }
        let Some((commit, sealed)) = self.commits.waiting.take() else { return false };
        let snap = sealed.snapshot_file.then(|| (self.options.snap_files.clone(), sealed.snapshot()));
        self.commits.running = Some(Some(sealed));
        out.job = Some(CommitJob(Work::Commit { commit, snap }));
        true
    }

    fn shrink(&mut self, out: &mut Output) {
        if !self.commits.shrink || self.commits.stopping {
            return;
        }
        match self.state.shrink_step(SHRINK_PAGES) {
            Some(job) => {
                self.commits.running = Some(None);
                out.job = Some(CommitJob(Work::Shrink(job)));
            }
            None => {
                self.commits.shrink = false;
                let waiters = self.commits.shrink_waiters.drain(..);
                out.replies.extend(waiters.map(|ticket| (ticket, Ok(Outcome::Done))));
            }
        }
    }

    /// What follows from a commit.
    fn finish(&mut self, sealed: Sealed, source: Option<mvcc::SnapshotSource>, out: &mut Output) {
        self.commits.shrink |= sealed.swept;
        if !sealed.defragment.is_empty() {
            self.commits.shrink = true;
            self.commits.shrink_waiters.extend(&sealed.defragment);
        }
        if sealed.snapshot_file {
            self.commits.snapshot_index = sealed.index;
            self.newest_entry = self.newest_unsealed;
            // A migration may have waited for it.
            self.migrate_at = Duration::ZERO;
            let (index, term, conf_state) = (sealed.index, sealed.term, sealed.conf_state.clone());
            out.driver.push(Event::SnapshotSaved(SnapshotRecord { index, term, conf_state }));
        }
        out.replies.extend(sealed.replies.iter().cloned());
        match source {
            Some(source) => {
                for to in &sealed.snapshots {
                    out.snapshots.push(ReadySnapshot { to: sealed.address(to), source: source.clone() });
                }
            }
            // The file does not stand at the sealed index after all; they are served by the next commit.
            None => self.commits.snapshots.extend(sealed.snapshots),
        }
    }
}

impl Sealed {
    fn snapshot(&self) -> Snapshot {
        let conf_state = Some(self.conf_state.clone());
        let metadata = SnapshotMetadata { conf_state, index: self.index, term: self.term };
        Snapshot { data: self.json.clone(), metadata: Some(metadata) }
    }

    /// The message to a peer tells of the snapshot that is really sent.
    fn address(&self, to: &SnapshotTo) -> SnapshotTo {
        match to {
            SnapshotTo::Client(ticket) => SnapshotTo::Client(*ticket),
            SnapshotTo::Peer(message) => {
                let mut message = message.clone();
                message.snapshot = Some(self.snapshot());
                SnapshotTo::Peer(message)
            }
        }
    }
}

/// Two outputs as one, the first before the second.
fn merge(mut first: Output, second: Output) -> Output {
    first.installed |= second.installed;
    first.effects.extend(second.effects);
    debug_assert!(first.events.is_none() || second.events.is_none(), "one publication per call");
    first.events = second.events.or(first.events);
    first.replies.extend(second.replies);
    first.driver.extend(second.driver);
    first.job = second.job.or(first.job);
    first.hash = second.hash.or(first.hash);
    first.snapshots.extend(second.snapshots);
    first
}
