//! Flipped bits and cut-off files: a clear error or a repair, never a panic, never synced data silently gone.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::{Path, PathBuf};

use common::*;
use disk::{Disk, MemDisk};
use proto::raftpb;
use proto::walpb;
use wal::{Opened, Options, SnapFiles, Wal, WalError, read_all, repair, valid_snapshot_records};

const DIR: &str = "/wal";
const OPTIONS: Options = Options { segment_bytes: 2000 };

/// A synced log of a few segments, whose last one ends in a hard state.
fn log() -> MemDisk {
    let disk = MemDisk::new(3);
    let mut wal = Wal::create(shared(&disk), Path::new(DIR), 0x1234_5678_9abc, 0xfedc_ba98, OPTIONS).unwrap();
    let mut rng = Rng(4);
    for index in 1..=16 {
        // No value has a sector of zeros: such a record, damaged, can't be told from a torn one, for etcd neither.
        let data = (0..rng.below(600)).map(|_| rng.below(255) as u8 + 1).collect();
        wal.save(&state(3 + index / 8, 0x1234_5678_9abc, index - 1), &[entry(index, 3 + index / 8, data)]).unwrap();
        wal.sync().unwrap();
    }
    disk
}

fn segments(disk: &MemDisk) -> Vec<PathBuf> {
    disk.list(Path::new(DIR)).unwrap().iter().map(|name| Path::new(DIR).join(name)).collect()
}

fn open(disk: &MemDisk) -> Result<Opened, WalError> {
    Wal::open(shared(disk), Path::new(DIR), &walpb::Snapshot::default(), OPTIONS)
}

/// The end of what is written in a segment.
fn end_of_data(disk: &MemDisk, path: &Path) -> u64 {
    read(disk, path).iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let disk = log();
    let whole = read_all(&disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap();
    assert!(segments(&disk).len() >= 3);
    let mut unnoticed = Vec::new();
    for path in segments(&disk) {
        for offset in 0..end_of_data(&disk, &path) {
            for bit in 0..8 {
                let damaged = disk.fork(1);
                damaged.corrupt(&path, offset, 1 << bit).unwrap();
                match open(&damaged) {
                    Ok(opened) => {
                        let same = opened.contents.entries == whole.entries
                            && opened.contents.hard_state == whole.hard_state
                            && opened.contents.identity == whole.identity;
                        assert_eq!(opened.repaired, None, "{path:?} {offset} bit {bit}: taken for a torn tail");
                        if !same {
                            unnoticed.push((path.clone(), offset, bit));
                        }
                    }
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains(".wal"), "{path:?} {offset} bit {bit}: {text}");
                    }
                }
            }
        }
    }
    assert_eq!(unnoticed, []);
}

#[test]
fn the_error_names_file_and_offset() {
    let disk = log();
    let path = &segments(&disk)[1];
    disk.corrupt(path, 0x100, 0x10).unwrap();
    match open(&disk).map(|_| ()).unwrap_err() {
        WalError::CrcMismatch { file, offset, .. } => {
            assert_eq!(&file, path);
            assert!(offset <= 0x100 && offset % 8 == 0);
        }
        error => panic!("{error}"),
    }
    assert!(repair(&disk, Path::new(DIR)).unwrap().is_none(), "the last segment is whole");
    assert!(matches!(valid_snapshot_records(&disk, Path::new(DIR)), Err(WalError::CrcMismatch { .. })));
}

