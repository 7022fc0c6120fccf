//! Watchers of the tree: who is told what, as a plain structure that a door polls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::event::Event;
use super::path::{Key, is_hidden_name, path_of};

/// Events that a streaming watcher may leave lying before it is dropped.
const QUEUE_MAX: usize = 100;

/// Names one watcher of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// What a watcher has for its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    Event(Arc<Event>),
    /// Nothing now.
    Pending,
    /// Nothing any more; the watcher is gone.
    Ended,
}

/// All watchers of a tree.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_path: BTreeMap<Key, Vec<WatchId>>,
    all: BTreeMap<WatchId, Watcher>,
    ready: BTreeSet<WatchId>,
    registered: u64,
    last_id: u64,
}

#[derive(Debug)]
struct Watcher {
    key: Key,
    recursive: bool,
    stream: bool,
    since: u64,
    /// Whether further events may reach it.
    registered: bool,
    queue: VecDeque<Arc<Event>>,
}

impl Watchers {
    /// How many wait for events.
    pub(super) fn count(&self) -> u64 {
        self.registered
    }

    /// Adds a watcher that waits for events from index `since` on.
    pub(super) fn register(&mut self, key: Key, recursive: bool, stream: bool, since: u64) -> WatchId {
        let id = self.next_id();
        self.by_path.entry(key.clone()).or_default().push(id);
        self.all.insert(id, Watcher { key, recursive, stream, since, registered: true, queue: VecDeque::new() });
        self.registered += 1;
        id
    }

    /// Adds a watcher that history has answered. It gets this one event; a streaming one then stays silent.
    pub(super) fn answered(&mut self, key: Key, stream: bool, event: Arc<Event>) -> WatchId {
        let id = self.next_id();
        let queue = VecDeque::from([event]);
        self.all.insert(id, Watcher { key, recursive: false, stream, since: 0, registered: false, queue });
        self.ready.insert(id);
        id
    }

    fn next_id(&mut self) -> WatchId {
        self.last_id += 1;
        WatchId(self.last_id)
    }

    pub(super) fn remove(&mut self, id: WatchId) {
        self.unregister(id);
        self.all.remove(&id);
        self.ready.remove(&id);
    }

    /// Watchers that have got something since the last call.
    pub(super) fn take_ready(&mut self) -> Vec<WatchId> {
        std::mem::take(&mut self.ready).into_iter().collect()
    }

    pub(super) fn poll(&mut self, id: WatchId) -> Polled {
        let Some(watcher) = self.all.get_mut(&id) else {
            return Polled::Ended;
        };
        if let Some(event) = watcher.queue.pop_front() {
            return Polled::Event(event);
        }
        // A stream that history answered is never told more; etcd leaves it open all the same.
        if watcher.registered || (watcher.stream && watcher.since == 0) {
            return Polled::Pending;
        }
        self.remove(id);
        Polled::Ended
    }

    /// Tells the watchers of the event's own path and of every directory above it.
    pub(super) fn notify(&mut self, event: &Arc<Event>) {
        if self.by_path.is_empty() {
            return;
        }
        let key = Key::of(&event.node.key);
        self.notify_at("", &key, event, false);
        for prefix in key.prefixes() {
            self.notify_at(prefix, &key, event, false);
        }
    }

    /// Tells the watchers of a path that is gone because of the event.
    pub(super) fn notify_removed(&mut self, removed: &Key, event: &Arc<Event>) {
        if !self.by_path.is_empty() {
            self.notify_at(removed.as_str(), &Key::of(&event.node.key), event, true);
        }
    }

    fn notify_at(&mut self, path: &str, event_key: &Key, event: &Arc<Event>, removed: bool) {
        let Some(ids) = self.by_path.get(path) else {
            return;
        };
        let own = path == event_key.as_str();
        if !own && hides(path, event_key) {
            return;
        }
        for id in ids.clone() {
            self.tell(id, event, own || removed);
        }
    }

    fn tell(&mut self, id: WatchId, event: &Arc<Event>, concerned: bool) {
        let Some(watcher) = self.all.get_mut(&id) else {
            return;
        };
        if !(watcher.recursive || concerned) || event.index() < watcher.since {
            return;
        }
        let full = watcher.queue.len() >= QUEUE_MAX;
        if !full {
            watcher.queue.push_back(event.clone());
        }
        let last = full || !watcher.stream;
        self.ready.insert(id);
        if last {
            self.unregister(id);
        }
    }

    fn unregister(&mut self, id: WatchId) {
        let Some(watcher) = self.all.get_mut(&id).filter(|w| w.registered) else {
            return;
        };
        watcher.registered = false;
        self.registered -= 1;
        if let Some(ids) = self.by_path.get_mut(&watcher.key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_path.remove(&watcher.key);
            }
        }
    }
}

/// Whether a watcher of this path is not to see the key because a name between them is hidden.
fn hides(path: &str, key: &Key) -> bool {
    let Some(rest) = key.as_str().strip_prefix(path) else {
        return false;
    };
    path_of(rest).split('/').any(is_hidden_name)
}
