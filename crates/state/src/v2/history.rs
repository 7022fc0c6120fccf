//! The last thousand events, for watchers that ask for the past.

use std::sync::Arc;

use imbl::Vector;

use super::error::{Code, V2Error};
use super::event::{Action, Event};

/// Events kept.
pub(super) const CAPACITY: usize = 1000;

/// A ring of events. A copy is cheap.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Oldest first; each has the index after its predecessor's.
    pub(super) events: Vector<Arc<Event>>,
    /// The place of the oldest in etcd's ring, which a snapshot shows.
    pub(super) front: usize,
    /// The index of the oldest and of the newest event, as of the last addition; 0 before any.
    pub(super) start_index: u64,
    pub(super) last_index: u64,
}

impl History {
    pub(super) fn add(&mut self, event: Arc<Event>) {
        self.last_index = event.index();
        self.events.push_back(event);
        if self.events.len() > CAPACITY {
            self.events.pop_front();
            self.front = (self.front + 1) % CAPACITY;
        }
        self.start_index = self.events.front().map_or(0, |e| e.index());
    }

    /// The first event at or after `since` that a watcher of this path is to be told; `current` is the tree's index.
    pub(super) fn scan(
        &self,
        path: &str,
        recursive: bool,
        since: u64,
        current: u64,
    ) -> Result<Option<Arc<Event>>, V2Error> {
        if since < self.start_index {
            let cause = format!("the requested history has been cleared [{}/{since}]", self.start_index);
            return Err(V2Error { code: Code::EventIndexCleared, cause, index: current });
        }
        if since > self.last_index {
            return Ok(None);
        }
        let skip = usize::try_from(since - self.start_index).unwrap_or(usize::MAX);
        Ok(self.events.iter().skip(skip).find(|e| !e.refresh && tells(e, path, recursive)).cloned())
    }
}

// The end of a directory is compared as plain text, so `/ab` also ends what is at `/abz/c`: so it is in etcd.
fn tells(event: &Event, path: &str, recursive: bool) -> bool {
    let key = event.node.key.as_str();
    let ends = matches!(event.action, Action::Delete | Action::Expire);
    let ended_dir = event.prev_node.as_ref().filter(|p| ends && p.dir);
    key == path
        || (recursive && key.strip_prefix(path.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/')))
        || ended_dir.is_some_and(|p| path.starts_with(&p.key))
}
