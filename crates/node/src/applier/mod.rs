//! The owner of the state: applies, publishes, answers; keeps the backend's commits, sweeps and snapshots going.

use std::sync::Arc;
use std::time::Duration;

use state::{ApplyError, Effect, Outcome, StateReader};

use crate::action::ApplyBatch;
use crate::event::{Event, Now, Ticket};

/// What the applier wants done after a call. Give it to its receivers in the order of the fields.
#[derive(Default)]
pub struct Output {
    /// For the front doors' own bookkeeping: tokens, alarms, members.
    pub effects: Vec<Effect>,
    /// For the watch hubs; already readable.
    pub events: Option<Arc<WatchBatch>>,
    /// For those who wait by request id; unknown ids are to be ignored.
    pub replies: Vec<(Ticket, Result<Outcome, ApplyError>)>,
    /// For the driver.
    pub driver: Vec<Event>,
    /// To be run on another thread, one at a time and in order; its result goes to [`Applier::committed`].
    pub job: Option<CommitJob>,
}

/// The events of one published batch. (To become the type of `mvcc::watch`.)
#[derive(Debug)]
pub struct WatchBatch {}

/// A backend commit, with the snapshot file that rides on it. Runs anywhere.
pub struct CommitJob {}

/// The result of a [`CommitJob`].
pub struct CommitDone {}

impl CommitJob {
    /// Blocks on the disk.
    pub fn run(self) -> Result<CommitDone, state::Error> {
        todo!()
    }
}

/// Owns the state. One thread drives it.
pub struct Applier {}

impl Applier {
    /// Applies a batch in order and publishes it once.
    pub fn apply(&mut self, _batch: ApplyBatch, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    /// The log holds a durable hard state with this commit index: commits up to it may leave.
    pub fn durable(&mut self, _commit: u64, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    /// A commit job has ended.
    pub fn committed(&mut self, _done: CommitDone, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    /// Does what time asks for: commits, slices of a sweep. To be called when [`Self::next_wakeup`] has come.
    pub fn wake(&mut self, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    /// `None` while there is nothing to wait for.
    pub fn next_wakeup(&self) -> Option<Duration> {
        todo!()
    }

    /// Rewrites the backend file densely; answers the ticket with [`Outcome::Done`] through a later [`Output`].
    pub fn defragment(&mut self, _ticket: Ticket, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    /// Brings the storage to this version.
    pub fn migrate_storage(&mut self, _to: state::Version, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    /// Seals everything and commits it; the last call but [`Self::committed`].
    pub fn stop(&mut self, _now: Now) -> Result<Output, state::Error> {
        todo!()
    }

    pub fn reader(&self) -> StateReader {
        todo!()
    }
}
