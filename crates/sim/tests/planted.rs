//! Bugs built in on purpose: the judges must find each of them.

use sim::{Options, Planted, try_run};

/// Runs seeds until one is objected to; gives the objection.
fn found(planted: Planted, members: usize, tune: impl Fn(&mut Options)) -> String {
    const SEEDS: u64 = 60;
    // Each seed that finds the bug panics; that is the point, and not worth a page of output.
    std::panic::set_hook(Box::new(|_| {}));
    for seed in 1..=SEEDS {
        let mut options = Options { members, planted: Some(planted), ..Options::of_seed(seed) };
        tune(&mut options);
        if let Err(objection) = try_run(options) {
            return format!("seed {seed}: {objection}");
        }
    }
    panic!("no judge found {planted:?} in {SEEDS} seeds");
}

#[test]
fn a_reply_before_its_sync_loses_writes() {
    let objection = found(Planted::ReplyBeforeSync, 1, |_| {});
    println!("{objection}");
}

#[test]
fn an_index_apart_from_its_data_applies_twice() {
    let objection = found(Planted::IndexApartFromData, 3, |_| {});
    println!("{objection}");
}

#[test]
fn a_forgotten_vote_elects_two_leaders() {
    let objection = found(Planted::VoteForgotten, 3, |options| {
        // Two candidates must meet in one term, and a voter must be back before the second one's request arrives.
        options.pre_vote = false;
        options.delay_max = std::time::Duration::from_millis(150);
        options.fault_gap_max = std::time::Duration::from_millis(600);
        options.crash_on_vote_permille = 1000;
    });
    println!("{objection}");
}

#[test]
fn a_read_that_asks_nobody_is_stale() {
    let objection = found(Planted::ReadWithoutAsking, 3, |_| {});
    println!("{objection}");
    assert!(objection.contains("stale"), "{objection}");
}

#[test]
fn a_watcher_that_begins_late_misses_events() {
    let objection = found(Planted::WatchSkips, 3, |_| {});
    println!("{objection}");
    assert!(objection.contains("watch"), "{objection}");
}

#[test]
fn a_keep_alive_that_is_forgotten_ends_its_lease_early() {
    let objection = found(Planted::KeepAliveIgnored, 3, |_| {});
    println!("{objection}");
    assert!(objection.contains("was promised to live until"), "{objection}");
}
