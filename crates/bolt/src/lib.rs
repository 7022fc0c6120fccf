//! Storage engine in bbolt's file format (docs/formats/bolt.md): pages, free list, B+tree, transactions, checker, shrinking.
//!
//! Many readers, one writer, neither waits for the other. A [`ReadTx`] pins the root that was current when it was opened;
//! a [`WriteTx`] collects changes in memory and its commit writes copies of the pages that change, never a page that a
//! reader or the last commit can reach. Pages are read at positions through a bounded cache of immutable shared
//! [`bytes::Bytes`]; there is no mmap.
//!
//! This room knows no meaning of buckets, no thread, no clock. Bytes from disk are checked before they are used: damage
//! is answered by [`Error::Corrupt`], never by a panic or an endless loop.

mod cache;
mod check;
mod commit;
mod compact;
mod create;
mod cursor;
mod db;
mod edit;
mod error;
mod freelist;
mod meta;
mod node;
mod page;
mod plan;
mod read;
mod shrink;
mod source;
mod stats;
mod stream;
mod tx_cursor;
mod walk;
mod write;

pub use check::{Problem, Report};
pub use compact::compact_into;
pub use cursor::Cursor;
pub use db::{Db, Options};
pub use error::{Error, Result};
pub use read::{Bucket, ReadTx};
pub use shrink::Shrink;
pub use stats::Stats;
pub use stream::SnapshotStream;
pub use tx_cursor::TxCursor;
pub use write::{Commit, WriteTx};

/// The longest key that the format's users accept.
pub const KEY_BYTES_MAX: usize = 32_768;
/// The longest value.
pub const VALUE_BYTES_MAX: usize = (1 << 31) - 2;
