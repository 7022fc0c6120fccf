//! A cluster of one goes down a minor version and up again: cluster version, storage, snapshot file, and what an older
//! release finds.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::MemDisk;
use node::{BootOptions, Config};
use proto::etcdserverpb::InternalRaftRequest;
use proto::membershippb::DowngradeInfoSetRequest;
use state::Version;
use state::versions::parse_target;

fn at(disk: &MemDisk, compat: Version) -> BootOptions {
    options(Arc::new(disk.clone()), Config { compat, ..config() })
}

fn enable(member: &mut Member, target: &str) {
    let target = parse_target(target).unwrap();
    member.booted.reader.view().versions().check_downgrade(target).unwrap();
    let set = DowngradeInfoSetRequest { enabled: true, ver: target.to_string() };
    member.call(InternalRaftRequest { downgrade_info_set: Some(set), ..Default::default() }).unwrap();
}

fn versions(member: &Member) -> (Option<Version>, Option<Version>, Option<Version>) {
    let versions = member.booted.reader.view().versions();
    (versions.cluster, versions.storage, versions.downgrade.target)
}

/// One step down, with the member started anew as the target; the job then ends by itself.
fn step_down(disk: &MemDisk, from: Version, to: Version) {
    let mut member = Member::start(at(disk, from)).unwrap();
    member.wait(Duration::from_secs(10));
    member.put("before", "1", 0).unwrap();
    assert_eq!(versions(&member), (Some(from), Some(from), None));
    enable(&mut member, &to.to_string());
    member.wait(Duration::from_secs(15));
    assert_eq!(versions(&member), (Some(to), Some(to), Some(to)), "both follow, and stay while the job is on");
    member.put("meanwhile", "1", 0).unwrap();
    member.stop();

    let mut member = Member::start(at(disk, to)).unwrap();
    assert_eq!(member.get("meanwhile").as_deref(), Some("1"));
    member.wait(Duration::from_secs(15));
    assert_eq!(versions(&member), (Some(to), Some(to), None), "all members run the target");
    member.put("after", "1", 0).unwrap();
    member.stop();
}

#[test]
fn down_two_steps_and_up_again() {
    let disk = MemDisk::new(1);
    step_down(&disk, Version::V3_7, Version::V3_6);
    step_down(&disk, Version::V3_6, Version::V3_5);
    let mut member = Member::start(at(&disk, Version::V3_7)).unwrap();
    member.wait(Duration::from_secs(10));
    assert_eq!(versions(&member), (Some(Version::V3_7), Some(Version::V3_7), None));
    assert_eq!(member.get("after").as_deref(), Some("1"));
    assert_eq!(member.booted.reader.view().members().len(), 1);
}

/// What the target can't read goes out of the log with a snapshot file at once; the storage follows only then.
#[test]
fn the_log_is_cut_off_behind_the_step_down() {
    let disk = MemDisk::new(2);
    let mut member = Member::start(at(&disk, Version::V3_7)).unwrap();
    member.wait(Duration::from_secs(6));
    assert_eq!(member.booted.node.status().snapshot_index, 0);
    enable(&mut member, "3.6");
    member.wait(Duration::from_secs(6));
    let snapshot = member.booted.node.status().snapshot_index;
    assert!(snapshot > 0);
    member.stop();
    let log = wal::read_all(&disk, Path::new("/data/member/wal"), &Default::default()).unwrap();
    let behind = log.entries.iter().filter(|entry| entry.index > snapshot);
    assert!(behind.map(state::versions::required).all(|version| version <= Version::V3_6));
}

/// A member below the cluster version must not take part: it learns of it while it replays its log, and stops.
#[test]
fn a_member_below_the_cluster_version_is_refused() {
    let disk = MemDisk::new(3);
    let mut member = Member::start(at(&disk, Version::V3_5)).unwrap();
    member.wait(Duration::from_secs(6));
    member.stop();
    let member = Member::try_start(at(&disk, Version::V3_4)).unwrap();
    let text = "invalid downgrade; server version is lower than determined cluster version: 3.4.0 runs here, the cluster \
                is at 3.5.0";
    assert_eq!(member.failure.as_deref(), Some(text));
}

/// Nor one that skips a version on the way down.
#[test]
fn two_steps_at_once_are_refused() {
    let disk = MemDisk::new(4);
    let mut member = Member::start(at(&disk, Version::V3_7)).unwrap();
    member.wait(Duration::from_secs(6));
    enable(&mut member, "3.6");
    member.wait(Duration::from_secs(10));
    member.stop();
    let error = Member::start(at(&disk, Version::V3_5)).err().unwrap().to_string();
    assert_eq!(error, "storage version 3.6.0 is newer than this program's 3.5.0");
}
