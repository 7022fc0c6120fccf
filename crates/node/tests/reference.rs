//! Directories that real etcd 3.4.23 and 3.5.1 left behind (`fixtures/README.md`) open here, hold what they held there,
//! and go on.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::{Disk, MemDisk, Open};
use mvcc::HashRule;
use node::{BootOptions, Config};
use state::Version;

/// A fixture on a disk in memory.
fn load(name: &str) -> MemDisk {
    let disk = MemDisk::new(1);
    let (wal, snap) = (PathBuf::from("/data/member/wal"), PathBuf::from("/data/member/snap"));
    disk.create_dir_all(&wal, 0o700).unwrap();
    disk.create_dir_all(&snap, 0o700).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let dir = if path.extension().is_some_and(|extension| extension == "wal") { &wal } else { &snap };
        let file = disk.open(&dir.join(path.file_name().unwrap()), Open::CreateNew { mode: 0o600 }).unwrap();
        file.write_all_at(0, &std::fs::read(&path).unwrap()).unwrap();
        file.sync_all().unwrap();
    }
    for dir in ["/", "/data", "/data/member", "/data/member/wal", "/data/member/snap"] {
        disk.sync_dir(Path::new(dir)).unwrap();
    }
    disk
}

fn capped(disk: &MemDisk, version: Version) -> BootOptions {
    options(Arc::new(disk.clone()), Config { compat: version, ..config() })
}

fn check(member: &Member, hash: u32, rule: HashRule, id: u64) {
    assert_eq!(member.booted.member_id, id);
    assert!(!member.booted.fresh);
    let view = member.booted.reader.view();
    let found = view.hash_kv(15, rule).unwrap();
    assert_eq!((found.hash, found.compact_revision), (hash, 5));
    assert_eq!(member.get("a1").as_deref(), Some("second"));
    assert_eq!((member.get("a2"), member.get("b5").as_deref()), (None, Some("w5")));
    let lease = view.leases().iter().next().unwrap();
    assert_eq!((lease.ttl_secs, lease.keys.len()), (1000, 1));
    assert_eq!(view.members().iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["default"]);
}

fn goes_on(name: &str, version: Version, hash: u32, rule: HashRule, id: u64) {
    let disk = load(name);
    let mut member = Member::start(capped(&disk, version)).unwrap();
    check(&member, hash, rule, id);
    assert_eq!(member.revision(), 15);
    member.put("new", "1", 0).unwrap();
    member.wait(Duration::from_secs(5));
    assert_eq!(member.booted.reader.view().versions().cluster, Some(version), "capped");
    drop(member);
    let disk = disk.power_loss();
    let mut member = Member::start(capped(&disk, version)).unwrap();
    check(&member, hash, rule, id);
    assert_eq!(member.get("new").as_deref(), Some("1"));
    // Enough for snapshots of our own.
    for n in 0..50 {
        member.put("many", &n.to_string(), 0).unwrap();
    }
    member.stop();
    let member = Member::start(capped(&disk, version)).unwrap();
    check(&member, hash, rule, id);
    assert_eq!(member.get("many").as_deref(), Some("49"));
}

#[test]
fn a_directory_of_3_4_goes_on() {
    goes_on("etcd-3.4.23", Version::V3_4, 1_385_554_352, HashRule::V3_4, 13_922_825_120_356_555_596);
}

#[test]
fn a_directory_of_3_5_goes_on() {
    goes_on("etcd-3.5.1", Version::V3_5, 4_070_995_081, HashRule::V3_5, 14_110_398_080_384_419_260);
}

#[test]
fn a_directory_of_3_5_is_raised_to_the_newest() {
    let disk = load("etcd-3.5.1");
    let mut member = Member::start(options(Arc::new(disk.clone()), config())).unwrap();
    member.wait(Duration::from_secs(10));
    let view = member.booted.reader.view();
    assert_eq!(view.versions().cluster, Some(Version::V3_7));
    assert_eq!(view.versions().storage, Some(Version::V3_7));
    drop(view);
    member.put("new", "1", 0).unwrap();
    member.stop();
    let member = Member::start(options(Arc::new(disk), config())).unwrap();
    assert_eq!(member.get("new").as_deref(), Some("1"));
    assert_eq!(member.booted.reader.view().members().len(), 1);
}

/// A newer cluster refuses an older program.
#[test]
fn a_raised_directory_refuses_an_older_release() {
    let disk = load("etcd-3.5.1");
    let mut member = Member::start(options(Arc::new(disk.clone()), config())).unwrap();
    member.wait(Duration::from_secs(10));
    member.stop();
    let error = Member::start(capped(&disk, Version::V3_5)).err().unwrap().to_string();
    assert_eq!(error, "storage version 3.7.0 is newer than this program's 3.5.0");
}
