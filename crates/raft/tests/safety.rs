//! What raft promises, held against random runs. `QUORATE_SEEDS` sets how many, `QUORATE_SEED` replays one.

mod sim;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use sim::Cluster;

const STEPS: usize = 20_000;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

fn run(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed);
    for step in 0..STEPS {
        cluster.step();
        if step % 200 == 0 {
            cluster.check_logs();
        }
    }
    cluster.heal();
    cluster
}

#[test]
fn promises_hold_in_random_runs() {
    let seeds = match env("QUORATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("QUORATE_SEEDS").unwrap_or(30),
    };
    let (mut elections, mut snapshots, mut reads, mut conf_changes) = (0, 0, 0, 0);
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(cluster) => {
                elections += cluster.elections;
                snapshots += cluster.snapshots;
                reads += cluster.reads_served;
                conf_changes += cluster.conf_changes;
            }
            Err(panic) => {
                eprintln!("failed with QUORATE_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    eprintln!(
        "{} runs: {elections} vote requests, {snapshots} snapshots, {reads} reads, {conf_changes} conf changes",
        seeds.end - seeds.start
    );
    assert!(elections > 0 && snapshots > 0 && reads > 0 && conf_changes > 0, "a run in which too little happens");
}
