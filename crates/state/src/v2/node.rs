//! One node of the tree.

use std::sync::Arc;

use super::gotime::UnixNanos;

/// A file or a directory. Where it is says its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) created: u64,
    pub(super) modified: u64,
    /// `None` = stays until it is deleted.
    pub(super) expires: Option<UnixNanos>,
    pub(super) content: Content,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    File(Arc<str>),
    /// The children are in the map, below the directory's key.
    Directory,
}

impl Node {
    pub(super) fn directory(index: u64, expires: Option<UnixNanos>) -> Node {
        Node { created: index, modified: index, expires, content: Content::Directory }
    }

    pub(super) fn file(index: u64, value: &str, expires: Option<UnixNanos>) -> Node {
        Node { created: index, modified: index, expires, content: Content::File(value.into()) }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory)
    }

    /// The value; a directory has the empty one.
    pub(super) fn value(&self) -> &str {
        match &self.content {
            Content::File(value) => value,
            Content::Directory => "",
        }
    }
}
