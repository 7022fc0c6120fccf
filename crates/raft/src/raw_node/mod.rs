//! The node's face: calls in, [`Ready`] out.

mod conf_change;
mod ready;

use bytes::Bytes;
use proto::raftpb::{ConfState, Message};

use crate::config::Config;
use crate::error::{ConfChangeError, Error};
use crate::status::{BasicStatus, Status};
use crate::storage::Storage;

pub use conf_change::AnyConfChange;
pub use ready::{ReadState, Ready, SoftState};

/// A founding member; see [`RawNode::bootstrap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub id: u64,
    /// Goes into the conf change entry that adds the member.
    pub context: Bytes,
}

/// What became of a snapshot sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    Finish,
    Failure,
}

/// A node of a raft cluster. Not thread-safe by itself, never blocks, owned by one driver:
///
/// 1. feed it: [`tick`](Self::tick), [`step`](Self::step), [`propose`](Self::propose) …
/// 2. while [`has_ready`](Self::has_ready): take a [`Ready`] and do what it says, in its order;
/// 3. without asynchronous storage writes: [`advance`](Self::advance).
pub struct RawNode<S: Storage> {
    storage: S,
}

impl<S: Storage> RawNode<S> {
    /// A node on top of what `storage` holds. Errs where the settings or the stored state contradict themselves.
    pub fn new(config: Config, storage: S) -> Result<Self, Error> {
        let _config = config.checked()?;
        Ok(Self { storage })
    }

    /// Founds a cluster: puts one committed entry for each peer into the empty log, in the order given. Every founding
    /// member does the same with the same peers. Errs where the log isn't empty, or there are no peers.
    pub fn bootstrap(&mut self, _peers: &[Peer]) -> Result<(), Error> {
        todo!()
    }

    pub fn storage(&self) -> &S {
        &self.storage
    }

    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// One unit of logical time has passed.
    pub fn tick(&mut self) {
        todo!()
    }

    /// Starts an election now. Does nothing on a leader, a learner, a member outside of the configuration, and while
    /// committed conf changes are not applied.
    pub fn campaign(&mut self) -> Result<(), Error> {
        todo!()
    }

    /// Proposes an entry. It may be lost without notice, and it may be committed although an error was feared.
    pub fn propose(&mut self, _data: Bytes) -> Result<(), Error> {
        todo!()
    }

    /// Proposes several entries at once, all or none of which enter the leader's log.
    pub fn propose_batch(&mut self, _data: Vec<Bytes>) -> Result<(), Error> {
        todo!()
    }

    /// Proposes a conf change. A leader that sees it can't be taken now (another one is not applied yet, or it doesn't
    /// fit the joint configuration) puts an empty entry into the log instead.
    pub fn propose_conf_change(&mut self, _change: impl Into<AnyConfChange>) -> Result<(), Error> {
        todo!()
    }

    /// Takes a committed conf change into force; called when the entry is applied. Not called for a change that the
    /// application refuses. Returns the configuration then in force; errs, and changes nothing, where the change doesn't
    /// fit the present one.
    pub fn apply_conf_change(&mut self, _change: impl Into<AnyConfChange>) -> Result<ConfState, ConfChangeError> {
        todo!()
    }

    /// A message from a peer, or a response from the local storage threads.
    pub fn step(&mut self, _message: Message) -> Result<(), Error> {
        todo!()
    }

    /// Whether [`Self::ready`] has anything to tell.
    pub fn has_ready(&self) -> bool {
        todo!()
    }

    /// Takes out everything that is to be done now.
    pub fn ready(&mut self) -> Ready {
        todo!()
    }

    /// The last [`Ready`] was carried out, applying included. Not to be called with asynchronous storage writes.
    pub fn advance(&mut self) {
        todo!()
    }

    /// Asks for the index from which a linearizable read may be served; answered by a [`ReadState`] with the same
    /// context, or not at all: the caller asks again after a while.
    pub fn read_index(&mut self, _context: Bytes) {
        todo!()
    }

    /// Hands leadership to `transferee`, if that one catches up within an election timeout.
    pub fn transfer_leader(&mut self, _transferee: u64) {
        todo!()
    }

    /// The last message to `id` was not delivered.
    pub fn report_unreachable(&mut self, _id: u64) {
        todo!()
    }

    /// The fate of the snapshot sent to `id`. Must be reported, as nothing else is sent to it before.
    pub fn report_snapshot(&mut self, _id: u64, _status: SnapshotStatus) {
        todo!()
    }

    /// Makes a follower forget its leader, so that it grants votes at once. No effect on a leader, or with
    /// lease-based reads.
    pub fn forget_leader(&mut self) -> Result<(), Error> {
        todo!()
    }

    /// Everything worth showing.
    pub fn status(&self) -> Status {
        todo!()
    }

    /// What is cheap to tell.
    pub fn basic_status(&self) -> BasicStatus {
        todo!()
    }

    /// Overrides the randomised election timeout of the present term; for tests.
    pub fn set_randomized_election_timeout(&mut self, _ticks: usize) {
        todo!()
    }
}
