//! The power goes at every write and every sync: what was acknowledged is there, the rest is whole or absent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::scenario::Scenario;
use common::{PATH, Rng, assert_sound, content, open, random_changes, seeds};
use disk::MemDisk;

#[test]
fn every_cut_leaves_a_whole_state() {
    for seed in 0..seeds(6) {
        let scenario = Scenario::new(seed, 24);
        let whole = MemDisk::new(seed);
        assert_eq!(scenario.run(&whole, &mut |_, _| {}).during, None);
        let operations = whole.operations();
        println!("seed {seed}: {operations} places to cut");
        for cut in 0..operations {
            let disk = MemDisk::new(seed ^ cut << 8);
            disk.cut_after(cut);
            let ended = scenario.run(&disk, &mut |_, _| {});
            assert!(disk.is_cut(), "cut {cut}");
            let disk = scenario.survive(&disk, &ended);
            go_on(&scenario, &disk, cut);
        }
    }
}

/// A survivor takes commits, and shrinks.
fn go_on(scenario: &Scenario, disk: &MemDisk, seed: u64) {
    let db = open(disk, &scenario.options).unwrap();
    let mut model = content(&db.read()).unwrap();
    let mut rng = Rng(seed);
    let mut tx = db.write().unwrap();
    random_changes(&mut rng, &mut tx, &mut model, 1024, 300);
    tx.commit().unwrap();
    db.shrink(20).unwrap();
    assert_sound(&db, "a survivor that goes on");
    assert_eq!(content(&db.read()).unwrap(), model);
}

/// Between two commits the state before the last one is whole as well: losing one meta page costs one commit.
#[test]
fn each_meta_page_describes_a_whole_state() {
    for seed in 0..seeds(6) {
        let scenario = Scenario::new(seed, 40);
        let disk = MemDisk::new(seed);
        scenario.run(&disk, &mut |what, db| {
            let (txid, page_size) = (db.stats().txid, db.stats().page_size);
            let fork = disk.fork(seed).kill();
            fork.corrupt(Path::new(PATH), txid % 2 * page_size + 64, 1).unwrap();
            let before = open(&fork, &scenario.options).unwrap();
            assert_eq!(before.stats().txid, txid - 1);
            assert_sound(&before, &format!("seed {seed}, after {what}, without its meta page"));
        });
    }
}

/// A second cut while the first one's survivor is being used.
#[test]
fn cuts_in_a_row() {
    for seed in 0..seeds(40) {
        let mut rng = Rng(seed);
        let scenario = Scenario::new(seed, 16);
        let mut disk = MemDisk::new(seed);
        disk.cut_after(rng.below(60));
        let ended = scenario.run(&disk, &mut |_, _| {});
        disk = scenario.survive(&disk, &ended);
        for _ in 0..6 {
            let db = open(&disk, &scenario.options).unwrap();
            let committed = content(&db.read()).unwrap();
            let mut in_flight = committed.clone();
            disk.cut_after(rng.below(9));
            let mut tx = db.write().unwrap();
            random_changes(&mut rng, &mut tx, &mut in_flight, 1024, 300);
            let outcome = tx.commit().and_then(|_| db.shrink(1 + rng.below(20)));
            let committed = if outcome.is_ok() { in_flight.clone() } else { committed };
            drop(db);
            let ended = common::scenario::Ended { committed, in_flight, during: Some("a later commit") };
            disk = scenario.survive(&disk, &ended);
        }
    }
}
