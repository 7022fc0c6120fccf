//! The member itself: events and the time in, actions out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::action::{Action, Role};
use crate::config::Config;
use crate::event::{Event, Now};
use crate::ids::RequestIds;

/// One member of a cluster. Owned by one driver, which does
///
/// ```ignore
/// node.handle(event, now);           // any number of them: one batch
/// node.wake(now);                    // when `next_wakeup` has come; harmless before
/// node.flush(now);                   // once per batch: makes the actions of the batch
/// while let Some(action) = node.next_action() { … }
/// ```
pub struct Node {
    config: Config,
    ids: Arc<RequestIds>,
    actions: VecDeque<Action>,
}

/// What the member shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: u64,
    pub role: Role,
    pub term: u64,
    /// 0 while unknown.
    pub leader: u64,
    pub committed: u64,
    pub applied: u64,
    /// The last index in the log.
    pub last_index: u64,
    pub is_learner: bool,
    /// Proposals of this member that were neither answered nor given up.
    pub proposals_pending: usize,
    pub proposals_failed: u64,
    pub leader_changes: u64,
    pub read_indexes_slow: u64,
    pub read_indexes_failed: u64,
    /// Index of the last snapshot recorded.
    pub snapshot_index: u64,
}

impl Node {
    /// Takes one event. Cheap; the work is done in [`Self::flush`].
    pub fn handle(&mut self, _event: Event, _now: Now) {
        todo!()
    }

    /// Does what time asks for: ticks, expiries, time-outs.
    pub fn wake(&mut self, _now: Now) {
        todo!()
    }

    /// When [`Self::wake`] wants to be called at the latest.
    pub fn next_wakeup(&self) -> Duration {
        todo!()
    }

    /// Turns what the batch of events brought about into actions.
    pub fn flush(&mut self, _now: Now) {
        todo!()
    }

    /// The next thing to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub fn status(&self) -> Status {
        todo!()
    }

    /// The source of request ids, shared with everyone who proposes on this member.
    pub fn request_ids(&self) -> Arc<RequestIds> {
        self.ids.clone()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }
}
