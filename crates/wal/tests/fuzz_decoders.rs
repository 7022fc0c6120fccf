//! A seeded, bounded run of the fuzz targets, from real files and from records with right checksums and wrong contents.
//! `QUORATE_FUZZ_ITERS` makes it longer; the case that fails is printed.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;
#[path = "common/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{Rng, rounds};
use prost::Message;
use proto::raftpb;
use proto::walpb;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// Changes bytes the way decoders dislike.
fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(7) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5) as usize],
            2 => bytes.truncate(at),
            3 => {
                let end = (at + 8 * rng.below(20) as usize).min(bytes.len());
                bytes.drain(at / 8 * 8..end);
            }
            4 => {
                let end = (at + 600).min(bytes.len());
                bytes[at..end].fill(0);
            }
            5 => {
                let word = at / 8 * 8;
                let end = (word + 8).min(bytes.len());
                let value = [u64::MAX, 1 << 63, 1 << 55, rng.next(), rng.below(5000)][rng.below(5) as usize];
                bytes[word..end].copy_from_slice(&value.to_le_bytes()[..end - word]);
            }
            _ => {
                let end = (at + rng.below(200) as usize).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = rng.below(bytes.len() as u64) as usize / 8 * 8;
                bytes.splice(to..to, copy);
            }
        }
    }
}

/// A log in which framing and checksums are right and the records are anything.
fn odd_log(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut crc = 0;
    let metadata = vec![8, 1, 16, 2];
    let mut records = vec![(4, Vec::new()), (1, metadata)];
    let mut index = 0;
    for _ in 0..rng.below(30) {
        records.push(odd_record(&mut index, rng));
    }
    for (record_type, data) in records {
        crc = if record_type == 4 { crc } else { crc32c::crc32c_append(crc, &data) };
        let record = walpb::Record { record_type, crc, data: data.into() }.encode_to_vec();
        let padding = (8 - record.len() % 8) % 8;
        let flags = if padding == 0 { 0 } else { 0x80 | padding as u64 };
        bytes.extend((record.len() as u64 | flags << 56).to_le_bytes());
        bytes.extend(record);
        bytes.resize(bytes.len() + padding, 0);
    }
    bytes
}

fn odd_record(index: &mut u64, rng: &mut Rng) -> (i64, Vec<u8>) {
    *index = match rng.below(10) {
        0 => rng.next(),
        1 => rng.below(10),
        _ => index.wrapping_add(1),
    };
    let term = if rng.one_in(10) { rng.next() } else { rng.below(3) };
    let entry_type = if rng.one_in(20) { rng.next() as i32 } else { rng.below(3) as i32 };
    let data = vec![rng.below(2) as u8; rng.below(700) as usize].into();
    match rng.below(12) {
        0..8 => (2, raftpb::Entry { entry_type, term, index: *index, data }.encode_to_vec()),
        8 => (3, raftpb::HardState { term, vote: rng.next(), commit: *index }.encode_to_vec()),
        9 => (5, walpb::Snapshot { index: *index, term, conf_state: None }.encode_to_vec()),
        10 => (4, Vec::new()),
        _ => ((rng.below(8) as i64) - 1, (0..rng.below(40)).map(|_| rng.next() as u8).collect()),
    }
}

fn run(name: &str, seeds: &[Vec<u8>], odd: Option<fn(&mut Rng) -> Vec<u8>>, target: fn(&[u8])) {
    let mut rng = Rng(17);
    for iteration in 0..rounds("QUORATE_FUZZ_ITERS", 3000) {
        let mut bytes = match odd {
            Some(odd) if rng.one_in(2) => odd(&mut rng),
            _ => seeds[rng.below(seeds.len() as u64) as usize].clone(),
        };
        if !rng.one_in(3) {
            mutate(&mut bytes, &mut rng);
        }
        if odd.is_some() {
            bytes.insert(0, if rng.one_in(3) { rng.next() as u8 } else { 0 });
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            let case = std::env::temp_dir().join(format!("fuzz-{name}-{iteration}"));
            std::fs::write(&case, &bytes).unwrap();
            eprintln!("{name}: iteration {iteration} fails; the case is in {}", case.display());
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn logs() {
    run("log", &[fixture("etcd-3.4.23.wal"), fixture("etcd-3.5.1.wal")], Some(odd_log), targets::log);
}

#[test]
fn snapshot_files() {
    let small = raftpb::Snapshot {
        data: vec![5; 50].into(),
        metadata: Some(raftpb::SnapshotMetadata { conf_state: common::record(3, 2).conf_state, index: 3, term: 2 }),
    };
    let data = small.encode_to_vec();
    let small = proto::snappb::Snapshot { crc: crc32c::crc32c(&data), data: data.into() }.encode_to_vec();
    run("snap", &[small, fixture("etcd-3.5.1.snap")], None, targets::snap);
}
