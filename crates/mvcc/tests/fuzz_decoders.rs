//! A seeded, bounded run of the fuzz targets: files of etcd with bytes changed, and sound files whose buckets hold
//! anything. `QUORATE_FUZZ_ITERS` makes it longer; the case that fails is kept.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

#[path = "common/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mvcc::{Bucket, MetaKey, Result, Revision};
use prost::Message;
use proto::mvccpb::KeyValue;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};

const FILES: [&str; 4] = [
    "etcd-3.4.23-1-written.db",
    "etcd-3.4.23-5-compacted-at-21.db",
    "etcd-3.5.1-1-written.db",
    "etcd-3.5.1-3-compacted-at-8.db",
];

/// Numbers at which something may run over.
const ODD: [i64; 8] = [0, 1, -1, i64::MAX, i64::MIN, i64::MAX / 2, 1 << 60, (1 << 60) - 1];

fn run(name: &str, iters: u64, make: fn(&mut SmallRng) -> Vec<u8>, target: fn(&[u8]) -> Result<()>) {
    let iters = std::env::var("QUORATE_FUZZ_ITERS").map_or(iters, |iters| iters.parse().unwrap());
    let (mut refused, mut served) = (0, 0);
    for seed in 0..iters {
        let bytes = make(&mut SmallRng::seed_from_u64(seed));
        match catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            Ok(Ok(())) => served += 1,
            Ok(Err(_)) => refused += 1,
            Err(panic) => {
                let case = std::env::temp_dir().join(format!("fuzz-mvcc-{name}-{seed}"));
                std::fs::write(&case, &bytes).unwrap();
                eprintln!("{name}: seed {seed} fails; the case is in {}", case.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{name}: {refused} refused, {served} served");
    assert!(refused > 0 && served > 0);
}

/// A file of etcd with a few changes where something stands.
fn changed_file(rng: &mut SmallRng) -> Vec<u8> {
    let name = FILES.choose(rng).unwrap();
    let mut bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/etcd").join(name)).unwrap();
    // Most of a page is empty.
    let filled: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    for _ in 0..rng.random_range(1..4) {
        let at = *filled.choose(rng).unwrap();
        match rng.random_range(0..6) {
            0..=2 => bytes[at] ^= 1 << rng.random_range(0..8),
            3 => bytes[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(rng).unwrap(),
            4 => {
                let end = (at + 8).min(bytes.len());
                rng.fill_bytes(&mut bytes[at..end]);
            }
            _ => {
                let (page, other) = (at / 4096 * 4096, rng.random_range(0..bytes.len() / 4096) * 4096);
                bytes.copy_within(other..other + 4096, page);
            }
        }
    }
    bytes.insert(0, rng.random_range(0..6));
    bytes
}

fn revision(rng: &mut SmallRng) -> Revision {
    let main = if rng.random_ratio(1, 30) { *ODD.choose(rng).unwrap() } else { rng.random_range(0..20) };
    let sub = if rng.random_ratio(1, 30) { *ODD.choose(rng).unwrap() } else { rng.random_range(0..3) };
    Revision { main, sub }
}

fn number(rng: &mut SmallRng) -> i64 {
    if rng.random_ratio(1, 8) { *ODD.choose(rng).unwrap() } else { rng.random_range(0..20) }
}

/// Records of no order that etcd would make: generations out of turn, tombstones on tombstones, two kinds of record at
/// one revision; sometimes bytes that are no record.
fn odd_pairs(rng: &mut SmallRng) -> Vec<u8> {
    let mut out = vec![rng.random_range(0..6)];
    for _ in 0..rng.random_range(0..80) {
        let mut key = revision(rng).to_bytes().to_vec();
        if rng.random_ratio(1, 4) {
            key.push(b't');
        }
        let kv = KeyValue {
            key: vec![b'k'; rng.random_range(0..3)].into(),
            create_revision: number(rng),
            mod_revision: number(rng),
            version: number(rng),
            value: vec![b'v'; rng.random_range(0..30)].into(),
            lease: number(rng),
        };
        let mut value = kv.encode_to_vec();
        if rng.random_ratio(1, 150) && !value.is_empty() {
            let at = rng.random_range(0..value.len());
            value[at] = rng.random();
        }
        targets::encode_pair(Bucket::Key, &key, &value, &mut out);
    }
    for key in [MetaKey::ConsistentIndex, MetaKey::Term, MetaKey::ScheduledCompact, MetaKey::FinishedCompact] {
        let mark = matches!(key, MetaKey::ScheduledCompact | MetaKey::FinishedCompact);
        let mut value = if mark { revision(rng).to_bytes().to_vec() } else { number(rng).to_be_bytes().to_vec() };
        if rng.random_ratio(1, 40) {
            value.pop();
        }
        if rng.random() {
            targets::encode_pair(Bucket::Meta, key.bytes(), &value, &mut out);
        }
    }
    out
}

#[test]
fn files_with_changed_bytes() {
    run("file", 150, changed_file, targets::file);
}

#[test]
fn sound_files_with_odd_records() {
    run("pairs", 400, odd_pairs, targets::pairs);
}
