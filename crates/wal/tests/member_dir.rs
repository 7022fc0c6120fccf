//! The directory of a member: modes, clean-up, purging.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::{Path, PathBuf};

use common::*;
use disk::{Disk, Lock, MemDisk, Open, RealDisk};
use wal::{FileKind, MemberDir, Options, SnapFiles, Wal, WalError};

fn names(paths: &[PathBuf]) -> Vec<&str> {
    paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn paths_are_those_of_etcd() {
    let dir = MemberDir::new(Path::new("/d"), None);
    assert_eq!(dir.wal(), Path::new("/d/member/wal"));
    assert_eq!(dir.db(), Path::new("/d/member/snap/db"));
    let elsewhere = MemberDir::new(Path::new("/d"), Some(Path::new("/fast/wal")));
    assert_eq!(elsewhere.wal(), Path::new("/fast/wal"));
    assert_eq!(elsewhere.snap(), Path::new("/d/member/snap"));
    assert_eq!(MemberDir::new(Path::new("/d"), Some(Path::new(""))).wal(), Path::new("/d/member/wal"));
    let files = SnapFiles::new(std::sync::Arc::new(RealDisk), &dir.snap());
    assert_eq!(files.received_db(0x1f), Path::new("/d/member/snap/000000000000001f.snap.db"));
}

#[test]
fn preparing_makes_private_directories_and_removes_leftovers() {
    let disk = MemDisk::new(1);
    let dir = MemberDir::new(Path::new("/a/b"), None);
    let prepared = dir.prepare(&disk).unwrap();
    assert!(prepared.open_modes.is_empty() && prepared.removed.is_empty());
    let disk = disk.power_loss();
    assert_eq!(disk.metadata(&dir.snap()).unwrap().mode, 0o700);

    for name in ["tmp123", "db.tmp.7", "db", "0000000000000002.snap.db"] {
        write(&disk, &dir.snap().join(name), b"x");
    }
    let prepared = dir.prepare(&disk).unwrap();
    assert_eq!(names(&prepared.removed), ["db.tmp.7", "tmp123"]);
    assert_eq!(disk.list(&dir.snap()).unwrap(), ["0000000000000002.snap.db", "db"]);

    disk.create_dir_all(Path::new("/open/member"), 0o755).unwrap();
    let prepared = MemberDir::new(Path::new("/open"), None).prepare(&disk).unwrap();
    assert_eq!(prepared.open_modes, [(PathBuf::from("/open"), 0o755), (PathBuf::from("/open/member"), 0o755)]);
}

/// A second process waits for the first and tries every moment: it must not clear away what the first is writing.
#[test]
fn what_a_living_process_writes_is_no_leftover() {
    let disk = MemDisk::new(1);
    let dir = MemberDir::new(Path::new("/d"), None);
    dir.prepare(&disk).unwrap();
    let wal = Wal::create(shared(&disk), dir.wal(), 1, 2, Options::default()).unwrap();
    let under_way = dir.snap().join("tmp-0000000000000001-0000000000000005.snap");
    write(&disk, &under_way, b"x");
    for _ in 0..3 {
        assert!(matches!(dir.prepare(&disk), Err(WalError::Locked { .. })));
    }
    assert!(disk.exists(&under_way).unwrap());
    drop(wal);
    assert_eq!(dir.prepare(&disk).unwrap().removed, [under_way]);
    // Who only looked holds nothing.
    Wal::open(shared(&disk), dir.wal(), &Default::default(), Options::default()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_to_is_noticed_at_once() {
    let disk = MemDisk::new(1);
    let dir = MemberDir::new(Path::new("/d"), None);
    dir.prepare(&disk).unwrap();
    disk.set_read_only(true);
    let error = dir.prepare(&disk).unwrap_err();
    assert!(error.to_string().contains("/d/.touch"), "{error}");
}

#[test]
fn purging_takes_the_oldest_and_stops_at_a_lock() {
    let disk = MemDisk::new(1);
    let dir = MemberDir::new(Path::new("/d"), None);
    dir.prepare(&disk).unwrap();
    for index in 1..=7 {
        write(&disk, &dir.snap().join(format!("0000000000000001-{index:016x}.snap")), b"x");
        write(&disk, &dir.snap().join(format!("{index:016x}.snap.db")), b"x");
    }
    write(&disk, &dir.db(), b"x");
    assert_eq!(dir.purge(&disk, FileKind::Snap, 0).unwrap().len(), 0);
    assert_eq!(dir.purge(&disk, FileKind::Snap, 5).unwrap().len(), 2);
    let held = disk.open(&dir.snap().join("0000000000000002.snap.db"), Open::Write).unwrap();
    assert!(held.try_lock(Lock::OpenFileDescription).unwrap());
    let removed = dir.purge(&disk, FileKind::SnapDb, 5).unwrap();
    assert_eq!(names(&removed), ["0000000000000001.snap.db"]);
    assert_eq!(disk.list(&dir.snap()).unwrap().len(), 5 + 6 + 1);
    let files = SnapFiles::new(shared(&disk), &dir.snap());
    assert_eq!(files.release_dbs_before(6).unwrap().len(), 4);
}

#[test]
fn segments_are_purged_only_once_released() {
    let disk = MemDisk::new(1);
    let dir = MemberDir::new(Path::new("/d"), None);
    dir.prepare(&disk).unwrap();
    let mut wal = Wal::create(shared(&disk), dir.wal(), 1, 2, Options { segment_bytes: 1000 }).unwrap();
    for index in 1..=10 {
        wal.save(&state(1, 1, index), &[entry(index, 1, vec![1; 600])]).unwrap();
    }
    wal.sync().unwrap();
    wal.prepare_next().unwrap();
    assert_eq!(disk.list(dir.wal()).unwrap().len(), 7);
    assert_eq!(dir.purge(&disk, FileKind::Wal, 1).unwrap().len(), 0);
    wal.save_snapshot(&record(7, 1)).unwrap();
    wal.release_to(7);
    let removed = dir.purge(&disk, FileKind::Wal, 1).unwrap();
    assert_eq!(removed.len(), 3);
    drop(wal);
    let opened = Wal::open(shared(&disk), dir.wal(), &record(7, 1), Options::default()).unwrap();
    assert_eq!(opened.contents.entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [8, 9, 10]);
    opened.wal.close().unwrap();
}

#[test]
fn the_real_disk_behaves_alike() {
    let home = tempfile::tempdir().unwrap();
    let dir = MemberDir::new(&home.path().join("x.etcd"), None);
    dir.prepare(&RealDisk).unwrap();
    let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(RealDisk);
    let options = Options { segment_bytes: 100_000 };
    let mut wal = Wal::create(disk.clone(), dir.wal(), 1, 2, options).unwrap();
    assert!(matches!(Wal::create(disk.clone(), dir.wal(), 1, 2, options), Err(wal::WalError::Exists { .. })));
    for index in 1..=300 {
        wal.save(&state(1, 1, index), &[entry(index, 1, vec![1; 1000])]).unwrap();
    }
    wal.sync().unwrap();
    assert!(matches!(
        Wal::open(disk.clone(), dir.wal(), &Default::default(), options),
        Err(wal::WalError::Locked { .. })
    ));
    wal.close().unwrap();
    let opened = Wal::open(disk, dir.wal(), &Default::default(), options).unwrap();
    assert_eq!(opened.contents.entries.len(), 300);
    assert_eq!(RealDisk.metadata(dir.wal()).unwrap().mode, 0o700);
}
