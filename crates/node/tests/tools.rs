//! The offline tools: a snapshot taken from a member restores into a directory that starts; damage and mistakes are
//! refused in etcd's words.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::{Disk, MemDisk, Open};
use mvcc::HashRule;
use node::restore::{RestoreOptions, defragment, hash_kv, restore, status};
use node::{Config, InitialMember};
use sha2::{Digest, Sha256};

fn write(disk: &MemDisk, path: &str, bytes: &[u8]) {
    let file = disk.open(Path::new(path), Open::Create { mode: 0o600 }).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(0, bytes).unwrap();
    file.sync_all().unwrap();
}

fn read(disk: &MemDisk, path: &str) -> Vec<u8> {
    let file = disk.open(Path::new(path), Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// A member with some history, and the file that `snapshot save` would make of it, at `/snapshot`.
fn with_snapshot(disk: &MemDisk) -> Member {
    let mut member = start(disk);
    member.grant(9, 500).unwrap();
    for n in 0..30 {
        member.put(&format!("k{}", n % 7), &n.to_string(), if n == 29 { 9 } else { 0 }).unwrap();
    }
    member.delete("k3").unwrap();
    member.compact(20, true);
    member.wait(Duration::from_secs(2));
    let mut bytes = member.snapshot();
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    write(disk, "/snapshot", &bytes);
    member
}

fn restoring(disk: &MemDisk, data_dir: &str) -> RestoreOptions {
    let peer_urls = vec!["http://localhost:2380".to_owned()];
    RestoreOptions {
        disk: Arc::new(disk.clone()),
        snapshot: "/snapshot".into(),
        data_dir: data_dir.into(),
        wal_dir: None,
        name: "default".into(),
        initial_cluster: vec![InitialMember { name: "default".into(), peer_urls: peer_urls.clone() }],
        initial_cluster_token: "etcd-cluster".into(),
        peer_urls,
        skip_hash_check: false,
        bump_revision: 0,
        mark_compacted: false,
    }
}

fn start_in(disk: &MemDisk, data_dir: &str) -> Member {
    let options = node::BootOptions { data_dir: data_dir.into(), ..options(Arc::new(disk.clone()), config()) };
    Member::start(options).unwrap()
}

#[test]
fn a_snapshot_restores_and_goes_on() {
    let disk = MemDisk::new(1);
    let member = with_snapshot(&disk);
    let (revision, hash) = {
        let view = member.booted.reader.view();
        (view.revision(), view.hash_kv(0, HashRule::V3_7).unwrap().hash)
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let told = status(shared.clone(), Path::new("/snapshot")).unwrap();
    assert_eq!((told.revision, told.total_keys, told.version.as_str()), (revision, 6, "3.7.0"));
    assert_eq!(hash_kv(shared, Path::new("/snapshot"), 0).unwrap().hash, hash);

    // Looking at the file has left it as it was: the checksum still fits.
    restore(&restoring(&disk, "/restored")).unwrap();
    let mut restored = start_in(&disk, "/restored");
    assert_eq!(restored.revision(), revision);
    assert_eq!(restored.get("k1").as_deref(), Some("29"));
    assert_eq!(restored.booted.reader.view().hash_kv(0, HashRule::V3_7).unwrap().hash, hash);
    assert_eq!(restored.booted.reader.view().leases().len(), 1);
    restored.put("more", "x", 0).unwrap();
    restored.stop();
    assert_eq!(start_in(&disk, "/restored").get("more").as_deref(), Some("x"));
}

#[test]
fn the_revision_can_be_raised() {
    let disk = MemDisk::new(2);
    let revision = with_snapshot(&disk).revision();
    let options = RestoreOptions { bump_revision: 1000, mark_compacted: true, ..restoring(&disk, "/restored") };
    restore(&options).unwrap();
    let mut restored = start_in(&disk, "/restored");
    restored.wait(Duration::from_secs(1));
    assert_eq!(restored.revision(), revision + 1000);
    assert_eq!(restored.booted.reader.view().compact_revision(), revision + 1000);
    assert_eq!(restored.get("k1").as_deref(), Some("29"));
}

#[test]
fn mistakes_and_damage_are_refused() {
    let disk = MemDisk::new(3);
    drop(with_snapshot(&disk));
    let refusal = |options: &RestoreOptions| restore(options).unwrap_err().to_string();
    assert_eq!(refusal(&restoring(&disk, "/data")), "data-dir \"/data\" not empty or could not be read");
    let options = RestoreOptions { name: "x".into(), ..restoring(&disk, "/r1") };
    assert_eq!(refusal(&options), "couldn't find local name \"x\" in the initial cluster configuration");
    let whole = read(&disk, "/snapshot");
    let mut damaged = whole.clone();
    damaged[5000] ^= 1;
    write(&disk, "/snapshot", &damaged);
    assert!(refusal(&restoring(&disk, "/r2")).starts_with("expected sha256 ["));
    // A database copied out of a data directory has no checksum.
    write(&disk, "/snapshot", &whole[..whole.len() - 32]);
    assert_eq!(refusal(&restoring(&disk, "/r3")), "snapshot missing hash but --skip-hash-check=false");
    let options = RestoreOptions { skip_hash_check: true, ..restoring(&disk, "/r4") };
    restore(&options).unwrap();
    write(&disk, "/snapshot", &whole[..100]);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    assert_eq!(status(shared.clone(), Path::new("/snapshot")).unwrap_err().to_string(), "invalid database");
    assert_eq!(
        status(shared, Path::new("/nothing")).unwrap_err().to_string(),
        "stat /nothing: no such file or directory"
    );
}

#[test]
fn a_database_is_defragmented_only_while_nobody_has_it() {
    let disk = MemDisk::new(4);
    let mut member = start(&disk);
    for n in 0..500 {
        member.put(&format!("k{n}"), &"v".repeat(4000), 0).unwrap();
    }
    member.compact(member.revision(), true);
    member.wait(Duration::from_secs(3));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let held = defragment(shared.clone(), Path::new("/data")).unwrap_err().to_string();
    assert_eq!(held, "another process holds /data/member/snap/db");
    member.stop();
    defragment(shared, Path::new("/data")).unwrap();
    assert_eq!(start(&disk).get("k7").map(|value| value.len()), Some(4000));
}

#[test]
fn directories_that_would_lose_something_are_refused() {
    let disk = MemDisk::new(5);
    let mut member = start(&disk);
    member.put("k", "v", 0).unwrap();
    member.wait(Duration::from_secs(1));
    let again = Member::start(options(Arc::new(disk.clone()), config())).err().unwrap().to_string();
    assert!(again.contains("another process holds /data/member/"), "{again}");
    member.stop();
    let other = disk.fork(1);
    other.remove_dir_all(Path::new("/data/member/wal")).unwrap();
    let refusal = Member::start(options(Arc::new(other), config())).err().unwrap().to_string();
    assert!(refusal.contains("but no write-ahead log in /data/member/wal"), "{refusal}");
    let node = Config { name: "other".into(), ..config() };
    let mut wrong = options(Arc::new(MemDisk::new(6)), node);
    wrong.initial_cluster[0].name = "someone".into();
    let refusal = Member::start(wrong).err().unwrap().to_string();
    assert_eq!(refusal, "couldn't find local name \"other\" in the initial cluster configuration");
}

#[test]
fn a_log_that_lost_its_end_is_refused() {
    const LOG: &str = "/data/member/wal/0000000000000000-0000000000000000.wal";
    let disk = MemDisk::new(7);
    let options = || node::BootOptions { wal_segment_bytes: 1 << 20, ..options(Arc::new(disk.clone()), config()) };
    Member::start(options()).unwrap().stop();
    let before = read(&disk, LOG);
    let mut member = Member::start(options()).unwrap();
    member.put("k", "v", 0).unwrap();
    member.stop();
    write(&disk, LOG, &before);
    let refusal = Member::start(options()).err().unwrap().to_string();
    assert!(refusal.ends_with("the log has lost its end"), "{refusal}");
}
