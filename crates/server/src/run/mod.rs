//! The running process: its threads, how they are tied together, how they start and end.
//!
//! Driver, log writer, applier, committer and purger each have a thread of their own and talk by channels; front-door threads
//! have a current-thread runtime each. No lock is held across a wait.

mod applier;
mod boot;
mod clock;
mod disks;
mod driver;
pub mod front;
mod inbox;
pub mod interests;
pub mod listen;
mod options;
mod site;
pub mod waiters;
mod watchers;
pub mod watching;

pub use boot::serve;
pub use driver::Phase;

use std::fmt::Display;

/// Stops the process at once: what happened leaves the member unable to go on without breaking a promise.
pub fn fatal(message: &str, failure: &dyn Display) -> ! {
    tracing::error!(error = %failure, fatal = true, "{message}");
    std::process::exit(1)
}
