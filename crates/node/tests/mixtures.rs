//! Starts from mixtures of log, snapshot files and databases, as crashes, copies and clean-ups leave them.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::{Disk, MemDisk, Open};
use node::{Batch, BootError, BootOptions, Config, Note, Now, ReceivingDb, SnapshotTo, boot};
use proto::raftpb::{HardState, Message};
use state::Version;

const SNAP: &str = "/data/member/snap";

fn boot_options(disk: &MemDisk, compat: Version) -> BootOptions {
    let node = Config { compat, snapshot_count: 20, catch_up_entries: 5, ..config() };
    options(Arc::new(disk.clone()), node)
}

/// A member with several snapshot files and entries behind the last, stopped in good order.
fn used(compat: Version) -> MemDisk {
    let disk = MemDisk::new(1);
    let mut member = Member::start(boot_options(&disk, compat)).unwrap();
    for n in 0..90 {
        member.put(&format!("k{}", n % 7), &n.to_string(), 0).unwrap();
        if n % 10 == 0 {
            member.wait(Duration::from_secs(1));
        }
    }
    member.stop();
    assert!(snapshots(&disk).len() >= 3);
    disk
}

/// Snapshot files, newest first.
fn snapshots(disk: &MemDisk) -> Vec<PathBuf> {
    let mut names = disk.list(Path::new(SNAP)).unwrap();
    names.retain(|name| name.ends_with(".snap"));
    names.sort();
    names.iter().rev().map(|name| Path::new(SNAP).join(name)).collect()
}

fn write(disk: &MemDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, Open::Create { mode: 0o644 }).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(0, bytes).unwrap();
}

/// It starts, has everything, and goes on.
fn starts_whole(disk: &MemDisk, compat: Version) -> Vec<Note> {
    let mut member = Member::start(boot_options(disk, compat)).unwrap();
    assert_eq!(member.get("k5").as_deref(), Some("89"));
    let members: Vec<String> = member.booted.reader.view().members().iter().map(|m| m.name.clone()).collect();
    assert_eq!(members, ["default"]);
    assert_eq!(member.booted.reader.view().versions().cluster, Some(compat));
    member.put("more", "1", 0).unwrap();
    member.wait(Duration::from_secs(1));
    let notes = member.booted.notes.clone();
    member.stop();
    notes
}

#[test]
fn snapshot_files_may_be_missing_or_broken() {
    for compat in [Version::V3_5, Version::V3_7] {
        let disk = used(compat);
        let untouched = disk.fork(1);
        starts_whole(&untouched, compat);

        let without_newest = disk.fork(2);
        without_newest.remove_file(&snapshots(&without_newest)[0]).unwrap();
        starts_whole(&without_newest, compat);

        let broken = disk.fork(3);
        let newest = snapshots(&broken)[0].clone();
        write(&broken, &newest, b"no snapshot");
        let notes = starts_whole(&broken, compat);
        let is_set_aside = |note: &Note| matches!(note, Note::BrokenSnapshot { path, .. } if path.starts_with(SNAP));
        assert!(notes.iter().any(is_set_aside), "{notes:?}");
        let names = broken.list(Path::new(SNAP)).unwrap();
        assert!(names.iter().any(|name| name.ends_with(".broken")), "{names:?}");

        let without_any = disk.fork(4);
        snapshots(&without_any).iter().for_each(|path| without_any.remove_file(path).unwrap());
        starts_whole(&without_any, compat);
    }
}

#[test]
fn leftovers_do_no_harm() {
    let disk = used(Version::V3_7);
    let snap = Path::new(SNAP);
    for name in ["tmp123", "db.tmp.7", "0000000000000002.snap.db", "strange"] {
        write(&disk, &snap.join(name), b"x");
    }
    let notes = starts_whole(&disk, Version::V3_7);
    let removed = |name: &str| notes.contains(&Note::Removed { path: snap.join(name) });
    assert!(removed("tmp123") && removed("0000000000000002.snap.db"), "{notes:?}");
    assert!(notes.contains(&Note::Ignored { name: "strange".into() }), "{notes:?}");
}

/// A database put back from an old copy lacks what the snapshot stands for.
#[test]
fn a_database_older_than_the_snapshot_is_refused() {
    let disk = MemDisk::new(1);
    let mut member = Member::start(boot_options(&disk, Version::V3_7)).unwrap();
    member.put("k", "v", 0).unwrap();
    member.wait(Duration::from_secs(1));
    let old = disk.fork(1).kill();
    for n in 0..60 {
        member.put("k", &n.to_string(), 0).unwrap();
    }
    member.wait(Duration::from_secs(1));
    member.stop();
    let db = Path::new(SNAP).join("db");
    let copy = old.open(&db, Open::Read).unwrap();
    let mut bytes = vec![0; copy.len().unwrap() as usize];
    copy.read_exact_at(0, &mut bytes).unwrap();
    write(&disk, &db, &bytes);
    let error = Member::start(boot_options(&disk, Version::V3_7)).err().unwrap();
    assert!(matches!(error, BootError::ReceivedDbMissing { .. }), "{error}");
}

/// Killed after the snapshot of the leader was recorded in the log, and before it was installed: the start installs it.
#[test]
fn a_received_snapshot_is_installed_at_the_start() {
    let disk = MemDisk::new(1);
    let mut ahead = start(&disk);
    ahead.put("k", "old", 0).unwrap();
    ahead.wait(Duration::from_secs(1));
    let behind = disk.fork(1).kill();
    for n in 0..30 {
        ahead.put("k", &n.to_string(), 0).unwrap();
    }
    ahead.snapshot_for(Message { to: 9, ..Message::default() });
    let ready = ahead.snapshots.pop().unwrap();
    let SnapshotTo::Peer(message) = ready.to else { panic!("not for a peer") };
    let snapshot = message.snapshot.unwrap();
    let metadata = snapshot.metadata.clone().unwrap();

    let now = Now { monotonic: Duration::from_secs(1), unix_millis: 1_700_000_000_000 };
    let mut booted = boot(options(Arc::new(behind.clone()), config()), now).unwrap();
    let (mut whole, mut chunks) = (Vec::new(), ready.source.stream());
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        whole.extend_from_slice(&chunk);
    }
    let receive = |bytes: &[u8]| {
        let mut receiving = ReceivingDb::begin(Arc::new(behind.clone()), &booted.dir, metadata.index, 0).unwrap();
        receiving.write(bytes).unwrap();
        receiving.finish()
    };
    // No whole database is refused while there is a way back, and nothing of it is kept.
    for cut in [0, whole.len() / 2] {
        assert_eq!(receive(&whole[..cut]).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    }
    receive(&whole).unwrap();
    let hard_state = Some(HardState { term: metadata.term, vote: 0, commit: metadata.index });
    let batch = Batch { seq: 1, snapshot: Some(Arc::new(snapshot)), hard_state, ..Batch::default() };
    booted.log_writer.append(batch).unwrap();
    booted.log_writer.sync().unwrap();
    drop(booted);

    let after = behind.power_loss();
    let mut member = start(&after);
    assert!(member.booted.notes.contains(&Note::InstalledDb { index: metadata.index }));
    assert_eq!(member.get("k").as_deref(), Some("29"));
    member.put("k", "on", 0).unwrap();
}
