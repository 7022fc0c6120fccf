//! etcd itself on a log that we wrote. `cargo test -p wal --test reference -- --ignored`; the programs are named by
//! `QUORATE_REFERENCE_ETCD` (default `/usr/bin/etcd`) and `QUORATE_REFERENCE_ETCDCTL`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::RealDisk;
use proto::walpb;
use wal::{Contents, Initial, MemberDir, Options, Wal, read_all, valid_snapshot_records};

const CLIENT: &str = "http://127.0.0.1:23431";
const PEER: &str = "http://127.0.0.1:23432";

struct Etcd(Child);

impl Etcd {
    fn start(dir: &Path) -> Etcd {
        let program = std::env::var("QUORATE_REFERENCE_ETCD").unwrap_or("/usr/bin/etcd".into());
        let child = Command::new(program)
            .arg("--data-dir")
            .arg(dir)
            .args(["--listen-client-urls", CLIENT, "--advertise-client-urls", CLIENT])
            .args(["--listen-peer-urls", PEER, "--initial-advertise-peer-urls", PEER])
            .args(["--initial-cluster", &format!("default={PEER}"), "--snapshot-count", "10"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let etcd = Etcd(child);
        let start = Instant::now();
        while ctl(&["endpoint", "health"]).is_none() {
            assert!(start.elapsed() < Duration::from_secs(20), "etcd does not come up on this directory");
            std::thread::sleep(Duration::from_millis(100));
        }
        etcd
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn ctl(args: &[&str]) -> Option<String> {
    let program = std::env::var("QUORATE_REFERENCE_ETCDCTL").unwrap_or("/usr/bin/etcdctl".into());
    let output =
        Command::new(program).env("ETCDCTL_API", "3").args(["--endpoints", CLIENT]).args(args).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn read(dir: &MemberDir) -> Contents {
    let contents = read_all(&RealDisk, dir.wal(), &walpb::Snapshot::default()).unwrap();
    assert!(contents.snapshot_found);
    contents
}

#[test]
#[ignore = "runs the reference program"]
fn etcd_goes_on_from_a_log_that_we_wrote_in_many_segments() {
    let home = tempfile::tempdir().unwrap();
    let dir = MemberDir::new(&home.path().join("d"), None);
    let etcd = Etcd::start(dir.data_dir());
    for n in 0..40 {
        ctl(&["put", &format!("key{n}"), &format!("value {n}")]).unwrap();
    }
    drop(etcd);

    // The same log in small segments.
    let theirs = read(&dir);
    let records = valid_snapshot_records(&RealDisk, dir.wal()).unwrap();
    std::fs::rename(dir.wal(), home.path().join("old")).unwrap();
    let id = &theirs.identity;
    let (first, rest) = theirs.entries.split_first().unwrap();
    let initial = Initial { entries: vec![first.clone()], ..Initial::default() };
    let options = Options { segment_bytes: 1500 };
    let mut wal =
        Wal::create_with(Arc::new(RealDisk), dir.wal(), id.node_id, id.cluster_id, &initial, options).unwrap();
    for entry in rest {
        let state = proto::raftpb::HardState { commit: entry.index.min(theirs.hard_state.commit), ..theirs.hard_state };
        wal.save(&state, std::slice::from_ref(entry)).unwrap();
        for record in records.iter().filter(|record| record.index > 0 && record.index == entry.index) {
            let conf_state = Some(proto::raftpb::ConfState { voters: vec![id.node_id], ..Default::default() });
            wal.save_snapshot(&walpb::Snapshot { conf_state, ..record.clone() }).unwrap();
        }
    }
    wal.prepare_next().unwrap();
    wal.sync().unwrap();
    drop(wal);
    assert!(std::fs::read_dir(dir.wal()).unwrap().count() > 3);

    // etcd reads it, goes on and cuts nothing off.
    let etcd = Etcd::start(dir.data_dir());
    assert_eq!(ctl(&["get", "key7", "--print-value-only"]).unwrap(), "value 7\n");
    let second = Wal::open(Arc::new(RealDisk), dir.wal(), &walpb::Snapshot::default(), Options::default());
    assert!(matches!(second, Err(wal::WalError::Locked { .. })), "etcd's lock and ours see each other");
    ctl(&["put", "after", "us"]).unwrap();
    assert_eq!(ctl(&["get", "after", "--print-value-only"]).unwrap(), "us\n");
    drop(etcd);
    let after = read(&dir);
    assert_eq!(after.entries[..theirs.entries.len()], theirs.entries);
    assert!(after.entries.len() > theirs.entries.len());

    // And we after etcd, with a torn tail in between.
    let last = std::fs::read_dir(dir.wal()).unwrap().map(|entry| entry.unwrap().path());
    let last = last.filter(|path| path.extension().is_some_and(|e| e == "wal")).max().unwrap();
    let end = std::fs::read(&last).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    std::fs::File::options().write(true).open(&last).unwrap().set_len(end as u64 / 8 * 8).unwrap();
    let opened = Wal::open(Arc::new(RealDisk), dir.wal(), &walpb::Snapshot::default(), Options::default()).unwrap();
    assert!(opened.repaired.is_some());
    let mut wal = opened.wal;
    let (state, last_index) = (opened.contents.hard_state, wal.last_index());
    wal.save(&state, &[common::entry(last_index + 1, state.term, Vec::new())]).unwrap();
    wal.close().unwrap();
    let etcd = Etcd::start(dir.data_dir());
    assert_eq!(ctl(&["get", "after", "--print-value-only"]).unwrap(), "us\n");
    drop(etcd);
}

/// Reads a data directory of etcd as it is, say one with many full segments: `QUORATE_WAL_DIR=.../member/wal`.
#[test]
#[ignore = "reads a directory named by QUORATE_WAL_DIR"]
fn a_given_log_is_whole() {
    let dir = std::env::var("QUORATE_WAL_DIR").unwrap();
    let dir = Path::new(&dir);
    let start = Instant::now();
    let records = valid_snapshot_records(&RealDisk, dir).unwrap();
    println!("{} snapshot records, {:?}", records.len(), start.elapsed());
    let at = records.last().cloned().unwrap_or_default();
    let start = Instant::now();
    let contents = read_all(&RealDisk, dir, &at).unwrap();
    let bytes: usize = contents.entries.iter().map(|entry| entry.data.len()).sum();
    println!("{} entries of {bytes} bytes after {}, {:?}", contents.entries.len(), at.index, start.elapsed());
    assert!(contents.snapshot_found);
}
