//! Log segments, snapshot files and the layout of a member directory, in etcd's format (`docs/formats/wal.md`,
//! `docs/formats/snap.md`).
//!
//! Everything goes through [`disk::Disk`]. This room starts no thread, reads no clock and knows no rule of raft beyond
//! "a later record of an index replaces the earlier ones from there on".
//!
//! - [`Wal`] appends: [`Wal::create`], [`Wal::open`], [`Wal::save`] and [`Wal::sync`] (apart, so that one sync can serve
//!   many saves), [`Wal::save_snapshot`], [`Wal::release_to`].
//! - [`read_all`], [`verify`], [`valid_snapshot_records`] read without a lock; [`repair`] cuts a torn tail.
//! - [`SnapFiles`] keeps the `.snap` files, [`MemberDir`] knows the paths around them and purges old files.

mod error;
mod frame;
mod log;
mod member;
mod names;
mod open;
mod reader;
mod snap;

pub use error::WalError;
pub use log::{Initial, Options, SEGMENT_BYTES, Wal};
pub use member::{FileKind, MemberDir, Prepared};
pub use names::exists;
pub use open::{Contents, Opened, Repaired, read_all, repair, valid_snapshot_records, verify};
pub use snap::{Loaded, SnapFiles};

/// Members of 3.4 up to 3.4.45 and of 3.5 up to 3.5.4 refuse to read a log with a record of this many bytes. Whoever
/// proposes while such a member may read this log keeps [`record_len`] below it.
pub const RECORD_BYTES_OLD_READERS: usize = 10 << 20;

/// Bytes of the record that an entry becomes, at most.
pub fn record_len(entry: &proto::raftpb::Entry) -> usize {
    const HEADERS_MAX: usize = 48;
    HEADERS_MAX + entry.data.len()
}
