//! A single member on a disk in memory: bootstrap, restart, crash, snapshots, leases, compaction.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::{Disk, MemDisk};
use node::{AutoCompaction, BootOptions, Config, Event, Outcome as NodeOutcome};
use proto::errors::ClientError;
use proto::etcdserverpb::{AlarmRequest, AlarmType, InternalRaftRequest, alarm_request::AlarmAction};
use state::{ApplyError, Outcome, Version};

#[test]
fn a_fresh_member_serves_and_keeps_what_it_acknowledged() {
    let disk = MemDisk::new(1);
    let mut member = start(&disk);
    assert!(member.booted.fresh);
    assert_eq!(format!("{:x}", member.booted.member_id), "8e9e05c52164694d");
    member.put("a", "1", 0).unwrap();
    member.put("b", "2", 0).unwrap();
    member.delete("b").unwrap();
    member.wait(Duration::from_secs(1));
    let view = member.booted.reader.view();
    assert_eq!(view.versions().cluster, Some(Version::V3_7));
    assert_eq!(view.members().iter().next().unwrap().name, "default");
    assert_eq!((member.get("a"), member.get("b")), (Some("1".into()), None));
    assert_eq!(member.revision(), 4);
    drop(view);
    member.put("c", "3", 0).unwrap();
    drop(member);

    let after = disk.power_loss();
    let mut member = start(&after);
    assert!(!member.booted.fresh);
    assert_eq!((member.get("a"), member.get("c")), (Some("1".into()), Some("3".into())));
    assert_eq!(member.revision(), 5);
    member.put("d", "4", 0).unwrap();
    member.stop();

    let member = start(&after);
    assert_eq!(member.get("d"), Some("4".into()));
}

#[test]
fn leases_end_and_take_their_keys() {
    let disk = MemDisk::new(2);
    let mut member = start(&disk);
    member.grant(7, 5).unwrap();
    member.put("leased", "x", 7).unwrap();
    member.wait(Duration::from_secs(4));
    let ticket = member.booted.ids.next();
    member.handle(Event::LeaseKeepAlive { ticket, lease: 7 });
    assert_eq!(member.node_replies[&ticket], NodeOutcome::LeaseRenewed { ttl_secs: Some(5) });
    member.wait(Duration::from_secs(4));
    assert_eq!(member.get("leased").as_deref(), Some("x"));
    // After a restart the lease starts anew, longer by an election timeout.
    drop(member);
    let disk = disk.power_loss();
    let mut member = start(&disk);
    member.wait(Duration::from_secs(5));
    assert_eq!(member.get("leased").as_deref(), Some("x"));
    member.wait(Duration::from_secs(2));
    assert_eq!(member.get("leased"), None);
    assert!(member.booted.reader.view().leases().is_empty());
    let ticket = member.booted.ids.next();
    member.handle(Event::LeaseTimeToLive { ticket, lease: 7 });
    assert_eq!(member.node_replies[&ticket], NodeOutcome::LeaseTimeLeft(None));
}

#[test]
fn snapshots_are_taken_and_old_files_go() {
    let disk = MemDisk::new(3);
    let boot = || BootOptions {
        wal_segment_bytes: 16 << 10,
        wals_max: 2,
        snapshots_max: 2,
        ..options(Arc::new(disk.clone()), Config { snapshot_count: 20, catch_up_entries: 5, ..config() })
    };
    let mut member = Member::start(boot()).unwrap();
    for n in 0..200 {
        member.put(&format!("k{}", n % 10), &"v".repeat(1000), 0).unwrap();
    }
    member.wait(Duration::from_secs(35));
    let names = |dir: &str, suffix: &str| {
        let names = disk.list(Path::new(dir)).unwrap();
        names.iter().filter(|name| name.ends_with(suffix)).count()
    };
    assert_eq!(names("/data/member/snap", ".snap"), 2);
    assert!(names("/data/member/wal", ".wal") <= 3, "{:?}", disk.list(Path::new("/data/member/wal")));
    assert!(member.booted.node.status().snapshot_index > 180);
    let revision = member.revision();
    drop(member);
    let disk = disk.power_loss();
    let options = options(Arc::new(disk.clone()), config());
    let mut member = Member::start(BootOptions { wal_segment_bytes: 16 << 10, ..options }).unwrap();
    assert_eq!(member.revision(), revision);
    member.put("after", "1", 0).unwrap();
}

