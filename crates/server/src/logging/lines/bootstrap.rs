//! How a member comes to its log and its state, and what it makes of its first election timeout.

use std::path::Path;
use std::time::Duration;

use super::path;
use crate::logging::{Field, Value, info};

/// The members are being looked for: in the configuration, at a discovery service, at the other members.
#[track_caller]
pub fn bootstrapping_cluster() {
    info("bootstrapping cluster", &[]);
}

/// The log and the database are about to be opened or made.
#[track_caller]
pub fn bootstrapping_storage() {
    info("bootstrapping storage", &[]);
}

/// Members, log, database and raft stand.
#[track_caller]
pub fn bootstrapped() {
    info("bootstrap successfully", &[]);
}

/// The time that a member without a leader waits before it campaigns.
#[derive(Clone, Copy, Debug)]
pub struct ElectionTimeout {
    pub ticks: usize,
    pub tick: Duration,
}

/// The only member campaigns as soon as it has applied what is committed: it waits for no tick.
#[track_caller]
pub fn single_node_ticks(member: u64, timeout: ElectionTimeout) {
    let whole = timeout.tick.saturating_mul(u32::try_from(timeout.ticks).unwrap_or(u32::MAX));
    let fields: [Field<'_>; 5] = [
        ("local-member-id", Value::id(member)),
        ("forward-ticks", timeout.ticks.into()),
        ("forward-duration", whole.into()),
        ("election-ticks", timeout.ticks.into()),
        ("election-timeout", whole.into()),
    ];
    info("started as single-node; fast-forwarding election ticks", &fields);
}

/// One of several members: whether it shortens its wait once it is connected to the others.
#[track_caller]
pub fn cluster_ticks(advances: bool, timeout: ElectionTimeout) {
    let message = match advances {
        true => "starting initial election tick advance",
        false => "skipping initial election tick advance",
    };
    info(message, &[("election-ticks", timeout.ticks.into())]);
}

/// From here on no more than `max` files of this kind are kept.
#[track_caller]
pub fn purging(dir: &Path, suffix: &str, max: u64, interval: Duration) {
    let fields = [("dir", path(dir)), ("suffix", suffix.into()), ("max", max.into()), ("interval", interval.into())];
    info("started to purge file", &fields);
}
