//! Logs and snapshot files that etcd wrote (`fixtures/`: the meaningful head of each, cut to a multiple of 512), and the
//! first bytes of our own beside those of facts: disk-formats, 2.4.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::Path;

use common::*;
use disk::{Disk, MemDisk, Open};
use prost::Message;
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::{ConfChange, EntryType};
use proto::walpb;
use wal::{Contents, Options, SnapFiles, Wal, read_all, repair, valid_snapshot_records, verify};

const DIR: &str = "/member/wal";
const FIRST: &str = "/member/wal/0000000000000000-0000000000000000.wal";

/// A disk with the log and the snapshot file of a release.
fn fixture(version: &str) -> MemDisk {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let disk = MemDisk::new(1);
    disk.create_dir_all(Path::new(DIR), 0o700).unwrap();
    disk.create_dir_all(Path::new("/member/snap"), 0o700).unwrap();
    let log = std::fs::read(fixtures.join(format!("etcd-{version}.wal"))).unwrap();
    write(&disk, Path::new(FIRST), &log);
    let snap = std::fs::read(fixtures.join(format!("etcd-{version}.snap"))).unwrap();
    write(&disk, Path::new("/member/snap/0000000000000002-0000000000000015.snap"), &snap);
    disk
}

fn check(version: &str, contents: &Contents) {
    assert_eq!(contents.hard_state.term, 2, "{version}");
    let entries = &contents.entries;
    assert!(contents.hard_state.commit <= entries.len() as u64);
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.index == at as u64 + 1));
    assert_eq!(entries[0].entry_type, EntryType::EntryConfChange as i32);
    let change = ConfChange::decode(entries[0].data.clone()).unwrap();
    assert_eq!(change.node_id, contents.identity.node_id);
    let requests = entries[1..].iter().filter(|entry| !entry.data.is_empty());
    let puts: Vec<_> = requests.filter_map(|entry| InternalRaftRequest::decode(entry.data.clone()).ok()?.put).collect();
    let expected: Vec<String> = (1..=30).map(|n| format!("value {n}")).collect();
    assert_eq!(
        puts.iter().map(|put| &put.value[..]).collect::<Vec<_>>(),
        expected.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
}

