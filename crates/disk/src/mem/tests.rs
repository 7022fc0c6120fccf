//! What MemDisk promises to those who test with it.

use std::collections::BTreeSet;

use super::*;
use crate::Lock;

const SEEDS: u64 = 200;

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn write(disk: &MemDisk, name: &str, data: &[u8]) -> Arc<dyn File> {
    let file = disk.open(path(name), Open::Create { mode: 0o600 }).unwrap();
    file.write_all_at(0, data).unwrap();
    file
}

fn content(disk: &MemDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(path(name), Open::Read).ok()?;
    let mut buf = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(0, &mut buf).unwrap();
    Some(buf)
}

#[test]
fn synced_content_under_a_synced_name_survives() {
    for seed in 0..SEEDS {
        let disk = MemDisk::new(seed);
        write(&disk, "a", &[7; 3000]).sync_data().unwrap();
        disk.sync_dir(path("/")).unwrap();
        let disk = disk.power_loss();
        assert_eq!(content(&disk, "a"), Some(vec![7; 3000]));
    }
}

#[test]
fn synced_content_without_a_durable_name_may_be_lost() {
    let survived: BTreeSet<bool> = (0..SEEDS)
        .map(|seed| {
            let disk = MemDisk::new(seed);
            write(&disk, "a", b"x").sync_data().unwrap();
            content(&disk.power_loss(), "a").is_some()
        })
        .collect();
    assert_eq!(survived.len(), 2);
}

#[test]
fn a_rename_shows_the_old_or_the_new_file_and_never_none() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = MemDisk::new(seed);
        write(&disk, "a", b"old").sync_data().unwrap();
        write(&disk, "b", b"new").sync_data().unwrap();
        disk.sync_dir(path("")).unwrap();
        disk.rename(path("b"), path("a")).unwrap();
        let disk = disk.power_loss();
        let a = content(&disk, "a").unwrap();
        assert_eq!(content(&disk, "b").is_some(), a == b"old");
        seen.insert(a);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn unsynced_writes_tear_at_sectors_only() {
    let mut torn = false;
    for seed in 0..SEEDS {
        let disk = MemDisk::new(seed);
        let file = write(&disk, "a", &[1; 2048]);
        file.sync_data().unwrap();
        disk.sync_dir(path("")).unwrap();
        file.write_all_at(100, &[2; 1800]).unwrap();
        let disk = disk.power_loss();
        let bytes = content(&disk, "a").unwrap();
        let changed: Vec<bool> = (0..4).map(|sector| bytes[sector * 512 + 200] == 2).collect();
        for (sector, changed) in changed.iter().enumerate() {
            let expected = |at: usize| if *changed && (100..1900).contains(&at) { 2 } else { 1 };
            let range = sector * 512..(sector + 1) * 512;
            assert!(range.clone().all(|at| bytes[at] == expected(at)), "seed {seed} sector {sector}");
        }
        torn |= changed.iter().any(|c| *c) && !changed.iter().all(|c| *c);
        assert!(file.read_at(0, &mut [0]).is_err(), "a handle from before the cut");
    }
    assert!(torn);
}

#[test]
fn a_sector_keeps_the_order_of_its_writes() {
    for seed in 0..SEEDS {
        let disk = MemDisk::new(seed);
        let file = write(&disk, "a", &[0; 512]);
        file.sync_data().unwrap();
        disk.sync_dir(path("")).unwrap();
        for n in 0..10 {
            file.write_all_at(n * 8, &[1; 8]).unwrap();
        }
        let bytes = content(&disk.power_loss(), "a").unwrap();
        let written = bytes.iter().take_while(|b| **b == 1).count();
        assert_eq!(written % 8, 0);
        assert!(bytes[written..].iter().all(|b| *b == 0));
    }
}

#[test]
fn unsynced_lengths_are_old_or_new_and_hide_nothing_stale() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = MemDisk::new(seed);
        let file = write(&disk, "a", &[9; 1000]);
        file.sync_data().unwrap();
        disk.sync_dir(path("")).unwrap();
        file.set_len(600).unwrap();
        file.allocate(5000).unwrap();
        let bytes = content(&disk.power_loss(), "a").unwrap();
        assert!(bytes[..600].iter().all(|b| *b == 9));
        if bytes.len() == 5000 {
            assert!(bytes[600..].iter().all(|b| *b == 0), "seed {seed}");
        }
        lengths.insert(bytes.len());
    }
    assert_eq!(lengths, BTreeSet::from([600, 1000, 5000]));
}