#[test]
fn a_shortened_last_segment_is_repaired_up_to_the_last_whole_record() {
    let disk = log();
    let whole = read_all(&disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap();
    let last = segments(&disk).pop().unwrap();
    let bytes = read(&disk, &last);
    let end = end_of_data(&disk, &last);
    let mut repairs = 0;
    for len in 1..end {
        let cut = disk.fork(1);
        write(&cut, &last, &bytes[..len as usize]);
        match open(&cut) {
            Ok(opened) => {
                let found = &opened.contents.entries;
                assert_eq!(found[..], whole.entries[..found.len()], "{len}");
                repairs += u64::from(opened.repaired.is_some());
                if let Some(repaired) = opened.repaired {
                    assert!(repaired.offset <= len);
                    assert_eq!(read(&cut, &repaired.broken), &bytes[..len as usize]);
                }
            }
            Err(error) => {
                assert!(error.to_string().contains("ends before its metadata") || len < 100, "{len}: {error}")
            }
        }
    }
    assert!(repairs > end / 2);
}

#[test]
fn a_shortened_middle_segment_is_refused() {
    let disk = log();
    let middle = segments(&disk)[1].clone();
    let bytes = read(&disk, &middle);
    for len in 0..bytes.len() {
        let cut = disk.fork(1);
        write(&cut, &middle, &bytes[..len]);
        assert!(open(&cut).is_err(), "{len}");
        assert_eq!(read(&cut, &middle), &bytes[..len], "{len}: left alone");
    }
}

#[test]
fn zeroed_sectors_in_the_last_segment_are_a_torn_tail_elsewhere_corruption() {
    let disk = log();
    let whole = read_all(&disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap();
    for path in segments(&disk) {
        let is_last = Some(&path) == segments(&disk).last();
        let bytes = read(&disk, &path);
        for sector in 1..end_of_data(&disk, &path) / 512 {
            let damaged = disk.fork(1);
            let mut bytes = bytes.clone();
            bytes[sector as usize * 512..(sector as usize + 1) * 512].fill(0);
            write(&damaged, &path, &bytes);
            match open(&damaged) {
                Ok(opened) => {
                    assert!(is_last);
                    let found = &opened.contents.entries;
                    assert_eq!(found[..], whole.entries[..found.len()]);
                }
                Err(error) => assert!(!is_last, "{error}"),
            }
        }
    }
}

#[test]
fn a_missing_or_foreign_segment_is_refused() {
    let disk = log();
    let all = segments(&disk);
    let gap = disk.fork(1);
    gap.remove_file(&all[1]).unwrap();
    assert!(matches!(open(&gap), Err(WalError::FileNotFound { .. })));

    let beheaded = disk.fork(1);
    beheaded.remove_file(&all[0]).unwrap();
    assert!(matches!(open(&beheaded), Err(WalError::FileNotFound { .. })));

    let other = MemDisk::new(9);
    drop(Wal::create(shared(&other), Path::new(DIR), 5, 6, OPTIONS).unwrap());
    let foreign = disk.fork(1);
    write(&foreign, all.last().unwrap(), &read(&other, &segments(&other)[0]));
    assert!(matches!(open(&foreign), Err(WalError::CrcMismatch { .. })));

    let empty = disk.fork(1);
    write(&empty, all.last().unwrap(), b"");
    let found = open(&empty).map(|opened| opened.contents.entries.len());
    assert!(found.is_ok_and(|entries| entries < 16), "an empty last segment ends the log, as in etcd");
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let disk = log();
    let first = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(WalError::Locked { .. })));
    drop(first);
    assert!(open(&disk).is_ok());
}

#[test]
fn snapshots_that_do_not_fit_are_refused() {
    let disk = log();
    let mut wal = open(&disk).unwrap().wal;
    assert!(matches!(
        wal.save_snapshot(&walpb::Snapshot { index: 5, term: 3, conf_state: None }),
        Err(WalError::NoConfState { index: 5 })
    ));
    wal.save_snapshot(&record(5, 3)).unwrap();
    drop(wal);
    let read_at = |index, term| read_all(&disk, Path::new(DIR), &walpb::Snapshot { index, term, conf_state: None });
    assert_eq!(read_at(5, 3).unwrap().entries[0].index, 6);
    assert!(matches!(read_at(5, 4), Err(WalError::SnapshotMismatch { index: 5, wanted: 4, found: 3 })));
    assert!(!read_at(6, 3).unwrap().snapshot_found);
    let at = walpb::Snapshot { index: 6, term: 3, conf_state: None };
    assert!(matches!(wal::verify(&disk, Path::new(DIR), &at), Err(WalError::SnapshotNotFound { index: 6, term: 3 })));
}

