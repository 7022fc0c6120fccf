//! What an operation answers and a watcher hears.

use std::sync::Arc;

use super::gotime::{self, UnixNanos};
use super::json_out::Writer;

/// What was done, by etcd's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Action {
    Get,
    Create,
    Set,
    Update,
    Delete,
    CompareAndSwap,
    CompareAndDelete,
    Expire,
}

impl Action {
    const ALL: [Action; 8] = [
        Action::Get,
        Action::Create,
        Action::Set,
        Action::Update,
        Action::Delete,
        Action::CompareAndSwap,
        Action::CompareAndDelete,
        Action::Expire,
    ];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Get => "get",
            Action::Create => "create",
            Action::Set => "set",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::CompareAndSwap => "compareAndSwap",
            Action::CompareAndDelete => "compareAndDelete",
            Action::Expire => "expire",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// A node as an answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeView {
    /// The path as the tree has it: `/1/...` for what the v2 API calls `/...`.
    pub key: String,
    /// Files have one, except where the answer is about their end.
    pub value: Option<Arc<str>>,
    pub dir: bool,
    pub expiration: Option<UnixNanos>,
    /// Seconds left when the view was made, rounded up; 0 where the time was not known.
    pub ttl: i64,
    pub modified_index: u64,
    pub created_index: u64,
    /// What is listed below, in the order of a walk, each with its depth (children of this node: 1).
    pub below: Vec<(usize, NodeView)>,
}

/// The answer to an operation that took effect or read; also what watchers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub action: Action,
    pub node: NodeView,
    pub prev_node: Option<NodeView>,
    /// The tree's index after the operation (`X-Etcd-Index`).
    pub etcd_index: u64,
    /// Only a TTL was renewed; watchers are not told.
    pub refresh: bool,
}

impl Event {
    /// The index at which this happened.
    pub fn index(&self) -> u64 {
        self.node.modified_index
    }

    /// Whether the answer is "created": status 201 rather than 200.
    pub fn is_created(&self) -> bool {
        self.action == Action::Create || (self.action == Action::Set && self.prev_node.is_none())
    }

    /// The body of an HTTP answer, without the closing newline. `prefix` is taken off the keys.
    /// With `now` the TTLs are those of that moment, else those of the view.
    pub fn to_json(&self, prefix: &str, now: Option<UnixNanos>) -> Vec<u8> {
        let mut w = Writer::default();
        self.write(&mut w, prefix, now, false);
        w.into_bytes()
    }

    /// As [`Event::to_json`], for requests with `noValueOnSuccess`.
    pub fn to_json_without_nodes(&self) -> Vec<u8> {
        format!("{{\"action\":\"{}\"}}", self.action.name()).into_bytes()
    }

    pub(super) fn write(&self, w: &mut Writer, prefix: &str, now: Option<UnixNanos>, with_refresh: bool) {
        w.raw("{\"action\":\"");
        w.raw(self.action.name());
        w.raw("\",\"node\":");
        self.node.write(w, prefix, now);
        if let Some(prev) = &self.prev_node {
            w.raw(",\"prevNode\":");
            prev.write(w, prefix, now);
        }
        if self.refresh && with_refresh {
            w.raw(",\"refresh\":true");
        }
        w.raw("}");
    }
}

impl NodeView {
    fn write(&self, w: &mut Writer, prefix: &str, now: Option<UnixNanos>) {
        let mut open = vec![self];
        self.write_head(w, prefix, now);
        for (depth, node) in &self.below {
            if *depth == open.len() {
                w.name("nodes");
                w.raw("[");
            } else {
                close_to(w, &mut open, *depth);
                w.raw(",");
            }
            node.write_head(w, prefix, now);
            open.push(node);
        }
        close_to(w, &mut open, 0);
    }

    fn write_head(&self, w: &mut Writer, prefix: &str, now: Option<UnixNanos>) {
        w.raw("{");
        let key = self.key.strip_prefix(prefix).unwrap_or(&self.key);
        if !key.is_empty() {
            w.name("key");
            w.string(key);
        }
        if let Some(value) = &self.value {
            w.name("value");
            w.string(value);
        }
        if self.dir {
            w.name("dir");
            w.raw("true");
        }
        if let Some(expiration) = self.expiration {
            w.name("expiration");
            w.string(&gotime::format(expiration));
            let ttl = now.map_or(self.ttl, |now| ttl_secs(expiration, now));
            if ttl != 0 {
                w.name("ttl");
                w.number(ttl);
            }
        }
    }
}

// Ends all open nodes at or below this depth, and the lists that they stand in, but for the list at this depth itself.
fn close_to(w: &mut Writer, open: &mut Vec<&NodeView>, depth: usize) {
    while open.len() > depth {
        let Some(node) = open.pop() else {
            return;
        };
        for (name, index) in [("modifiedIndex", node.modified_index), ("createdIndex", node.created_index)] {
            if index != 0 {
                w.name(name);
                w.number(index);
            }
        }
        w.raw("}");
        if open.len() > depth {
            w.raw("]");
        }
    }
}

/// Seconds from now to then, rounded up.
pub(super) fn ttl_secs(then: UnixNanos, now: UnixNanos) -> i64 {
    const NANOS: i64 = 1_000_000_000;
    let left = then.saturating_sub(now);
    left / NANOS + i64::from(left % NANOS > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(key: &str, index: u64) -> NodeView {
        NodeView { key: key.into(), dir: true, modified_index: index, created_index: index, ..NodeView::default() }
    }

    #[test]
    fn lists_nest_in_the_order_of_the_original() {
        let file = NodeView { dir: false, value: Some("x".into()), ..dir("/1/a/b/c", 2) };
        let below =
            vec![(1, dir("/1/a", 2)), (2, dir("/1/a/b", 2)), (3, file), (2, dir("/1/a/d", 3)), (1, dir("/1/e", 4))];
        let node = NodeView { below, ..dir("/1", 0) };
        let event = Event { action: Action::Get, node, prev_node: None, etcd_index: 4, refresh: false };
        let want = concat!(
            r#"{"action":"get","node":{"dir":true,"nodes":[{"key":"/a","dir":true,"nodes":[{"key":"/a/b","dir":true,"#,
            r#""nodes":[{"key":"/a/b/c","value":"x","modifiedIndex":2,"createdIndex":2}],"modifiedIndex":2,"createdIndex":2},"#,
            r#"{"key":"/a/d","dir":true,"modifiedIndex":3,"createdIndex":3}],"modifiedIndex":2,"createdIndex":2},"#,
            r#"{"key":"/e","dir":true,"modifiedIndex":4,"createdIndex":4}]}}"#
        );
        assert_eq!(String::from_utf8(event.to_json("/1", None)).unwrap(), want);
    }

    #[test]
    fn ttls_are_rounded_up() {
        const S: i64 = 1_000_000_000;
        for (left, ttl) in [(0, 0), (1, 1), (S, 1), (S + 1, 2), (-1, 0), (-S - S / 2, -1), (i64::MAX, i64::MAX / S + 1)]
        {
            assert_eq!(ttl_secs(left, 0), ttl, "{left}");
        }
    }
}