#[test]
fn the_power_goes_during_the_chosen_operation() {
    for operations in 0..3 {
        let disk = MemDisk::new(1);
        disk.cut_after(operations);
        let file = disk.open(path("a"), Open::CreateNew { mode: 0o600 });
        let Ok(file) = file else {
            assert_eq!(operations, 0);
            continue;
        };
        assert_eq!(file.write_all_at(0, b"x").is_ok(), operations > 1);
        assert!(file.sync_data().is_err());
        assert!(disk.is_cut());
        assert!(disk.list(path("")).is_err());
        assert!(disk.power_loss().list(path("")).is_ok());
    }
}

#[test]
fn killing_loses_nothing_but_handles_and_locks() {
    let disk = MemDisk::new(1);
    let file = write(&disk, "a", b"abc");
    assert!(file.try_lock(Lock::OpenFileDescription).unwrap());
    let disk = disk.kill();
    assert_eq!(content(&disk, "a"), Some(b"abc".to_vec()));
    assert!(file.write_all_at(0, b"x").is_err());
    let again = disk.open(path("a"), Open::Write).unwrap();
    assert!(again.try_lock(Lock::OpenFileDescription).unwrap());
    drop(file);
    let third = disk.open(path("a"), Open::Write).unwrap();
    assert!(!third.try_lock(Lock::OpenFileDescription).unwrap());
    assert!(third.try_lock(Lock::FlockShared).unwrap());
    assert!(!again.try_lock(Lock::FlockExclusive).unwrap());
    drop(again);
    assert!(third.try_lock(Lock::OpenFileDescription).unwrap());
}

#[test]
fn a_full_device_refuses_and_recovers() {
    let disk = MemDisk::new(1);
    disk.set_capacity(Some(8 * 4096));
    let file = write(&disk, "a", &[1; 4096]);
    let full = file.allocate(64_000_000).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    file.allocate(4 * 4096).unwrap();
    write(&disk, "b", &[1; 4 * 4096]);
    assert_eq!(disk.used(), 8 * 4096);
    assert!(file.write_all_at(4 * 4096, b"x").is_err());
    file.write_all_at(2 * 4096, b"x").unwrap();
    disk.remove_file(path("b")).unwrap();
    assert_eq!(disk.used(), 8 * 4096, "the name is gone, but not durably");
    disk.sync_dir(path("")).unwrap();
    file.write_all_at(4 * 4096, b"x").unwrap();
    assert_eq!(disk.used(), 5 * 4096);
}

#[test]
fn a_failed_sync_leaves_what_no_later_sync_makes_durable() {
    let lost = (0..SEEDS).any(|seed| {
        let disk = MemDisk::new(seed);
        let file = write(&disk, "a", b"old");
        file.sync_data().unwrap();
        disk.sync_dir(path("")).unwrap();
        file.write_all_at(0, b"new").unwrap();
        disk.inject(Fault { operation: Operation::Sync, after: 0, times: 1, error: io::ErrorKind::Other });
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(content(&disk, "a").unwrap(), b"new");
        content(&disk.power_loss(), "a").unwrap() == b"old"
    });
    assert!(lost);
}

#[test]
fn directories_move_whole_and_preallocation_costs_no_memory() {
    let disk = MemDisk::new(3);
    disk.create_dir_all(path("m/wal.tmp"), 0o700).unwrap();
    let file = write(&disk, "m/wal.tmp/0", b"x");
    file.allocate(1 << 40).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(path("m/wal.tmp")).unwrap();
    disk.rename(path("m/wal.tmp"), path("m/wal")).unwrap();
    disk.sync_dir(path("m")).unwrap();
    disk.sync_dir(path("")).unwrap();
    let disk = disk.power_loss();
    assert_eq!(disk.list(path("m")).unwrap(), ["wal"]);
    assert_eq!(disk.metadata(path("m/wal/0")).unwrap().len, 1 << 40);
    assert_eq!(disk.metadata(path("/m/wal")).unwrap(), Metadata { len: 0, is_dir: true, mode: 0o700 });
    disk.remove_dir_all(path("m")).unwrap();
    assert_eq!(disk.list(path("")).unwrap(), [""; 0]);
}

#[test]
fn the_same_seed_gives_the_same_survivor() {
    let survivor = |seed| {
        let disk = MemDisk::new(5);
        write(&disk, "a", &[1; 10_000]);
        let disk = disk.fork(seed);
        content(&disk.power_loss(), "a")
    };
    assert!((0..20).all(|seed| survivor(seed) == survivor(seed)));
    assert!((0..20).any(|seed| survivor(seed) != survivor(seed + 1)));
}
