//! The replicated state machine: one command enum, one apply, for the run, the restart and the tools.
//!
//! [`State`] is owned by the applier. It takes raft entries in order, changes keys, leases, alarms, users, members and
//! versions in one backend transaction per entry, and says in [`Applied`] what to answer and what else must happen.
//! [`StateReader`] hands out views of all of these as of one published moment, from any thread.
//!
//! The effect of an entry is a function of the state and the entry alone: no clock, no randomness, no local size or
//! flag decides it (the exceptions that etcd's history forces stand in `docs/decisions/apply-differences.md`).
//! This room knows no thread, no socket and no raft state beyond entries and conf changes.

pub mod alarm;
pub mod applied;
mod apply;
pub mod auth;
pub mod checks;
pub mod command;
mod deep;
pub mod error;
pub mod kv;
pub mod lease;
mod live;
pub mod members;
mod open;
pub mod options;
pub mod quota;
pub mod reader;
pub mod state;
pub mod v2;
pub mod versions;

pub use applied::{Answer, Applied, Effect, Outcome};
pub use command::Command;
pub use error::{ApplyError, Error, Result};
pub use options::{StateOptions, V2Snapshot};
pub use reader::{StateReader, StateView};
pub use state::State;
pub use versions::Version;