#[test]
fn logs_of_etcd_are_read_to_their_end() {
    for version in ["3.4.23", "3.5.1"] {
        let disk = fixture(version);
        let contents = read_all(&disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap();
        assert!(contents.snapshot_found);
        assert_eq!(contents.torn_at, None);
        check(version, &contents);
        assert_eq!(verify(&disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap(), contents.hard_state);
        assert_eq!(repair(&disk, Path::new(DIR)).unwrap(), None);
        let opened = Wal::open(shared(&disk), Path::new(DIR), &walpb::Snapshot::default(), Options::default()).unwrap();
        // The end is a zero length word.
        let (file, end) = opened.wal.position();
        let bytes = read(&disk, &file);
        assert_eq!(bytes.len(), 64_000_000);
        assert!(end > 3000 && bytes[end as usize..].iter().all(|byte| *byte == 0));
        assert_ne!(bytes[end as usize - 8..end as usize], [0; 8]);
    }
}

#[test]
fn a_log_of_etcd_is_continued() {
    for version in ["3.4.23", "3.5.1"] {
        let disk = fixture(version);
        let opened = Wal::open(shared(&disk), Path::new(DIR), &walpb::Snapshot::default(), Options::default()).unwrap();
        let before = opened.contents.entries;
        let mut wal = opened.wal;
        let next = entry(before.len() as u64 + 1, 3, b"x".to_vec());
        assert!(wal.save(&state(3, 1, next.index), std::slice::from_ref(&next)).unwrap());
        wal.sync().unwrap();
        drop(wal);
        let after = read_all(&disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap();
        check(version, &Contents { hard_state: state(2, 1, 1), ..after.clone() });
        assert_eq!(after.entries[..before.len()], before);
        assert_eq!(after.entries[before.len()], next);
    }
}

#[test]
fn snapshots_of_etcd_are_loaded_by_their_records() {
    for (version, conf_state_in_record) in [("3.4.23", false), ("3.5.1", true)] {
        let disk = fixture(version);
        let records = valid_snapshot_records(&disk, Path::new(DIR)).unwrap();
        assert_eq!(records.iter().map(|r| (r.index, r.term)).collect::<Vec<_>>(), [(0, 0), (21, 2)], "{version}");
        assert_eq!(records[1].conf_state.is_some(), conf_state_in_record, "{version}");
        let loaded = SnapFiles::new(shared(&disk), Path::new("/member/snap")).load_newest_of(&records).unwrap();
        let snapshot = loaded.snapshot.unwrap();
        let metadata = snapshot.metadata.unwrap();
        assert_eq!((metadata.index, metadata.term), (21, 2));
        assert_eq!(metadata.conf_state.unwrap().voters.len(), 1);
        let tree: serde_json::Value = serde_json::from_slice(&snapshot.data).unwrap();
        assert!(tree["Root"]["Children"]["0"]["Children"]["members"].is_object());

        let after = read_all(&disk, Path::new(DIR), &records[1]).unwrap();
        assert!(after.snapshot_found);
        assert_eq!(after.entries[0].index, 22);
    }
}

#[test]
fn our_first_bytes_are_those_of_etcd() {
    let disk = MemDisk::new(1);
    let (node_id, cluster_id) = (0xba66_6c9e_9574_b341, 0xcc9c_7ddd_2d9d_a7e3);
    drop(Wal::create(shared(&disk), Path::new(DIR), node_id, cluster_id, Options::default()).unwrap());
    let bytes = read(&disk, Path::new(FIRST));
    assert_eq!(bytes.len(), 64_000_000);

    let mut expected = vec![4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 16, 0, 0, 0, 0, 0];
    let mut data = vec![8];
    prost::encoding::encode_varint(node_id, &mut data);
    data.push(16);
    prost::encoding::encode_varint(cluster_id, &mut data);
    let mut frame = |kind: u8, data: &[u8], crc: u32| {
        let mut record = vec![8, kind, 16];
        prost::encoding::encode_varint(crc.into(), &mut record);
        record.extend([0x1a, data.len() as u8]);
        record.extend(data);
        let padding = (8 - record.len() % 8) % 8;
        let flags = if padding == 0 { 0 } else { 0x80 | padding as u8 };
        expected.extend([record.len() as u8, 0, 0, 0, 0, 0, 0, flags]);
        expected.extend(record);
        expected.resize(expected.len() + padding, 0);
    };
    let crc = crc32c::crc32c(&data);
    frame(1, &data, crc);
    let snapshot = [8, 0, 16, 0];
    frame(5, &snapshot, crc32c::crc32c_append(crc, &snapshot));
    assert_eq!(bytes[..expected.len()], expected);
    assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_head_of_a_real_log_is_written_to_the_byte() {
    for version in ["3.4.23", "3.5.1"] {
        let theirs_disk = fixture(version);
        let theirs = read(&theirs_disk, Path::new(FIRST));
        let contents = read_all(&theirs_disk, Path::new(DIR), &walpb::Snapshot::default()).unwrap();
        let ours_disk = MemDisk::new(1);
        let initial = wal::Initial {
            hard_state: state(1, contents.identity.node_id, 1),
            entries: vec![contents.entries[0].clone()],
            snapshot: None,
        };
        let id = &contents.identity;
        let options = Options::default();
        Wal::create_with(shared(&ours_disk), Path::new(DIR), id.node_id, id.cluster_id, &initial, options).unwrap();
        let ours = read(&ours_disk, Path::new(FIRST));
        // crc, metadata, snapshot, the conf change entry.
        let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        assert!(same >= 0x50 + 0x80, "{version}: {same:#x}");
    }
}

#[test]
fn modes_are_those_of_etcd() {
    let disk = MemDisk::new(1);
    drop(Wal::create(shared(&disk), Path::new(DIR), 1, 2, Options::default()).unwrap());
    assert_eq!(disk.metadata(Path::new(DIR)).unwrap().mode, 0o700);
    assert_eq!(disk.metadata(Path::new(FIRST)).unwrap().mode, 0o600);
    assert!(disk.open(Path::new("/member/wal.tmp"), Open::Read).is_err());
}
