//! Files and answers of real servers (see etcd/record.sh): what they answered, we answer over their file, and over
//! their file of an earlier step with the compactions done by us, before, during and after the sweep.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, MemDisk, Open};
use mvcc::{EntryId, Error, HashRule, Options, Store, SweepProgress};

const SERVERS: [(&str, HashRule); 2] = [("etcd-3.4.23", HashRule::V3_4), ("etcd-3.5.1", HashRule::V3_5)];
const COMPACTIONS: [i64; 4] = [5, 8, 19, 21];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/etcd").join(name)
}

fn open(name: &str) -> Store {
    let disk = MemDisk::new(1);
    let bytes = std::fs::read(fixture(name)).unwrap();
    let file = disk.open(Path::new("/db"), Open::CreateNew { mode: 0o600 }).unwrap();
    file.write_all_at(0, &bytes).unwrap();
    file.sync_all().unwrap();
    Store::open(Arc::new(disk), Path::new("/db"), Options::default()).unwrap()
}

/// Our answers, in the form of the recording.
fn answers(store: &Store, rule: HashRule) -> Vec<String> {
    let image = store.image();
    let mut lines = Vec::new();
    for asked in 0..=23 {
        lines.push(match image.hash_kv(asked, rule) {
            Ok(answer) => format!("hashkv {asked} {} {}", answer.hash, answer.compact_revision),
            Err(Error::Compacted) => format!("hashkv {asked} compacted"),
            Err(Error::FutureRevision) => format!("hashkv {asked} future"),
            Err(other) => panic!("{other}"),
        });
    }
    lines.push(format!("revision {}", image.revision()));
    lines
}

fn recorded(name: &str) -> (Vec<String>, String) {
    let text = std::fs::read_to_string(fixture(name)).unwrap();
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    let file = lines.pop().unwrap();
    (lines, file)
}

fn step_name(server: &str, step: usize) -> String {
    match step.checked_sub(1).map(|at| COMPACTIONS[at]) {
        None => format!("{server}-1-written"),
        Some(revision) => format!("{server}-{}-compacted-at-{revision}", step + 1),
    }
}

#[test]
fn their_files_hash_as_they_do() {
    for (server, rule) in SERVERS {
        for step in [0, 2, 4] {
            let name = step_name(server, step);
            let store = open(&format!("{name}.db"));
            let (expected, file) = recorded(&format!("{name}.txt"));
            assert_eq!(answers(&store, rule), expected, "{name}");
            assert_eq!(format!("file {}", store.image().hash(HashRule::File).unwrap()), file, "{name}");
            assert!(!store.is_sweeping());
        }
    }
}

#[test]
fn our_compactions_leave_what_theirs_do() {
    for (server, rule) in SERVERS {
        let mut store = open(&format!("{}.db", step_name(server, 0)));
        for (at, revision) in COMPACTIONS.into_iter().enumerate() {
            let applied = store.applied();
            let mut txn = store.begin(EntryId { term: applied.term.max(1), index: applied.index + 1 });
            txn.compact(revision).unwrap();
            txn.commit();
            let (expected, _) = recorded(&format!("{}.txt", step_name(server, at + 1)));
            while store.sweep(2).unwrap() != (SweepProgress::Finished { revision }) {
                assert_eq!(answers(&store, rule), expected, "{server} while {revision} is swept");
            }
            assert_eq!(answers(&store, rule), expected, "{server} after {revision}");
            let committed = store.seal(u64::MAX).unwrap().run().unwrap();
            store.committed(committed);
            assert_eq!(answers(&store, rule), expected, "{server} with {revision} in the file");
        }
    }
}

#[test]
fn their_leases_and_history_are_found() {
    for (server, _) in SERVERS {
        let mut store = open(&format!("{server}-1-written.db"));
        assert_eq!(store.take_lease_attachments(), [], "the key with a lease was deleted");
        let kv = store.image().get_kv(b"c", 8).unwrap().unwrap();
        assert!(kv.lease > 0);
        let events: Vec<_> = store.reader().view().events(9).unwrap().map(|event| event.unwrap()).collect();
        let at_nine: Vec<_> =
            events.iter().filter(|e| e.revision.main == 9).map(|e| (&e.kv.key[..], e.revision.sub)).collect();
        assert_eq!(at_nine, [(&b"d"[..], 0), (b"e", 1), (b"c", 2), (b"f", 3)]);
        assert_eq!(store.image().count(b"\0", b"\0"), 10);
    }
}
