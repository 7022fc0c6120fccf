//! The operations that change the tree.

use std::sync::Arc;

use super::Tree;
use super::error::{Code, V2Error};
use super::event::{Action, Event, NodeView};
use super::gotime::UnixNanos;
use super::node::{Content, Node};
use super::path::{Key, path_of};
use super::stats::count;
use crate::versions::Version;

/// What a change succeeds or fails with.
pub type Answer = Result<Arc<Event>, V2Error>;

/// The start of the year 2000: a new node that would have ended before it is taken for a permanent one.
const EXPIRES_MIN: UnixNanos = 946_684_800_000_000_000;

/// How long a node is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttl {
    /// `None` = until it is deleted.
    pub expires: Option<UnixNanos>,
    /// Only the end moves: the value stays, and no watcher is told.
    pub refresh: bool,
}

impl Ttl {
    pub const PERMANENT: Ttl = Ttl { expires: None, refresh: false };
}

/// What a node must be for a conditional change; empty and 0 = anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected<'a> {
    pub value: &'a str,
    pub index: u64,
}

/// Which directories a deletion may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteScope {
    pub dir: bool,
    pub recursive: bool,
}

/// What is to be created.
struct New<'a> {
    action: Action,
    dir: bool,
    value: &'a str,
    expires: Option<UnixNanos>,
    /// A file in the place goes; otherwise anything there is in the way.
    replace: bool,
}

impl Tree {
    /// Creates a file or directory, or replaces a file.
    pub fn set(&mut self, path: &str, dir: bool, value: &str, ttl: Ttl) -> Answer {
        let key = Key::of(path);
        let result = self.try_set(&key, dir, value, ttl);
        let stats = &mut self.view.stats;
        count(if result.is_ok() { &mut stats.sets_success } else { &mut stats.sets_fail });
        result
    }

    fn try_set(&mut self, key: &Key, dir: bool, value: &str, ttl: Ttl) -> Answer {
        let kept = match self.view.locate(key) {
            Ok(node) => node.value().to_owned(),
            Err(e) if e.code == Code::KeyNotFound && !ttl.refresh => String::new(),
            Err(e) => return Err(e),
        };
        let value = if ttl.refresh { &kept } else { value };
        let new = New { action: Action::Set, dir, value, expires: ttl.expires, replace: true };
        let event = self.place(key, new)?;
        Ok(self.finish(Event { refresh: ttl.refresh, ..event }))
    }

    /// Creates a file or directory where nothing is.
    pub fn create(&mut self, path: &str, dir: bool, value: &str, ttl: Ttl) -> Answer {
        let key = Key::of(path);
        self.create_at(&key, dir, value, ttl)
    }

    /// Creates a child whose name is the next index.
    pub fn create_in_order(&mut self, path: &str, dir: bool, value: &str, ttl: Ttl) -> Answer {
        let key = Key::of(path).child(&format!("{:020}", self.view.next_index()));
        self.create_at(&key, dir, value, ttl)
    }

    fn create_at(&mut self, key: &Key, dir: bool, value: &str, ttl: Ttl) -> Answer {
        let new = New { action: Action::Create, dir, value, expires: ttl.expires, replace: false };
        let result = self.place(key, new).map(|event| self.finish(event));
        let stats = &mut self.view.stats;
        count(if result.is_ok() { &mut stats.create_success } else { &mut stats.create_fail });
        result
    }

    /// Changes a file's value and end, or a directory's end.
    pub fn update(&mut self, path: &str, value: &str, ttl: Ttl) -> Answer {
        let key = Key::of(path);
        if is_read_only(&key) {
            // etcd counts this refusal as a success.
            count(&mut self.view.stats.update_success);
            return Err(self.read_only());
        }
        let node = match self.view.locate(&key) {
            Ok(node) => node.clone(),
            Err(e) => {
                count(&mut self.view.stats.update_fail);
                return Err(e);
            }
        };
        // And so it does the one below.
        count(&mut self.view.stats.update_success);
        let value = if ttl.refresh { node.value() } else { value };
        if node.is_directory() && !value.is_empty() {
            return Err(self.view.error(Code::NotFile, key.path()));
        }
        if node.is_directory() && self.refuses_directory_updates() {
            let cause = format!("nodePath {} : {} ()", key.path(), Code::NotFile.message());
            return Err(V2Error { code: Code::RaftInternal, cause, index: 0 });
        }
        let prev = self.view.view(&key, &node, self.clock);
        let mut changed = Node { expires: ttl.expires, ..node.clone() };
        let index = self.view.next_index();
        if let Content::File(old) = &mut changed.content {
            *old = value.into();
            changed.modified = index;
        }
        let shown = NodeView { modified_index: index, ..self.view.view(&key, &changed, self.clock) };
        self.put(key, changed);
        Ok(self.finish(self.event(Action::Update, shown, Some(prev), ttl.refresh)))
    }

