//! Judges: what must hold whatever happens. Each panics with what it saw; the runner adds the seed.

mod history;
mod leases;
mod raft;
mod watch;

pub use history::{Answer, History, Invocation};
pub use leases::LeaseCheck;
pub use raft::Consensus;
pub use watch::{Wants, WatchCheck};