#[test]
fn compaction_answers_when_swept_if_asked_to_and_space_comes_back() {
    let disk = MemDisk::new(4);
    let mut member = start(&disk);
    for n in 0..2000 {
        member.put(&format!("k{}", n % 10), &"v".repeat(2000), 0).unwrap();
    }
    member.wait(Duration::from_secs(1));
    let size = member.booted.reader.view().size();
    assert!(size > 4 << 20, "{size}");
    let ticket = member.compact(member.revision(), true);
    assert!(!member.replies.contains_key(&ticket), "the sweep has yet to come");
    member.wait(Duration::from_secs(30));
    assert!(member.replies[&ticket].is_ok());
    let ticket = member.booted.ids.next();
    member.defragment(ticket);
    member.wait(Duration::from_secs(2));
    assert_eq!(member.replies[&ticket], Ok(Outcome::Done));
    let size = member.booted.reader.view().size();
    assert!(size < 1 << 20, "{size}");
    assert_eq!(member.get("k3").map(|value| value.len()), Some(2000));
    member.stop();
    assert_eq!(start(&disk).get("k9").map(|value| value.len()), Some(2000));
}

#[test]
fn what_a_compaction_frees_goes_back_to_the_disk_while_nobody_writes() {
    let disk = MemDisk::new(4);
    let mut member = start(&disk);
    for n in 0..2000 {
        member.put(&format!("k{}", n % 10), &"v".repeat(2000), 0).unwrap();
    }
    member.wait(Duration::from_secs(1));
    let file = || disk.metadata(Path::new("/data/member/snap/db")).unwrap().len;
    let full = file();
    assert!(full > 4 << 20, "{full}");
    member.compact(member.revision(), false);
    member.wait(Duration::from_secs(5));
    let view = member.booted.reader.view();
    assert!(view.size_in_use() < 1 << 20, "{}", view.size_in_use());
    assert!(view.size() < 1 << 20, "{}", view.size());
    assert!(file() * 4 < full, "the file has {} bytes after {full}", file());
}

#[test]
fn over_quota_the_alarm_is_raised_and_can_be_lifted() {
    let disk = MemDisk::new(5);
    let boot = BootOptions { quota_backend_bytes: 4 << 20, ..options(Arc::new(disk.clone()), config()) };
    let mut member = Member::start(boot).unwrap();
    let refused = (0..3000).find_map(|n| {
        let reply = member.put(&format!("k{}", n % 10), &"v".repeat(4000), 0);
        if n % 50 == 0 {
            member.wait(Duration::from_millis(200));
        }
        reply.err()
    });
    assert_eq!(refused, Some(ApplyError::Client(ClientError::NoSpace)));
    assert!(member.booted.reader.view().alarms().is_on(AlarmType::Nospace));
    assert!(member.put("small", "x", 0).is_err());
    member.delete("k1").unwrap();
    let ticket = member.compact(member.revision(), false);
    assert!(member.replies[&ticket].is_ok());
    member.wait(Duration::from_secs(10));
    let ticket = member.booted.ids.next();
    member.defragment(ticket);
    member.wait(Duration::from_secs(2));
    let off = AlarmRequest {
        action: AlarmAction::Deactivate as i32,
        member_id: member.booted.member_id,
        alarm: AlarmType::Nospace as i32,
    };
    member.call(InternalRaftRequest { alarm: Some(off), ..InternalRaftRequest::default() }).unwrap();
    member.put("small", "x", 0).unwrap();
}

#[test]
fn automatic_compaction_keeps_the_newest_revisions() {
    let disk = MemDisk::new(6);
    let node = Config { auto_compaction: AutoCompaction::Revision(100), ..config() };
    let mut member = Member::start(options(Arc::new(disk), node)).unwrap();
    for n in 0..150 {
        member.put("k", &n.to_string(), 0).unwrap();
    }
    let revision = member.revision();
    member.wait(Duration::from_secs(299));
    assert_eq!(member.booted.reader.view().compact_revision(), -1);
    member.wait(Duration::from_secs(3));
    assert_eq!(member.booted.reader.view().compact_revision(), revision - 100);
}

#[test]
fn a_cut_at_any_moment_of_the_first_seconds_loses_nothing_acknowledged() {
    for seed in 0..40 {
        for operations in (0..200).step_by(7) {
            let disk = MemDisk::new(seed);
            disk.cut_after(operations);
            let acknowledged = write_until_cut(&disk);
            let after = disk.power_loss();
            let mut member = start(&after);
            for (key, value) in &acknowledged {
                assert_eq!(member.get(key).as_deref(), Some(value.as_str()), "seed {seed}, cut after {operations}");
            }
            member.put("more", "x", 0).unwrap();
        }
    }
}

/// Writes until the power goes; gives what was acknowledged by then.
fn write_until_cut(disk: &MemDisk) -> Vec<(String, String)> {
    let Ok(mut member) = Member::try_start(options(Arc::new(disk.clone()), config())) else { return Vec::new() };
    let mut acknowledged = Vec::new();
    for n in 0..100 {
        let (key, value) = (format!("k{n}"), n.to_string());
        match member.try_put(&key, &value) {
            Some(Ok(_)) => acknowledged.push((key, value)),
            _ => break,
        }
        if n % 10 == 0 {
            member.wait(Duration::from_millis(150));
        }
    }
    acknowledged
}
