//! Whole clusters on one thread, from a seed: the members are those of `node`, `state`, `mvcc`, `wal` and `bolt`; network,
//! disks, clocks and faults are virtual; judges watch what the members do and what clients see.
//!
//! The same seed gives the same run. A run that fails panics; the program and the tests name its seed.

mod check;
mod client;
mod drive;
mod faults;
mod member;
mod model;
mod network;
mod options;
mod post;
mod rng;
mod schedule;
mod watcher;
mod world;

pub use options::{Options, Planted};
pub use world::{Figures, World};

/// Runs what the options say; panics where a judge objects.
pub fn run(options: Options) -> String {
    let mut world = World::new(options);
    world.run();
    format!(
        "members {} entries {} writes {} reads {} events {} states compared {} crashes {} (power {}) snapshots {} unsynced {}",
        world.slots.len(),
        world.consensus.committed_index(),
        world.history.writes,
        world.history.reads,
        world.watchers.iter().map(|watcher| watcher.check.events).sum::<u64>(),
        world.consensus.hashes_compared,
        world.figures.crashes,
        world.figures.power_losses,
        world.figures.snapshots_sent,
        world.figures.unsynced_bytes_max,
    )
}

/// As [`run`]; gives the objection instead of panicking. The panic's own message goes where panics go.
pub fn try_run(options: Options) -> Result<String, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(options))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}
