//! What a fuzzer feeds with bytes: the same functions serve `cargo fuzz` (`fuzz/`) and the seeded loop in
//! `fuzz_decoders.rs`. Whatever the bytes are, there is an error or a log that goes on, and never a panic.
#![allow(dead_code, reason = "each target is a program of its own")]

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, MemDisk, Open};
use proto::raftpb::{Entry, HardState};
use proto::walpb;
use wal::{Options, SnapFiles, Wal, read_all, repair, valid_snapshot_records, verify};

const OPTIONS: Options = Options { segment_bytes: 8192 };
const DIR: &str = "/wal";

fn put(disk: &MemDisk, path: &str, bytes: &[u8]) {
    let file = disk.open(Path::new(path), Open::Create { mode: 0o600 }).expect("MemDisk creates");
    file.write_all_at(0, bytes).expect("MemDisk writes");
}

/// One or two segments; the first byte says where they part.
pub fn log(bytes: &[u8]) {
    let Some((&parting, bytes)) = bytes.split_first() else { return };
    let disk = MemDisk::new(0);
    disk.create_dir_all(Path::new(DIR), 0o700).expect("MemDisk creates");
    let parting = if parting == 0 { bytes.len() } else { bytes.len() * usize::from(parting) / 256 / 8 * 8 };
    let (first, second) = bytes.split_at(parting);
    put(&disk, "/wal/0000000000000000-0000000000000000.wal", first);
    if !second.is_empty() {
        put(&disk, "/wal/0000000000000001-0000000000000001.wal", second);
    }
    let dir = Path::new(DIR);
    let at = walpb::Snapshot::default();
    // Errors are what is expected here.
    drop(valid_snapshot_records(&disk, dir));
    drop(verify(&disk, dir, &walpb::Snapshot { index: 2, term: 1, conf_state: None }));
    drop(repair(&disk.fork(1), dir));
    let read_only = read_all(&disk, dir, &at);

    let Ok(opened) = Wal::open(Arc::new(disk.clone()), dir, &at, OPTIONS) else { return };
    let before = opened.contents.entries;
    let read_only = read_only.expect("what opens for appending opens for reading");
    assert_eq!(read_only.entries, before);
    assert_eq!(read_only.torn_at.is_some(), opened.repaired.is_some());

    let mut wal = opened.wal;
    let term = before.iter().map(|entry| entry.term).max().unwrap_or(0).max(wal.hard_state().term).max(1);
    let next = Entry { entry_type: 0, term, index: before.len() as u64 + 1, data: vec![1; 600].into() };
    let state = HardState { term, vote: 1, commit: 1 };
    wal.save(&state, std::slice::from_ref(&next)).expect("a log that opened can be written");
    wal.sync().expect("a log that opened can be synced");
    drop(wal);
    let after = Wal::open(Arc::new(disk), dir, &at, OPTIONS).expect("our own writing is read back").contents;
    assert_eq!(after.hard_state, state);
    assert_eq!(after.entries[..before.len()], before);
    assert_eq!(after.entries[before.len()..], [next]);
}

/// A snapshot file.
pub fn snap(bytes: &[u8]) {
    let disk = MemDisk::new(0);
    disk.create_dir_all(Path::new("/snap"), 0o700).expect("MemDisk creates");
    put(&disk, "/snap/0000000000000001-0000000000000002.snap", bytes);
    let files = SnapFiles::new(Arc::new(disk), Path::new("/snap"));
    let loaded = files.load_newest().expect("damage is set aside");
    assert_eq!(loaded.snapshot.is_some(), loaded.broken.is_empty());
    if let Some(snapshot) = loaded.snapshot
        && let Some(path) = files.save(&snapshot).expect("what was read can be written")
    {
        assert_eq!(files.read(&path).expect("our own writing is read back"), snapshot);
    }
}
