//! etcd itself on logs that we wrote, and we on logs of etcd with several full segments.
//!
//! `QUORATE_ETCD_3_4` and `QUORATE_ETCD_3_5` name the programs, beside which `etcdctl` lies. Without either the tests say on
//! standard error that they are left out, and pass.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use disk::RealDisk;
use prost::Message as _;
use proto::etcdserverpb as pb;
use proto::walpb;
use wal::{Contents, Initial, MemberDir, Options, Wal, read_all, valid_snapshot_records};

/// The releases at hand.
fn programs() -> Vec<PathBuf> {
    let named = ["QUORATE_ETCD_3_4", "QUORATE_ETCD_3_5"].into_iter().filter_map(std::env::var_os);
    let programs: Vec<PathBuf> = named.map(PathBuf::from).collect();
    let line = match programs.as_slice() {
        [] => "\n*** LEFT OUT: no etcd to exchange logs with (QUORATE_ETCD_3_4, QUORATE_ETCD_3_5) ***".to_owned(),
        some => format!("logs are exchanged with {some:?}"),
    };
    // Past the test runner, which hides the output of tests that pass.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    programs
}

/// Two ports that nobody listens on, and that no other test of this program is given.
fn free_ports() -> [u16; 2] {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let start = 23_000 + (std::process::id() % 1_000) as u16 * 8;
    let next = || loop {
        let port = start + GIVEN.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    };
    [next(), next()]
}

struct Etcd {
    program: PathBuf,
    child: Child,
    client: String,
}

impl Etcd {
    fn start(program: &Path, dir: &Path) -> Etcd {
        let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
        // What the log says of the member's own URL need not be what it listens on.
        let founded = "http://127.0.0.1:23999";
        let child = Command::new(program)
            .arg("--data-dir")
            .arg(dir)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", founded])
            .args(["--initial-cluster", &format!("default={founded}"), "--snapshot-count", "10"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let etcd = Etcd { program: program.to_path_buf(), child, client };
        let start = Instant::now();
        while etcd.try_ctl(&["endpoint", "health"], b"").is_none() {
            assert!(start.elapsed() < Duration::from_secs(30), "{} does not come up on this log", program.display());
            std::thread::sleep(Duration::from_millis(100));
        }
        etcd
    }

    fn ctl(&self, args: &[&str]) -> String {
        self.try_ctl(args, b"").unwrap_or_else(|| panic!("etcdctl {args:?}"))
    }

    fn try_ctl(&self, args: &[&str], input: &[u8]) -> Option<String> {
        let mut child = Command::new(self.program.with_file_name("etcdctl"))
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.client])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Whoever reads no input may be gone already.
        drop(child.stdin.take().unwrap().write_all(input));
        let output = child.wait_with_output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

impl Etcd {
    /// Stops it in good order: one that is killed may leave half a record.
    fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn read(dir: &MemberDir) -> Contents {
    let contents = read_all(&RealDisk, dir.wal(), &walpb::Snapshot::default()).unwrap();
    assert!(contents.snapshot_found);
    contents
}

#[test]
fn etcd_goes_on_from_a_log_that_we_wrote_in_many_segments() {
    programs().iter().for_each(|program| exchange(program));
}

fn exchange(program: &Path) {
    let home = tempfile::tempdir().unwrap();
    let dir = MemberDir::new(&home.path().join("d"), None);
    let etcd = Etcd::start(program, dir.data_dir());
    for n in 0..40 {
        etcd.ctl(&["put", &format!("key{n}"), &format!("value {n}")]);
    }
    etcd.stop();

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
    let etcd = Etcd::start(program, dir.data_dir());
    assert_eq!(etcd.ctl(&["get", "key7", "--print-value-only"]), "value 7\n");
    let second = Wal::open(Arc::new(RealDisk), dir.wal(), &walpb::Snapshot::default(), Options::default());
    assert!(matches!(second, Err(wal::WalError::Locked { .. })), "etcd's lock and ours see each other");
    etcd.ctl(&["put", "after", "us"]);
    assert_eq!(etcd.ctl(&["get", "after", "--print-value-only"]), "us\n");
    etcd.stop();
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
    let etcd = Etcd::start(program, dir.data_dir());
    assert_eq!(etcd.ctl(&["get", "after", "--print-value-only"]), "us\n");
    etcd.stop();
}

/// The chain of checksums across segments that etcd filled and cut; we go on, cutting one ourselves, and etcd after us.
#[test]
fn full_segments_go_from_one_to_the_other() {
    programs().iter().for_each(|program| full_segments(program));
}

fn full_segments(program: &Path) {
    let home = tempfile::tempdir().unwrap();
    let dir = MemberDir::new(&home.path().join("d"), None);
    let value = vec![b'v'; 1_400_000];
    let etcd = Etcd::start(program, dir.data_dir());
    for n in 0..100 {
        assert!(etcd.try_ctl(&["put", &format!("key{n}")], &value).is_some());
    }
    etcd.stop();
    let theirs = read(&dir);
    assert_eq!(segments(&dir), 3, "two were filled");
    for at in valid_snapshot_records(&RealDisk, dir.wal()).unwrap() {
        let after = read_all(&RealDisk, dir.wal(), &at).unwrap();
        assert!(after.snapshot_found && after.torn_at.is_none());
        assert_eq!(after.entries, theirs.entries[at.index as usize..]);
    }

    let opened = Wal::open(Arc::new(RealDisk), dir.wal(), &walpb::Snapshot::default(), Options::default()).unwrap();
    assert_eq!(opened.repaired, None);
    let (mut wal, mut state) = (opened.wal, opened.contents.hard_state);
    for n in 0..60 {
        let (key, value) = (format!("ours{n}").into(), value.clone().into());
        let header = Some(pb::RequestHeader { id: 1_000 + n, ..Default::default() });
        let put = Some(pb::PutRequest { key, value, ..Default::default() });
        let request = pb::InternalRaftRequest { header, put, ..Default::default() };
        let next = common::entry(wal.last_index() + 1, state.term, request.encode_to_vec());
        state.commit = next.index;
        wal.save(&state, std::slice::from_ref(&next)).unwrap();
    }
    wal.close().unwrap();
    assert_eq!(segments(&dir), 4, "one was filled by us");
    let etcd = Etcd::start(program, dir.data_dir());
    assert_eq!(etcd.ctl(&["get", "ours59", "--print-value-only"]).len(), value.len() + 1);
    assert!(etcd.ctl(&["get", "", "--from-key", "--keys-only"]).contains("ours0\n"));
}

fn segments(dir: &MemberDir) -> usize {
    let names = std::fs::read_dir(dir.wal()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".wal")).count()
}
