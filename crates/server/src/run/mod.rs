//! The running process: its threads, how they are tied together, how they start and end.
//!
//! Driver, log writer, applier, committer and purger each have a thread of their own and talk by channels; front-door threads
//! have a current-thread runtime each. No lock is held across a wait.

mod applier;
mod clock;
mod corruption;
mod disks;
mod driver;
pub mod figures;
pub mod front;
mod fronts;
mod guard;
mod inbox;
pub mod interests;
mod ledger;
pub mod listen;
mod member;
mod metered_disk;
mod not_yet;
mod open;
mod options;
pub mod peers;
pub mod pings;
pub mod pins;
mod pulse;
mod serve;
mod served;
mod site;
mod sockets;
#[cfg(test)]
mod testing;
pub mod waiters;
mod watchers;
pub mod watching;
pub mod words;

pub use driver::Phase;
pub use guard::fatal;
pub use ledger::Operations;
pub use serve::{Ended, ServeError, serve};

use std::io;
use std::thread::{self, JoinHandle};

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
