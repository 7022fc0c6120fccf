//! The tree of the v2 API: files and directories with indexes and TTLs, conditional changes, history and watchers.
//!
//! Members, removed ids and the cluster version of releases before 3.6 live in it under `/0`, the keys of the v2 API
//! under `/1`, its users and roles under `/2`. It is a state machine without a clock: ends are absolute moments that
//! requests carry, and what has ended leaves when a SYNC request says so. [`Tree::set_clock`] only serves the `ttl` that
//! answers show. A [`TreeView`] is a copy as of one moment, cheap to take, that any thread can read or write out as
//! the JSON of a snapshot. Paths are those of the tree (`/1/a`); the v2 door takes the first part off.

mod error;
mod event;
mod gotime;
mod history;
mod json_in;
mod json_out;
mod load;
mod members;
mod node;
mod ops;
mod path;
mod request;
mod save;
mod stats;
mod view;
mod watchers;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use error::{Code, V2Error};
pub use event::{Action, Event, NodeView};
pub use gotime::UnixNanos;
pub use load::LoadError;
pub use members::{MembershipError, membership_json};
pub use ops::{Answer, DeleteScope, Expected, Ttl};
pub use path::clean;
pub use request::{Reply, is_member_or_version_path};
pub use stats::Stats;
pub use view::{Listing, TreeView};
pub use watchers::{Polled, WatchId};
pub use wire::decode_request;

use path::Key;
use watchers::Watchers;

/// Where members, removed ids and the cluster version are.
pub const CLUSTER_PREFIX: &str = "/0";
/// Where the keys of the v2 API are.
pub const KEYS_PREFIX: &str = "/1";
/// Where the users and roles of the v2 API are.
pub const AUTH_PREFIX: &str = "/2";

/// The tree with its watchers, owned by the applier.
#[derive(Debug)]
pub struct Tree {
    view: TreeView,
    /// All nodes with an end, first end first.
    expiries: BTreeSet<(UnixNanos, Key)>,
    watchers: Watchers,
    clock: UnixNanos,
}

/// A watcher was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    pub id: WatchId,
    /// The tree's index at that moment.
    pub index: u64,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Tree {
        Tree::from_view(TreeView::new())
    }

    /// Reads the JSON of a snapshot.
    pub fn from_json(json: &[u8]) -> Result<Tree, LoadError> {
        Ok(Tree::from_view(TreeView::from_json(json)?))
    }

    fn from_view(view: TreeView) -> Tree {
        let ends = view.nodes.iter().filter_map(|(key, node)| Some((node.expires?, key.clone())));
        Tree { expiries: ends.collect(), view, watchers: Watchers::default(), clock: 0 }
    }

    /// The tree as it is now.
    pub fn view(&self) -> &TreeView {
        &self.view
    }

    /// The JSON of a snapshot.
    pub fn to_json(&self) -> Vec<u8> {
        self.view.to_json()
    }

    /// Whether anything has an end, so that the leader proposes SYNC.
    pub fn has_ttl_keys(&self) -> bool {
        !self.expiries.is_empty()
    }

    /// Tells roughly what time it is, for the seconds left that answers show. No change depends on it.
    pub fn set_clock(&mut self, now: UnixNanos) {
        self.clock = self.clock.max(now);
    }

    /// The latest time that the tree was told, 0 before any.
    pub fn clock(&self) -> UnixNanos {
        self.clock
    }

    /// Starts watching a path. With `since` 0 from now on, else from that index, for which history is searched first:
    /// it yields one event, after which the watcher hears nothing more, as in etcd.
    pub fn watch(&mut self, path: &str, recursive: bool, stream: bool, since: u64) -> Result<Watching, V2Error> {
        let key = Key::of(path);
        let index = self.view.index;
        let since = if since == 0 { self.view.next_index() } else { since };
        let id = match self.view.history.scan(&key.path(), recursive, since, index)? {
            Some(event) => self.watchers.answered(key, stream, event),
            None => self.watchers.register(key, recursive, stream, since),
        };
        self.view.watchers = self.watchers.count();
        Ok(Watching { id, index })
    }

    /// The next event of a watcher.
    pub fn poll_watch(&mut self, id: WatchId) -> Polled {
        self.watchers.poll(id)
    }

    /// Ends a watcher.
    pub fn unwatch(&mut self, id: WatchId) {
        self.watchers.remove(id);
        self.view.watchers = self.watchers.count();
    }

    /// Watchers that have got something to poll since the last call.
    pub fn take_ready_watches(&mut self) -> Vec<WatchId> {
        self.watchers.take_ready()
    }
}
