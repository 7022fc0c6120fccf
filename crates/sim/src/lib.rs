//! Whole clusters on one thread, from a seed: the members are those of `node`, `state`, `mvcc`, `wal` and `bolt`; network,
//! disks, clocks and faults are virtual; judges watch what the members do and what clients see.
//!
//! The same seed gives the same run. A run that fails panics; the program and the tests name its seed.

mod check;
mod client;
mod drive;
mod faults;
mod lab;
mod member;
mod model;
mod network;
mod operator;
mod options;
mod post;
mod rng;
mod schedule;
mod watcher;
mod world;

pub use check::Wants;
pub use lab::{Call, Lab, LabAnswer};
pub use operator::Change;
pub use options::{Options, Planted};
use world::World;

/// Runs what the options say; panics where a judge objects. Gives what the run amounted to.
pub fn run(options: Options) -> String {
    let mut world = World::new(options);
    world.run();
    world.summary()
}

/// As [`run`]; gives the objection instead of panicking. The panic's own message goes where panics go.
pub fn try_run(options: Options) -> Result<String, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(options))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}
