//! Many seeds. `QUORATE_SEEDS` says how many, `QUORATE_FROM` where they begin.

use sim::{Options, try_run};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_judge_objects() {
    let (from, seeds) = (number("QUORATE_FROM", 1), number("QUORATE_SEEDS", 10));
    for seed in from..from + seeds {
        if let Err(objection) = try_run(Options::of_seed(seed)) {
            panic!("{objection}\nseed {seed}; replay: cargo run -p sim -- --seed {seed}");
        }
    }
}

#[test]
fn a_seed_replays() {
    let options = || Options::of_seed(7);
    assert_eq!(try_run(options()), try_run(options()));
}
