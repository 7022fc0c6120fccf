//! Starts from directories in which log, snapshot files and database do not quite fit each other.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::{Disk, MemDisk};
use mvcc::{Bucket, Store};
use node::{BootError, BootOptions, Config};
use proto::raftpb::HardState;
use wal::{Contents, Initial, Wal};

const WAL: &str = "/data/member/wal";
const DB: &str = "/data/member/snap/db";

/// A member that was stopped in good order after some writes; gives their number.
fn stopped(disk: &MemDisk) -> u64 {
    let mut member = start(disk);
    for n in 0..10 {
        member.put(&format!("k{n}"), "v", 0).unwrap();
    }
    member.stop();
    10
}

/// Writes the log anew, from its beginning, with another hard state.
fn rewrite_log(disk: &MemDisk, change: impl Fn(&Contents) -> HardState) -> u64 {
    let contents = wal::read_all(disk, Path::new(WAL), &Default::default()).unwrap();
    let last_index = contents.entries.last().unwrap().index;
    disk.remove_dir_all(Path::new(WAL)).unwrap();
    let initial = Initial { hard_state: change(&contents), entries: contents.entries, snapshot: None };
    let ids = contents.identity;
    let shared = Arc::new(disk.clone());
    let made = Wal::create_with(shared, Path::new(WAL), ids.node_id, ids.cluster_id, &initial, Default::default());
    made.unwrap().close().unwrap();
    last_index
}

fn refusal(disk: &MemDisk) -> BootError {
    Member::start(options(Arc::new(disk.clone()), config())).err().expect("a directory to be refused")
}

/// etcd commits its backend without waiting for the hard state that covers it.
#[test]
fn a_commit_index_behind_the_database_is_raised_before_anything_rests_on_it() {
    let disk = MemDisk::new(1);
    let written = stopped(&disk);
    let last_index = rewrite_log(&disk, |contents| HardState { commit: 3, ..contents.hard_state });
    let member = start(&disk);
    assert_eq!(member.get("k9").as_deref(), Some("v"));
    assert_eq!(member.revision(), 1 + written as i64);
    drop(member);
    // It is in the log already, should the power go now.
    let after = disk.power_loss();
    let contents = wal::read_all(&after, Path::new(WAL), &Default::default()).unwrap();
    assert!(contents.hard_state.commit >= last_index, "{:?}", contents.hard_state);
    let mut member = start(&after);
    assert_eq!(member.get("k9").as_deref(), Some("v"));
    member.put("more", "x", 0).unwrap();
}

#[test]
fn a_log_without_what_it_says_is_committed_is_refused_by_name() {
    let disk = MemDisk::new(2);
    stopped(&disk);
    let last =
        rewrite_log(&disk, |contents| HardState { commit: contents.hard_state.commit + 1, ..contents.hard_state });
    let text = refusal(&disk).to_string();
    let told = format!("tocommit({}) is out of range [lastIndex({last})] in {WAL}. ", last + 1);
    assert_eq!(text, told + "Was the raft log corrupted, truncated, or lost?");
}

#[test]
fn a_removed_member_does_not_start_again() {
    let disk = MemDisk::new(3);
    let mut member = start(&disk);
    member.wait(Duration::from_secs(5));
    let own = member.booted.member_id;
    member.stop();
    let mut store = Store::open(Arc::new(disk.clone()), Path::new(DB), Default::default()).unwrap();
    let mut edit = store.offline();
    edit.clear(Bucket::Members).unwrap();
    edit.put_raw(Bucket::MembersRemoved, format!("{own:x}").as_bytes(), b"removed");
    let committed = store.seal(u64::MAX).unwrap().run().unwrap();
    store.committed(committed);
    drop(store);
    let error = refusal(&disk);
    assert!(matches!(error, BootError::Removed), "{error}");
    assert_eq!(error.to_string(), "the member has been permanently removed from the cluster");
}

/// With a database made anew by the start that missed it, the next one would go on without any data.
#[test]
fn a_missing_database_is_missed_each_time() {
    let disk = MemDisk::new(4);
    let boot = |node: Config| Member::start(BootOptions { ..options(Arc::new(disk.clone()), node) });
    let mut member = boot(Config { snapshot_count: 5, catch_up_entries: 2, ..config() }).unwrap();
    for n in 0..20 {
        member.put("k", &n.to_string(), 0).unwrap();
        member.wait(Duration::from_millis(150));
    }
    assert!(member.booted.node.status().snapshot_index > 0);
    member.stop();
    let db = disk.fork(1);
    disk.remove_file(Path::new(DB)).unwrap();
    for _ in 0..2 {
        let text = refusal(&disk).to_string();
        assert_eq!(text, format!("database file ({DB}) of the backend is missing"));
    }
    // Nor does the log alone make up for it where the snapshot file is gone too.
    for name in disk.list(Path::new("/data/member/snap")).unwrap() {
        disk.remove_file(&Path::new("/data/member/snap").join(name)).unwrap();
    }
    assert!(matches!(refusal(&disk), BootError::DbMissing { .. }));
    assert_eq!(start(&db).get("k").as_deref(), Some("19"));
}

/// The new cluster is there from the moment the forced start has ended, whatever happens next.
#[test]
fn a_forced_new_cluster_outlives_a_power_cut_at_once() {
    let disk = MemDisk::new(5);
    let three = |force_new_cluster| {
        let url = |port: u16| vec![format!("http://localhost:{port}")];
        let member = |name: &str, port| node::InitialMember { name: name.into(), peer_urls: url(port) };
        let initial_cluster = vec![member("default", 2380), member("b", 2480), member("c", 2580)];
        BootOptions { initial_cluster, force_new_cluster, ..options(Arc::new(disk.clone()), config()) }
    };
    let mut member = Member::start(three(false)).unwrap();
    member.wait(Duration::from_secs(1));
    drop(member);
    drop(node::boot(three(true), node::Now { monotonic: Duration::ZERO, unix_millis: 0 }).unwrap());
    let after = disk.power_loss();
    let mut member = start(&after);
    assert_eq!(member.booted.reader.view().members().len(), 1);
    member.put("k", "v", 0).unwrap();
}
