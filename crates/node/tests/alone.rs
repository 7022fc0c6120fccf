//! A single member on a disk in memory: bootstrap, restart, crash, snapshots, leases, compaction.

mod common;


use std::time::Duration;

use common::*;
use disk::MemDisk;

use state::Version;

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
