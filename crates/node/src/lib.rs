//! One member as a pure machine: raft, proposals, read index, lease deadlines, boot from a directory.
//!
//! Three owners, each a value that is driven from outside and blocks on nothing but the disk it was given:
//! - [`Node`]: takes [`Event`]s and the time, hands back [`Action`]s. It never touches a disk.
//! - [`LogWriter`]: owns the log; carries out [`Batch`]es and answers [`Persisted`].
//! - [`Applier`]: owns the state; carries out [`ApplyBatch`]es and answers [`Applied`], replies and watch events.
//!
//! [`boot::boot`] makes the three from a data directory. This room knows no thread, socket or clock: time is a monotonic
//! [`Now`] passed in, randomness a seed, the disk a trait.

mod action;
pub mod applier;
pub mod boot;
mod compactor;
mod config;
pub mod corruption;
mod event;
mod ids;
mod lessor;
mod log_writer;
mod node;
mod receive;
mod requests;
pub mod restore;

pub use action::{Action, ApplyBatch, Batch, LeaseTime, Outcome, Role, SnapshotRecord};
pub use applier::{Applier, ApplierError, CommitDone, CommitJob, Observer, Output, ReadySnapshot, SnapshotTo};
pub use boot::{BootError, BootOptions, Booted, ExistingCluster, Founding, InitialMember, Joined, Note, Purger, boot};
pub use config::{AutoCompaction, Config};
pub use event::{
    Applied, AppliedConfChange, Event, LeaseChange, Now, Persisted, Proposal, ProposalKind, Ticket, VersionReport,
};
pub use ids::{RequestIds, cluster_id, member_id};
pub use log_writer::{LogError, LogWriter};
pub use node::{Node, Status};
pub use receive::ReceivingDb;