    // 3.4 gives a directory its new end; 3.5 fails.
    fn refuses_directory_updates(&self) -> bool {
        matches!(self.view.cluster_version(), Ok(Some(version)) if version >= Version::V3_5)
    }

    /// Changes a file that is as expected.
    pub fn compare_and_swap(&mut self, path: &str, expected: Expected<'_>, value: &str, ttl: Ttl) -> Answer {
        let key = Key::of(path);
        if is_read_only(&key) {
            // etcd counts this refusal as a success.
            count(&mut self.view.stats.compare_and_swap_success);
            return Err(self.read_only());
        }
        let result = self.try_swap(key, expected, value, ttl);
        let stats = &mut self.view.stats;
        count(if result.is_ok() { &mut stats.compare_and_swap_success } else { &mut stats.compare_and_swap_fail });
        result
    }

    fn try_swap(&mut self, key: Key, expected: Expected<'_>, value: &str, ttl: Ttl) -> Answer {
        let node = self.view.locate(&key)?.clone();
        self.check_file(&key, &node)?;
        self.check_expected(&node, expected)?;
        let prev = self.view.view(&key, &node, self.clock);
        let value = if ttl.refresh { node.value() } else { value };
        let index = self.view.next_index();
        let changed = Node { created: node.created, ..Node::file(index, value, ttl.expires) };
        let shown = self.view.view(&key, &changed, self.clock);
        self.put(key, changed);
        Ok(self.finish(self.event(Action::CompareAndSwap, shown, Some(prev), ttl.refresh)))
    }

    /// Deletes a file, or a directory as far as the scope allows.
    pub fn delete(&mut self, path: &str, scope: DeleteScope) -> Answer {
        let key = Key::of(path);
        if is_read_only(&key) {
            // etcd counts this refusal as a success.
            count(&mut self.view.stats.delete_success);
            return Err(self.read_only());
        }
        let result = self.try_delete(&key, scope);
        let stats = &mut self.view.stats;
        count(if result.is_ok() { &mut stats.delete_success } else { &mut stats.delete_fail });
        result
    }

    fn try_delete(&mut self, key: &Key, scope: DeleteScope) -> Answer {
        let node = self.view.locate(key)?;
        if node.is_directory() {
            if !scope.dir && !scope.recursive {
                return Err(self.view.error(Code::NotFile, key.path()));
            }
            if !scope.recursive && self.view.has_children(key) {
                return Err(self.view.error(Code::DirectoryNotEmpty, key.path()));
            }
        }
        Ok(self.take_away(Action::Delete, key))
    }

    /// Deletes a file that is as expected.
    pub fn compare_and_delete(&mut self, path: &str, expected: Expected<'_>) -> Answer {
        let key = Key::of(path);
        let node = match self.view.locate(&key) {
            Ok(node) => node.clone(),
            Err(e) => {
                count(&mut self.view.stats.compare_and_delete_fail);
                return Err(e);
            }
        };
        // etcd counts the refusals below as successes.
        count(&mut self.view.stats.compare_and_delete_success);
        self.check_file(&key, &node)?;
        self.check_expected(&node, expected)?;
        Ok(self.take_away(Action::CompareAndDelete, &key))
    }

    /// Removes everything that has ended by this moment, in the order of the ends.
    pub fn expire(&mut self, now: UnixNanos) -> Vec<Arc<Event>> {
        self.set_clock(now);
        let mut events = Vec::new();
        while let Some((at, key)) = self.expiries.first().cloned() {
            if at > now {
                break;
            }
            events.push(self.take_away(Action::Expire, &key));
            count(&mut self.view.stats.expire_count);
        }
        events
    }

