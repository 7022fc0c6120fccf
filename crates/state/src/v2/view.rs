//! The tree as of one moment: reading. A copy is cheap and can be read on any thread.

use std::ops::Bound;

use imbl::OrdMap;

use super::error::{Code, V2Error};
use super::event::{Action, Event, NodeView, ttl_secs};
use super::gotime::UnixNanos;
use super::history::History;
use super::node::{Content, Node};
use super::path::{Key, path_of};
use super::stats::Stats;

/// The nodes, the history and the counters of a moment.
#[derive(Clone, Debug)]
pub struct TreeView {
    pub(super) nodes: OrdMap<Key, Node>,
    pub(super) index: u64,
    pub(super) history: History,
    pub(super) stats: Stats,
    pub(super) watchers: u64,
}

/// What a listing shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Everything below, rather than the direct children.
    pub recursive: bool,
}

impl TreeView {
    /// A tree with etcd's two namespaces and nothing in them.
    pub(super) fn new() -> TreeView {
        let nodes = ["/", "/0", "/1"].map(|path| (Key::of(path), Node::directory(0, None)));
        TreeView {
            nodes: nodes.into_iter().collect(),
            index: 0,
            history: History::default(),
            stats: Stats::default(),
            watchers: 0,
        }
    }

    /// The index of the last change.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The index that the next change will have. It stays where it is at the end of all numbers, which only a forged
    /// snapshot can name.
    pub(super) fn next_index(&self) -> u64 {
        self.index.saturating_add(1)
    }

    /// Counters of operations.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The body of `GET /v2/stats/store`.
    pub fn stats_json(&self) -> Vec<u8> {
        let mut w = super::json_out::Writer::default();
        self.stats.write(&mut w, self.watchers);
        w.into_bytes()
    }

    /// Reads a node, and what a directory lists. Listings are always sorted.
    pub fn get(&self, path: &str, listing: Listing, now: UnixNanos) -> Result<Event, V2Error> {
        let key = Key::of(path);
        let found = self.locate(&key).map(|node| self.listed(&key, node, listing, now));
        self.stats.count_get(found.is_ok());
        let node = found?;
        Ok(Event { action: Action::Get, node, prev_node: None, etcd_index: self.index, refresh: false })
    }

    /// The value of a file; not counted as a read.
    pub fn value(&self, path: &str) -> Option<&str> {
        match &self.nodes.get(&Key::of(path))?.content {
            Content::File(value) => Some(value),
            Content::Directory => None,
        }
    }

    /// Names in a directory, hidden ones too.
    pub fn names(&self, path: &str) -> Vec<String> {
        self.children(&Key::of(path)).map(|(key, _)| key.name()).collect()
    }

    /// Whether nothing at all is below this path.
    pub fn is_empty_below(&self, path: &str) -> bool {
        !self.has_children(&Key::of(path))
    }

    pub(super) fn error(&self, code: Code, cause: impl Into<String>) -> V2Error {
        V2Error { code, cause: cause.into(), index: self.index }
    }

    /// The node at a key, or what stands in the way to it.
    pub(super) fn locate(&self, key: &Key) -> Result<&Node, V2Error> {
        if let Some(node) = self.nodes.get(key) {
            return Ok(node);
        }
        for prefix in key.prefixes() {
            match self.nodes.get(prefix) {
                None => return Err(self.error(Code::KeyNotFound, path_of(prefix))),
                Some(node) if !node.is_directory() => return Err(self.error(Code::NotDirectory, path_of(prefix))),
                Some(_) => {}
            }
        }
        Err(self.error(Code::KeyNotFound, key.path()))
    }

    pub(super) fn has_children(&self, key: &Key) -> bool {
        self.subtree(key).next().is_some()
    }

    /// Everything below a key, in the order of a walk.
    pub(super) fn subtree(&self, key: &Key) -> impl Iterator<Item = (&Key, &Node)> + use<'_> {
        self.span(&key.below(), &key.after())
    }

    fn span(&self, from: &str, end: &str) -> impl Iterator<Item = (&Key, &Node)> + use<'_> {
        self.nodes.range::<_, str>((Bound::Included(from), Bound::Excluded(end)))
    }

    /// The direct children, by name. Subtrees between them are stepped over.
    pub(super) fn children(&self, key: &Key) -> impl Iterator<Item = (&Key, &Node)> {
        let end = key.after();
        let mut from = key.below();
        std::iter::from_fn(move || {
            let (child, node) = self.span(&from, &end).next()?;
            from = child.after();
            Some((child, node))
        })
    }

    /// A node without what is below it.
    pub(super) fn view(&self, key: &Key, node: &Node, now: UnixNanos) -> NodeView {
        let value = match &node.content {
            Content::File(value) => Some(value.clone()),
            Content::Directory => None,
        };
        NodeView {
            key: key.path(),
            value,
            dir: node.is_directory(),
            expiration: node.expires,
            ttl: node.expires.filter(|_| now != 0).map_or(0, |at| ttl_secs(at, now)),
            modified_index: node.modified,
            created_index: node.created,
            below: Vec::new(),
        }
    }

    fn listed(&self, key: &Key, node: &Node, listing: Listing, now: UnixNanos) -> NodeView {
        let mut view = self.view(key, node, now);
        if !node.is_directory() {
            return view;
        }
        if !listing.recursive {
            let shown = self.children(key).filter(|(child, _)| !child.is_hidden());
            view.below = shown.map(|(child, node)| (1, self.view(child, node, now))).collect();
            return view;
        }
        let top = key.depth();
        let mut hidden: Option<&Key> = None;
        for (child, node) in self.subtree(key) {
            if hidden.is_some_and(|h| child.is_below(h)) {
                continue;
            }
            if child.is_hidden() {
                hidden = Some(child);
                continue;
            }
            view.below.push((child.depth() - top, self.view(child, node, now)));
        }
        view
    }
}
