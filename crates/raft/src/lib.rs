//! Consensus as a pure state machine: messages, ticks and proposals in, [`Ready`] batches of work out.
//!
//! Speaks the protocol of etcd's raft 3.6/3.7 and behaves like it, so that members of both kinds form one cluster:
//! elections with pre-vote and check quorum, flow-controlled replication, learners, simple and joint configuration
//! changes, leader transfer, linearizable reads without a log entry, snapshots, synchronous and asynchronous log writes.
//!
//! This room knows no clock, disk, thread, socket or global randomness: time is [`RawNode::tick`], randomness a seed,
//! durable state whatever [`Storage`] shows, and everything to be done is in [`Ready`]. The same inputs give the same
//! outputs, byte for byte.
//!
//! Three kinds of fault, three fates. Messages come from outside: a malformed one is refused with an [`Error`] and
//! changes nothing. A proposal that can't be taken is an [`Error`] as well. A broken promise of our own (a storage that
//! forgot what it acknowledged, entries applied twice) is an assertion, because going on could make members diverge.
//!
//! # Asynchronous storage writes
//!
//! With [`Config::async_storage_writes`] a [`Ready`] needs no [`RawNode::advance`], and the next one can be taken at
//! once. Its `messages` then hold, besides those to peers, at most one `MsgStorageAppend` to [`LOCAL_APPEND_THREAD`]
//! and one `MsgStorageApply` to [`LOCAL_APPLY_THREAD`]:
//!
//! - An append carries entries, a snapshot to install before them, and (where `term`, `vote` and `commit` are not all
//!   zero) a hard state. Appends are carried out in order; once one is durable *and visible in [`Storage`]*, its
//!   `responses` are delivered: those addressed to this node through [`RawNode::step`], the others to the peers.
//!   Nothing in `responses` may leave before.
//! - An apply carries committed entries, all of which are in this node's own durable log. Once applied, its `responses`
//!   go through [`RawNode::step`]. (A received snapshot is applied when its append is carried out.)
//! - All other messages may be sent at once, but `MsgVote` should wait until the term and vote of the same [`Ready`] are
//!   durable: the others' votes alone can make a leader, and one that then loses its hard state with the power could lead
//!   the same term a second time.
//!
//! Entries may be applied long after they were handed out: their conf changes go through
//! [`RawNode::apply_conf_change_at`].
//!
//! # Where it differs from etcd's raft
//!
//! Nothing of this shows on the wire:
//!
//! - What makes etcd's raft panic when it comes from outside (unknown types, entries that don't follow each other,
//!   contradictory conf states, a commit index beyond the log …) is an [`Error`] here.
//! - A leader that is the only voter answers read index requests only after its first commit in its term, like any other
//!   leader: its disk may not tell all that it had committed before.
//! - Conf changes of unknown types or with malformed bytes are refused when they are proposed.
//! - A conf change that is dropped because too much is uncommitted doesn't keep others out.

pub mod confchange;
mod config;
mod core;
pub mod describe;
mod error;
mod log;
pub mod quorum;
mod raw_node;
mod rng;
mod sizes;
mod status;
mod storage;
pub mod tracker;

pub use config::{Config, NO_LIMIT, ReadOnlyOption};
pub use error::{ConfChangeError, Error, StorageError};
pub use raw_node::{AnyConfChange, Peer, RawNode, ReadState, Ready, SnapshotStatus, SoftState};
pub use status::{BasicStatus, RoleName, Status};
pub use storage::{MemoryStorage, Storage};

/// "Nobody" where a member id is expected: no leader, no vote.
pub const NONE: u64 = 0;
/// The receiver of `MsgStorageAppend`. No member has this id.
pub const LOCAL_APPEND_THREAD: u64 = u64::MAX;
/// The receiver of `MsgStorageApply`. No member has this id.
pub const LOCAL_APPLY_THREAD: u64 = u64::MAX - 1;
