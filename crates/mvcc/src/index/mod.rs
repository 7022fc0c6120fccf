//! The key index: which revisions each key has, in memory, with cheap snapshots.

/// What the index knows about a key at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMeta {
    pub create_revision: i64,
    /// Revision of the last change.
    pub revision: crate::Revision,
    /// Counts the puts since the creation, from 1.
    pub version: i64,
}

impl KeyMeta {
    /// The main revision of the last change.
    pub fn mod_revision(&self) -> i64 {
        self.revision.main
    }
}
