//! What a store is opened with, and the figures it gives.

/// The identity of a raft entry. Ordered by term, then index, as entries are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    pub term: u64,
    pub index: u64,
}

/// How to open a [`crate::Store`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of pages that the file may keep in memory.
    pub cache_bytes: usize,
    /// Overlay bytes (live and frozen) above which [`Pending::full`] asks the owner to wait for a commit.
    pub overlay_bytes_max: usize,
    /// Frozen overlays waiting for their commit at a time.
    pub frozen_max: usize,
    /// Whether `term` is written beside `consistent_index`: 3.4 knows no such key.
    pub write_term: bool,
    /// Opens an existing file under a shared lock and changes nothing in it, for the offline tools.
    pub read_only: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache_bytes: 32 << 20,
            overlay_bytes_max: 64 << 20,
            frozen_max: 1,
            write_term: true,
            read_only: false,
        }
    }
}

/// What waits for a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Changes in the live overlay.
    pub changes: usize,
    /// Entries applied since the last seal.
    pub entries: u64,
    /// Bytes in live and frozen overlays, about.
    pub bytes: usize,
    /// Commit jobs under way.
    pub jobs: usize,
    /// The owner should wait for [`crate::Store::committed`] before it begins another entry.
    pub full: bool,
}
