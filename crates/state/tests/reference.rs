//! The log of a real etcd, replayed here, gives the database that etcd has.
//!
//! `QUORATE_ETCD_3_4` and `QUORATE_ETCD_3_5` name the programs, beside which `etcdctl` lies; `reference.sh` lets each of them
//! make a data directory of a single member. The v2 tree of each snapshot file is compared as well. Without either the test
//! says on standard error that it is left out, and passes.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::Machine;
use disk::{Disk, Open, RealDisk};
use state::{Answer, Version};

type Pairs = BTreeMap<(String, Vec<u8>), Vec<u8>>;

fn pairs(disk: Arc<dyn Disk>, db: &Path) -> Pairs {
    let options = bolt::Options { read_only: true, ..Default::default() };
    let tx = bolt::Db::open(disk, db, options).unwrap().read();
    let mut all = Pairs::new();
    for name in tx.buckets().unwrap() {
        let mut cursor = tx.bucket(&name).unwrap().unwrap().cursor();
        let mut pair = cursor.first().unwrap();
        while let Some((key, value)) = pair {
            all.insert((String::from_utf8(name.to_vec()).unwrap(), key.to_vec()), value.to_vec());
            pair = cursor.next().unwrap();
        }
    }
    all
}

/// The v2 JSON of each snapshot file, by index.
fn snapshots(dir: &Path) -> BTreeMap<u64, Vec<u8>> {
    let dir = dir.join("member/snap");
    let files = wal::SnapFiles::new(Arc::new(RealDisk), &dir);
    let names = RealDisk.list(&dir).unwrap().into_iter().filter(|name| name.ends_with(".snap"));
    let read = names.map(|name| files.read(&dir.join(name)).unwrap());
    read.map(|snapshot| (snapshot.metadata.unwrap().index, snapshot.data.to_vec())).collect()
}

/// A tree without its counters of reads and of watchers, and without the seconds that were left when an event came:
/// these are each member's own.
fn tree(json: &[u8]) -> String {
    let text = String::from_utf8(json.to_vec()).unwrap().replace(",\"ttl\":1", "");
    let (tree, stats) = text.split_once(",\"Stats\":").unwrap();
    let own = ["gets", "watchers"];
    let counters: Vec<_> = stats.split(',').filter(|c| !own.iter().any(|word| c.contains(word))).collect();
    format!("{tree}{counters:?}")
}

#[test]
fn logs_of_etcd_give_the_databases_of_etcd() {
    let named = ["QUORATE_ETCD_3_4", "QUORATE_ETCD_3_5"].into_iter().filter_map(std::env::var_os);
    let programs: Vec<PathBuf> = named.map(PathBuf::from).collect();
    let line = match programs.as_slice() {
        [] => "\n*** LEFT OUT: no etcd to make logs for a replay (QUORATE_ETCD_3_4, QUORATE_ETCD_3_5) ***".to_owned(),
        some => format!("logs of {some:?} are replayed"),
    };
    // Past the test runner, which hides the output of tests that pass.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("etcd-logs-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    for (at, program) in programs.iter().enumerate() {
        let dir = home.join(at.to_string());
        make(program, &dir);
        compare(&dir);
    }
    std::fs::remove_dir_all(&home).unwrap();
}

/// Lets etcd work in this directory.
fn make(program: &Path, dir: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.sh");
    let ctl = program.with_file_name("etcdctl");
    let output = Command::new("sh").arg(script).args([program, &ctl, dir]).arg(free_port()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The first of two ports in a row that nobody listens on.
fn free_port() -> String {
    let start = 27_000 + (std::process::id() % 1_000) as u16 * 4;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let port = (start..start + 1_000).find(|port| is_free(*port) && is_free(port + 1));
    port.expect("one of a thousand is free").to_string()
}

fn compare(dir: &Path) {
    let disk = Arc::new(RealDisk);
    let contents = wal::read_all(&*disk, &dir.join("member/wal"), &Default::default()).unwrap();
    let theirs = pairs(disk, &dir.join("member/snap/db"));
    // 3.4 writes no term, and salts passwords on each member anew.
    let is_3_4 = !theirs.contains_key(&("meta".to_owned(), b"term".to_vec()));
    let release = if is_3_4 { Version::V3_4 } else { Version::V3_5 };
    let mut machine = Machine::new(release, Answer::Wanted);
    let snapshots = snapshots(dir);
    for entry in contents.entries.into_iter().filter(|entry| entry.index <= contents.hard_state.commit) {
        let index = entry.index;
        machine.apply(entry);
        if let Some(theirs) = snapshots.get(&index) {
            let ours = machine.state.snapshot_json();
            assert_eq!(tree(&ours), tree(theirs), "{}: snapshot at {index}", dir.display());
        }
    }
    machine.digest();
    machine.commit();
    let ours = pairs(Arc::new(machine.disk.kill()), Path::new(common::DB));
    let mut differences = 0;
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let (a, b) = (ours.get(key), theirs.get(key));
        // Below 3.6 the bucket is no authority, and 3.5.1 leaves out what the members tell of themselves.
        let is_member = key.0 == "members" && a.is_some() && b.is_some();
        let may_differ = is_member || (is_3_4 && (key.0 == "authUsers" || key.1 == b"consistent_index"));
        if a != b && !may_differ {
            differences += 1;
            let show = |v: Option<&Vec<u8>>| v.map(|v| v.escape_ascii().to_string());
            println!("{} {}: ours {:?}, etcd's {:?}", key.0, key.1.escape_ascii(), show(a), show(b));
        }
    }
    assert_eq!(differences, 0, "{}", dir.display());
    go_on_from_theirs(dir, machine, is_3_4);
    assert!(ours.len() > 20, "{} holds too little to tell anything", dir.display());
}

/// Opens etcd's own file, replays the log over it as a restart does, and goes on: the same as if all had been ours.
fn go_on_from_theirs(dir: &Path, mut ours: Machine, is_3_4: bool) {
    let mut theirs = Machine::new(ours.release, Answer::Unwanted);
    theirs.log = ours.log.clone();
    let db = std::fs::read(dir.join("member/snap/db")).unwrap();
    let file = theirs.disk.open(Path::new(common::DB), Open::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(0, &db).unwrap();
    theirs.reopen();
    let put = proto::etcdserverpb::PutRequest { key: "on".into(), ..Default::default() };
    let request = proto::etcdserverpb::InternalRaftRequest { put: Some(put), ..Default::default() };
    ours.request(request.clone());
    theirs.request(request);
    // Only with 3.4 do passwords differ, and with them the hash.
    let digest = |machine: &mut Machine| match machine.digest() {
        text if is_3_4 => text.split_once(" rev ").unwrap().1.to_owned(),
        text => text,
    };
    assert_eq!(digest(&mut ours), digest(&mut theirs), "{}", dir.display());
}