#[test]
fn damaged_snapshot_files_are_set_aside_for_the_next_older() {
    let disk = MemDisk::new(1);
    disk.create_dir_all(Path::new("/snap"), 0o700).unwrap();
    let files = SnapFiles::new(shared(&disk), Path::new("/snap"));
    let snapshot = |index| raftpb::Snapshot {
        data: vec![7; 300].into(),
        metadata: Some(raftpb::SnapshotMetadata { conf_state: record(index, 2).conf_state, index, term: 2 }),
    };
    assert_eq!(files.save(&raftpb::Snapshot::default()).unwrap(), None);
    let old = files.save(&snapshot(10)).unwrap().unwrap();
    let new = files.save(&snapshot(20)).unwrap().unwrap();
    assert_eq!(new.file_name().unwrap(), "0000000000000002-0000000000000014.snap");
    assert_eq!(disk.metadata(&new).unwrap().mode, 0o644);
    write(&disk, Path::new("/snap/note.txt"), b"hello");
    assert_eq!(files.load_newest().unwrap().snapshot, Some(snapshot(20)));
    let loaded = files.load_newest_of(&[record(10, 2)]).unwrap();
    assert_eq!(loaded.snapshot, Some(snapshot(10)));
    assert_eq!(loaded.ignored_names, ["note.txt"]);

    let bytes = read(&disk, &new);
    for offset in 0..bytes.len() as u64 {
        for bit in 0..8 {
            let damaged = disk.fork(1);
            damaged.corrupt(&new, offset, 1 << bit).unwrap();
            let loaded = SnapFiles::new(shared(&damaged), Path::new("/snap")).load_newest().unwrap();
            if loaded.snapshot == Some(snapshot(20)) {
                // A bit beyond the 32 of the checksum, in its fifth byte.
                assert_eq!((offset, bit >= 4), (5, true));
                continue;
            }
            assert!(loaded.snapshot == Some(snapshot(10)), "{offset} {bit}");
            assert_eq!(loaded.broken.len(), 1);
            assert!(damaged.exists(Path::new("/snap/0000000000000002-0000000000000014.snap.broken")).unwrap());
        }
    }
    for len in 0..bytes.len() {
        let cut = disk.fork(1);
        write(&cut, &new, &bytes[..len]);
        let loaded = SnapFiles::new(shared(&cut), Path::new("/snap")).load_newest().unwrap();
        assert_eq!(loaded.snapshot, Some(snapshot(10)), "{len}");
    }
    disk.remove_file(&old).unwrap();
    disk.corrupt(&new, 20, 1).unwrap();
    assert_eq!(files.load_newest().unwrap().snapshot, None);
}

/// A cut that never came to its new name leaves the head of a segment, or anything, in the file that the next one takes.
#[test]
fn what_a_leftover_holds_does_not_surface_in_the_next_segment() {
    // However many are saved, so that either file is once the one that the log ends in.
    for (leftover, more) in ["0.tmp", "1.tmp"].into_iter().flat_map(|name| (1..=6).map(move |more| (name, more))) {
        let disk = log();
        write(&disk, &Path::new(DIR).join(leftover), &[0xff; 5000]);
        let opened = open(&disk).unwrap();
        let (before, mut wal) = (opened.contents.entries.len() as u64, opened.wal);
        for index in before + 1..=before + more {
            wal.save(&state(9, 0x1234_5678_9abc, index - 1), &[entry(index, 9, vec![7; 1500])]).unwrap();
        }
        wal.sync().unwrap();
        drop(wal);
        let disk = disk.power_loss();
        let found = open(&disk).unwrap_or_else(|error| panic!("{leftover}, {more} more: {error}"));
        assert_eq!((found.repaired, found.contents.entries.len() as u64), (None, before + more), "{leftover}, {more}");
    }
}
