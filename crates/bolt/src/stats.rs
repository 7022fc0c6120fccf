//! Figures of an open database.

/// Sizes and counters, computed from the state after the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transaction id of the last commit.
    pub txid: u64,
    pub page_size: u64,
    /// High-water mark times page size: etcd's `dbSize`.
    pub size: u64,
    /// `size` without the free pages (pending ones count as used): etcd's `dbSizeInUse`.
    pub in_use: u64,
    /// Pages that the next commit may use.
    pub free_pages: u64,
    /// Pages that are free once no open reader needs them.
    pub pending_pages: u64,
    /// Length of the file, at least `size`.
    pub file_len: u64,
    /// Transaction id of the oldest open reader.
    pub oldest_pin: Option<u64>,
    /// Open readers (clones of one reader count once).
    pub pins: u64,
    pub cache_bytes: u64,
    pub cache_hits: u64,
    pub cache_misses: u64,
    /// Commits since the file was opened, and pages that they wrote.
    pub commits: u64,
    pub pages_written: u64,
    /// A commit failed: no more writes.
    pub poisoned: bool,
}
