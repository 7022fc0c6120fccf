//! Reads the JSON of a snapshot, as every release from 3.4 on writes it.

use imbl::OrdMap;

use super::event::{Action, Event, NodeView};
use super::gotime::{self, UnixNanos};
use super::history::{CAPACITY, History};
use super::json_in::{JsonError, Reader};
use super::node::{Content, Node};
use super::path::Key;
use super::stats::Stats;
use super::view::TreeView;
use super::{CLUSTER_PREFIX, KEYS_PREFIX};
use std::sync::Arc;

/// The JSON of a snapshot cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("JSON of the v2 store: {0}")]
pub struct LoadError(#[from] JsonError);

type Result<T> = std::result::Result<T, JsonError>;

impl TreeView {
    /// Reads the JSON of a snapshot.
    pub fn from_json(json: &[u8]) -> std::result::Result<TreeView, LoadError> {
        let mut r = Reader::new(json);
        let mut tree = TreeView::new();
        r.expect(b'{', "object expected")?;
        let mut first = true;
        while let Some(name) = r.member(&mut first)? {
            match &*name {
                "Root" => tree.nodes = nodes(&mut r)?,
                "WatcherHub" => hub(&mut r, &mut tree.history)?,
                "CurrentIndex" => tree.index = r.u64()?,
                "Stats" => stats(&mut r, &mut tree.stats)?,
                _ => r.skip()?,
            }
        }
        r.end()?;
        Ok(tree)
    }
}

/// A node whose text is being read.
struct Open {
    key: Key,
    node: Node,
    first: bool,
    /// Inside `Children`.
    in_children: bool,
    first_child: bool,
}

fn open(key: Key) -> Open {
    let node = Node::file(0, "", None);
    Open { key, node, first: true, in_children: false, first_child: true }
}

fn nodes(r: &mut Reader<'_>) -> Result<OrdMap<Key, Node>> {
    let mut done = OrdMap::new();
    r.expect(b'{', "node expected")?;
    let mut stack = vec![open(Key::root())];
    while let Some(top) = stack.last_mut() {
        if top.in_children {
            match r.member(&mut top.first_child)? {
                None => top.in_children = false,
                Some(name) => {
                    if name.is_empty() || name.contains('/') {
                        return r.fail("not a name of a node");
                    }
                    let key = top.key.child(&name);
                    r.expect(b'{', "node expected")?;
                    stack.push(open(key));
                }
            }
            continue;
        }
        if !node_member(r, top)?
            && let Some(Open { key, node, .. }) = stack.pop()
        {
            // The first may have been a directory, whose children would hang on the second.
            if done.insert(key, node).is_some() {
                return r.fail("a node twice");
            }
        }
    }
    if !done.contains_key("") {
        return r.fail("no root");
    }
    // No request can change these, and the tree relies on them.
    for lasting in [Key::root(), Key::of(CLUSTER_PREFIX), Key::of(KEYS_PREFIX)] {
        if done.get(lasting.as_str()).is_some_and(|node| !node.is_directory() || node.expires.is_some()) {
            return r.fail("the root, /0 or /1 is no lasting directory");
        }
    }
    Ok(done)
}

// False = the node is complete.
fn node_member(r: &mut Reader<'_>, top: &mut Open) -> Result<bool> {
    let Some(name) = r.member(&mut top.first)? else {
        return Ok(false);
    };
    match &*name {
        "CreatedIndex" => top.node.created = r.u64()?,
        "ModifiedIndex" => top.node.modified = r.u64()?,
        "ExpireTime" => top.node.expires = time(r)?,
        "Value" => {
            let value = r.string()?;
            if let Content::File(own) = &mut top.node.content {
                *own = value.as_ref().into();
            }
        }
        "Children" if r.null() => {}
        "Children" => {
            r.expect(b'{', "children expected")?;
            top.node.content = Content::Directory;
            top.in_children = true;
        }
        _ => r.skip()?,
    }
    Ok(true)
}

fn time(r: &mut Reader<'_>) -> Result<Option<UnixNanos>> {
    let text = r.string()?;
    if text.is_empty() {
        return Ok(None);
    }
    gotime::parse(&text).or_else(|_| r.fail("not a time"))
}

fn hub(r: &mut Reader<'_>, history: &mut History) -> Result<()> {
    object(r, |r, name| match name {
        "EventHistory" => object(r, |r, name| match name {
            "Queue" => queue(r, history),
            "StartIndex" => r.u64().map(|n| history.start_index = n),
            "LastIndex" => r.u64().map(|n| history.last_index = n),
            _ => r.skip(),
        }),
        _ => r.skip(),
    })
}

fn queue(r: &mut Reader<'_>, history: &mut History) -> Result<()> {
    let mut places: Vec<Option<Arc<Event>>> = Vec::new();
    let (mut front, mut size) = (0, 0);
    object(r, |r, name| match name {
        "Events" => events(r, &mut places),
        "Front" => r.u64().map(|n| front = n),
        "Size" => r.u64().map(|n| size = n),
        _ => r.skip(),
    })?;
    let slots = places.len();
    let front = usize::try_from(front).unwrap_or(usize::MAX);
    if slots == 0 {
        return Ok(());
    }
    let kept = usize::try_from(size).unwrap_or(usize::MAX).min(slots);
    let in_order = (0..kept).filter_map(|i| places[(front % slots + i) % slots].take());
    history.events = in_order.collect();
    while history.events.len() > CAPACITY {
        history.events.pop_front();
    }
    history.front = if slots == CAPACITY { front % slots } else { 0 };
    Ok(())
}

fn events(r: &mut Reader<'_>, places: &mut Vec<Option<Arc<Event>>>) -> Result<()> {
    if r.null() {
        return Ok(());
    }
    r.expect(b'[', "events expected")?;
    let mut first = true;
    while r.element(&mut first)? {
        places.push(event(r)?.map(Arc::new));
    }
    Ok(())
}

fn event(r: &mut Reader<'_>) -> Result<Option<Event>> {
    if r.null() {
        return Ok(None);
    }
    let (mut action, mut node, mut prev_node, mut refresh) = (None, NodeView::default(), None, false);
    object(r, |r, name| match name {
        "action" => {
            action = Action::from_name(&r.string()?);
            if action.is_none() { r.fail("unknown action") } else { Ok(()) }
        }
        "node" => node_view(r).map(|n| node = n),
        "prevNode" => node_view(r).map(|n| prev_node = Some(n)),
        "refresh" => r.bool().map(|b| refresh = b),
        _ => r.skip(),
    })?;
    let Some(action) = action else {
        return r.fail("event without action");
    };
    Ok(Some(Event { action, etcd_index: node.modified_index, node, prev_node, refresh }))
}

fn node_view(r: &mut Reader<'_>) -> Result<NodeView> {
    let mut node = NodeView::default();
    object(r, |r, name| match name {
        "key" => r.string().map(|s| node.key = s.into_owned()),
        "value" => r.string().map(|s| node.value = Some(s.as_ref().into())),
        "dir" => r.bool().map(|b| node.dir = b),
        "expiration" => time(r).map(|t| node.expiration = t),
        "ttl" => r.integer().map(|n| node.ttl = n.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        "modifiedIndex" => r.u64().map(|n| node.modified_index = n),
        "createdIndex" => r.u64().map(|n| node.created_index = n),
        _ => r.skip(),
    })?;
    Ok(node)
}

fn stats(r: &mut Reader<'_>, stats: &mut Stats) -> Result<()> {
    let (mut success, mut fail) = (0, 0);
    object(r, |r, name| {
        let n = r.u64()?;
        match (name, stats.counter(name)) {
            (_, Some(counter)) => *counter = n,
            ("getsSuccess", None) => success = n,
            ("getsFail", None) => fail = n,
            // Watchers don't outlive the process that counted them.
            _ => {}
        }
        Ok(())
    })?;
    stats.set_gets(success, fail);
    Ok(())
}

// An object member by member; null is one without members.
fn object(r: &mut Reader<'_>, mut member: impl FnMut(&mut Reader<'_>, &str) -> Result<()>) -> Result<()> {
    if r.null() {
        return Ok(());
    }
    r.expect(b'{', "object expected")?;
    let mut first = true;
    while let Some(name) = r.member(&mut first)? {
        member(r, &name)?;
    }
    Ok(())
}
