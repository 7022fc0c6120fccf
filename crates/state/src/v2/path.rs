//! Paths of the tree, and the form in which they are keys of one flat, ordered map.
//!
//! In a [`Key`] every `/` is the byte 0, so that byte order is the order of a walk through the tree: a node, then all
//! that is below it by name, then its next sibling. A subtree is one contiguous range, and no operation recurses.

use std::borrow::Borrow;
use std::sync::Arc;

/// Separates the names in a key.
const SEPARATOR: char = '\0';
/// Follows every key of a subtree directly when appended to its top.
const AFTER: char = '\u{1}';

/// Makes a path absolute and takes out empty, `.` and `..` parts.
pub fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for part in &parts {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

/// Whether a name stays out of listings of the directory it is in.
pub fn is_hidden_name(name: &str) -> bool {
    name.starts_with('_')
}

/// Where a node is in the tree. The root is the empty key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(Arc<str>);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// The key of a path, which is cleaned first.
    pub(super) fn of(path: &str) -> Key {
        let mut out = String::with_capacity(path.len() + 1);
        for name in clean(path).split('/').filter(|n| !n.is_empty()) {
            push_name(&mut out, name);
        }
        Key(out.into())
    }

    pub(super) fn root() -> Key {
        Key("".into())
    }

    /// The key of a child. The name is not empty and has no `/`.
    pub(super) fn child(&self, name: &str) -> Key {
        let mut out = String::with_capacity(self.0.len() + name.len() + 1);
        out.push_str(&self.0);
        push_name(&mut out, name);
        Key(out.into())
    }

    /// All keys from the first part of the path to the whole of it, without the root.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &str> {
        let text = &*self.0;
        text.match_indices(SEPARATOR)
            .map(|(at, _)| at)
            .skip(1)
            .chain(Some(text.len()))
            .map(move |end| &text[..end])
            .filter(|p| !p.is_empty())
    }

    /// How many names the path has.
    pub(super) fn depth(&self) -> usize {
        self.0.matches(SEPARATOR).count()
    }

    /// The last name.
    pub(super) fn name(&self) -> String {
        decode(self.0.rsplit(SEPARATOR).next().unwrap_or(""))
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.0.rsplit(SEPARATOR).next().is_some_and(is_hidden_name)
    }

    /// The path as text.
    pub(super) fn path(&self) -> String {
        path_of(&self.0)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first possible key below this one.
    pub(super) fn below(&self) -> String {
        format!("{}{SEPARATOR}", self.0)
    }

    /// The first possible key after everything below this one.
    pub(super) fn after(&self) -> String {
        format!("{}{AFTER}", self.0)
    }

    /// Whether this key is below the other.
    pub(super) fn is_below(&self, other: &Key) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with(SEPARATOR))
    }
}

/// The path of a key or of one of its prefixes.
pub(super) fn path_of(key: &str) -> String {
    if key.is_empty() { "/".to_owned() } else { decode(key) }
}

// A name that holds the bytes 0 or 1 is written with an escape that keeps the order.
fn push_name(out: &mut String, name: &str) {
    out.push(SEPARATOR);
    for c in name.chars() {
        match c {
            '\0' => out.push_str("\u{1}\u{1}"),
            '\u{1}' => out.push_str("\u{1}\u{2}"),
            c => out.push(c),
        }
    }
}

fn decode(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut chars = key.chars();
    while let Some(c) = chars.next() {
        match c {
            SEPARATOR => out.push('/'),
            '\u{1}' => out.push(if chars.next() == Some('\u{1}') { '\0' } else { '\u{1}' }),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (from, to) in
            [("", "/"), ("/", "/"), ("a", "/a"), ("//a//b/", "/a/b"), ("/a/./b/..", "/a"), ("/../..", "/")]
        {
            assert_eq!(clean(from), to);
            assert_eq!(Key::of(from).path(), to);
        }
    }

    #[test]
    fn order_is_that_of_a_walk() {
        let walk =
            ["/", "/a", "/a/b", "/a/b/c", "/a/c", "/a\0", "/a\0/x", "/a\u{1}", "/a\u{2}", "/a!", "/a!/b", "/a0", "/b"];
        let keys: Vec<Key> = walk.iter().map(|p| Key::of(p)).collect();
        assert!(keys.is_sorted());
        for (key, path) in keys.iter().zip(walk) {
            assert_eq!(key.path(), path);
            assert!(key.as_str() < key.below().as_str() && key.below() < key.after());
        }
        assert!(keys[3].is_below(&keys[1]) && !keys[9].is_below(&keys[1]) && keys[1].is_below(&keys[0]));
        assert!(keys[5].as_str() >= keys[1].after().as_str());
    }

    #[test]
    fn prefixes_and_names() {
        let key = Key::of("/a/_b/c");
        assert_eq!(key.prefixes().map(path_of).collect::<Vec<_>>(), ["/a", "/a/_b", "/a/_b/c"]);
        assert_eq!(Key::root().prefixes().count(), 0);
        assert_eq!((key.depth(), key.name().as_str()), (3, "c"));
        assert!(Key::of("/a/_b").is_hidden() && !key.is_hidden());
        assert_eq!(Key::of("/a").child("x"), Key::of("/a/x"));
    }
}
