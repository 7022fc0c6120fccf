//! What a node wants done.

use bytes::Bytes;
use proto::raftpb::{Entry, HardState, Message, Snapshot};

use crate::status::RoleName;

/// State that needs no durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SoftState {
    /// The leader as far as known; 0 if unknown.
    pub leader: u64,
    pub role: RoleName,
}

/// The answer to [`crate::RawNode::read_index`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadState {
    /// A read that sees everything up to this index is linearizable for whoever asked.
    pub index: u64,
    /// As given by whoever asked.
    pub context: Bytes,
}

/// A batch of work.
///
/// Without asynchronous storage writes, in this order: `snapshot`, `entries` and `hard_state` become durable (synced
/// where `must_sync`), `messages` are sent, the snapshot and then `committed_entries` are applied,
/// [`crate::RawNode::advance`] is called. A leader may send before it writes.
///
/// With them, `messages` say all that is to be done; `hard_state`, `entries`, `snapshot` and `committed_entries` only
/// show what the two storage messages contain.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Ready {
    /// Present where it changed.
    pub soft_state: Option<SoftState>,
    /// Present where it changed.
    pub hard_state: Option<HardState>,
    /// Reads that may be served once their index is applied.
    pub read_states: Vec<ReadState>,
    /// To be appended to the log, replacing what is there from the first index on.
    pub entries: Vec<Entry>,
    /// To replace log and state.
    pub snapshot: Option<Snapshot>,
    /// To be applied.
    pub committed_entries: Vec<Entry>,
    /// To be sent.
    pub messages: Vec<Message>,
    /// Whether the write must be synced before anything that depends on it leaves. Without, only the commit index
    /// changes, or nothing.
    pub must_sync: bool,
}