    fn place(&mut self, key: &Key, new: New<'_>) -> Result<Event, V2Error> {
        if is_read_only(key) {
            return Err(self.read_only());
        }
        let index = self.view.next_index();
        let mut missing = Vec::new();
        for parent in key.prefixes().filter(|p| *p != key.as_str()) {
            match self.view.nodes.get(parent) {
                None => missing.push(Key::of(&path_of(parent))),
                Some(node) if !node.is_directory() => {
                    // etcd counts this one here and again for the operation itself.
                    count(&mut self.view.stats.sets_fail);
                    return Err(self.view.error(Code::NotDirectory, path_of(parent)));
                }
                Some(_) => {}
            }
        }
        let prev = match self.view.nodes.get(key) {
            Some(_) if !new.replace => return Err(self.view.error(Code::KeyExists, key.path())),
            Some(node) if node.is_directory() => return Err(self.view.error(Code::NotFile, key.path())),
            Some(node) => Some(self.view.view(key, node, self.clock)),
            None => None,
        };
        for parent in missing {
            self.put(parent, Node::directory(index, None));
        }
        let expires = new.expires.filter(|at| *at >= EXPIRES_MIN);
        let node = if new.dir { Node::directory(index, expires) } else { Node::file(index, new.value, expires) };
        let shown = self.view.view(key, &node, self.clock);
        self.put(key.clone(), node);
        Ok(self.event(new.action, shown, prev, false))
    }

    /// Removes a node with all below it, and tells those who watch there. The key exists.
    fn take_away(&mut self, action: Action, key: &Key) -> Arc<Event> {
        let mut removed: Vec<Key> = self.view.subtree(key).map(|(below, _)| below.clone()).collect();
        removed.push(key.clone());
        let (mut prev, mut shown) = (NodeView::default(), NodeView::default());
        if let Some(node) = self.view.nodes.get(key) {
            prev = self.view.view(key, node, self.clock);
            shown = NodeView {
                value: None,
                expiration: None,
                ttl: 0,
                modified_index: self.view.next_index(),
                ..prev.clone()
            };
        }
        let event = Arc::new(self.event(action, shown, Some(prev), false));
        for gone in removed {
            if let Some(Node { expires: Some(at), .. }) = self.view.nodes.remove(&gone) {
                self.expiries.remove(&(at, gone.clone()));
            }
            self.watchers.notify_removed(&gone, &event);
        }
        self.record(event)
    }

    fn put(&mut self, key: Key, node: Node) {
        let end = node.expires;
        if let Some(Node { expires: Some(at), .. }) = self.view.nodes.insert(key.clone(), node) {
            self.expiries.remove(&(at, key.clone()));
        }
        if let Some(at) = end {
            self.expiries.insert((at, key));
        }
    }

    fn event(&self, action: Action, node: NodeView, prev_node: Option<NodeView>, refresh: bool) -> Event {
        Event { action, etcd_index: node.modified_index, node, prev_node, refresh }
    }

    fn finish(&mut self, event: Event) -> Arc<Event> {
        self.record(Arc::new(event))
    }

    fn record(&mut self, event: Arc<Event>) -> Arc<Event> {
        self.view.index = event.index();
        self.view.history.add(event.clone());
        if !event.refresh {
            self.watchers.notify(&event);
        }
        self.view.watchers = self.watchers.count();
        event
    }

    fn check_file(&self, key: &Key, node: &Node) -> Result<(), V2Error> {
        if node.is_directory() { Err(self.view.error(Code::NotFile, key.path())) } else { Ok(()) }
    }

    fn check_expected(&self, node: &Node, expected: Expected<'_>) -> Result<(), V2Error> {
        let mut wrong = Vec::new();
        if !expected.value.is_empty() && expected.value != node.value() {
            wrong.push(format!("[{} != {}]", expected.value, node.value()));
        }
        if expected.index != 0 && expected.index != node.modified {
            wrong.push(format!("[{} != {}]", expected.index, node.modified));
        }
        if wrong.is_empty() { Ok(()) } else { Err(self.view.error(Code::CompareFailed, wrong.join(" "))) }
    }

    fn read_only(&self) -> V2Error {
        self.view.error(Code::RootReadOnly, "/")
    }
}

fn is_read_only(key: &Key) -> bool {
    matches!(key.as_str(), "" | "\0\u{30}" | "\0\u{31}")
}
