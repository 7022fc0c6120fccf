//! Contract 6: what becomes of those who wait when a received snapshot takes the place of the state.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::MemDisk;
use mvcc::Store;
use node::{ApplyBatch, Booted, Event, Now, Output, ReceivingDb, SnapshotTo, boot};
use prost::Message as _;
use proto::etcdserverpb::{
    AuthUserAddRequest, CompactionRequest, InternalRaftRequest, LeaseGrantRequest, PutRequest, RequestHeader,
};
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType, Message, Snapshot};
use state::members::{ChangeContext, Member as Description};

const NOW: Now = Now { monotonic: Duration::from_secs(100), unix_millis: 1_800_000_000_000 };

/// Another life of the member, as of before `snapshot`, which lies received on its disk.
struct Behind {
    booted: Booted,
    snapshot: Arc<Snapshot>,
    index: u64,
    disk: MemDisk,
}

impl Behind {
    fn start() -> Behind {
        let disk = MemDisk::new(1);
        let mut ahead = start(&disk);
        for n in 0..5 {
            ahead.put(&format!("k{n}"), "old", 0).unwrap();
        }
        ahead.wait(Duration::from_secs(1));
        let early = disk.fork(1).kill();
        for n in 0..50 {
            ahead.put(&format!("k{n}"), "new", 0).unwrap();
        }
        ahead.grant(77, 1000).unwrap();
        let (message, bytes) = sent(&mut ahead);
        let mut booted = boot(options(Arc::new(early.clone()), config()), NOW).unwrap();
        let snapshot = message.snapshot.unwrap();
        let index = snapshot.metadata.as_ref().unwrap().index;
        let mut receiving = ReceivingDb::begin(Arc::new(early.clone()), &booted.dir, index, 0).unwrap();
        receiving.write(&bytes).unwrap();
        receiving.finish().unwrap();
        // What the log holds is applied, as it would be by the node.
        let log = wal::read_all(&early, booted.dir.wal(), &Default::default()).unwrap();
        let applied = booted.applier.applied_index();
        let entries: Vec<Entry> = log.entries.into_iter().filter(|entry| entry.index > applied).collect();
        booted.applier.apply(ApplyBatch { snapshot: None, entries }, NOW).unwrap();
        let index = booted.applier.applied_index();
        Behind { booted, snapshot: Arc::new(snapshot), index, disk: early }
    }

    fn entry(&mut self, entry_type: EntryType, data: Vec<u8>) -> Entry {
        self.index += 1;
        Entry { entry_type: entry_type as i32, term: 2, index: self.index, data: data.into() }
    }

    /// An entry with a request of this member, and its ticket.
    fn request(&mut self, request: InternalRaftRequest) -> (u64, Entry) {
        let id = self.booted.ids.next();
        let header = Some(RequestHeader { id, ..RequestHeader::default() });
        (id, self.entry(EntryType::EntryNormal, InternalRaftRequest { header, ..request }.encode_to_vec()))
    }

    fn conf_change(&mut self) -> (u64, Entry) {
        let id = self.booted.ids.next();
        let member =
            Description { id: 9, peer_urls: vec!["http://x:1".into()], is_learner: true, ..Default::default() };
        let context = ChangeContext { member, is_promote: false }.to_json().into();
        let change_type = ConfChangeType::ConfChangeAddLearnerNode as i32;
        let change = ConfChange { id, change_type, node_id: 9, context };
        (id, self.entry(EntryType::EntryConfChange, change.encode_to_vec()))
    }

    fn apply(&mut self, entries: Vec<Entry>) -> Output {
        self.booted.applier.apply(ApplyBatch { snapshot: None, entries }, NOW).unwrap()
    }

    fn install(&mut self) -> Output {
        let snapshot = Some(self.snapshot.clone());
        self.booted.applier.apply(ApplyBatch { snapshot, entries: Vec::new() }, NOW).unwrap()
    }

    fn value(&self, key: &str) -> Option<String> {
        let kv = self.booted.reader.view().get_kv(key.as_bytes(), 0).unwrap();
        kv.map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
    }
}

/// The snapshot that the member sends to a peer: message and database.
fn sent(member: &mut Member) -> (Message, Vec<u8>) {
    let asked = Message { to: 9, ..Message::default() };
    member.snapshot_for(asked);
    let ready = member.snapshots.pop().expect("a snapshot at once");
    let SnapshotTo::Peer(message) = ready.to else { panic!("not for a peer") };
    let mut chunks = ready.source.stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    (*message, bytes)
}

fn applied(output: Output) -> node::Applied {
    let mut all = output.driver.into_iter().filter_map(|event| match event {
        Event::Applied(applied) => Some(applied),
        _ => None,
    });
    all.next().expect("something was applied")
}

#[test]
fn the_state_is_replaced_whole() {
    let mut member = Behind::start();
    assert_eq!((member.value("k1").as_deref(), member.value("k40")), (Some("old"), None));
    let view = member.booted.reader.view();
    let output = member.install();
    assert!(output.installed);
    let applied = applied(output);
    assert!(applied.snapshot_installed && applied.members.is_some());
    assert_eq!(applied.index, member.snapshot.metadata.as_ref().unwrap().index);
    assert_eq!(applied.leases, [node::LeaseChange::Granted { id: 77, ttl_secs: 1000 }]);
    assert_eq!((member.value("k1").as_deref(), member.value("k40").as_deref()), (Some("new"), Some("new")));
    assert_eq!(view.get_kv(b"k1", 0).unwrap().unwrap().value, "old", "an open view keeps the old file");
    assert!(
        disk::Disk::list(&member.disk, &member.booted.dir.snap())
            .unwrap()
            .iter()
            .all(|name| !name.ends_with(".snap.db"))
    );
}

/// The database sent to a peer holds the entries up to the message's index, and no more, whatever is applied between the
/// seal and the sending.
#[test]
fn a_snapshot_for_a_peer_stands_exactly_at_its_index() {
    let mut member = Behind::start();
    let put = |key: &'static str| {
        let put = PutRequest { key: key.into(), value: "v".into(), ..Default::default() };
        InternalRaftRequest { put: Some(put), ..Default::default() }
    };
    let (_, before) = member.request(put("before"));
    let sealed_at = before.index;
    member.apply(vec![before]);
    let asked = Message { to: 9, ..Message::default() };
    let output = member.booted.applier.send_snapshot(asked, NOW).unwrap();
    assert!(output.snapshots.is_empty() && output.job.is_none(), "the log does not cover it yet");
    assert!(output.driver.iter().any(|event| matches!(event, Event::WantDurable { index } if *index == sealed_at)));
    let (_, between) = member.request(put("between"));
    let newest = between.index;
    member.apply(vec![between]);
    let job = member.booted.applier.durable(newest, NOW).unwrap().job.expect("what was sealed may go");
    let (_, during) = member.request(put("during"));
    member.apply(vec![during]);
    let output = member.booted.applier.committed(job.run().unwrap(), NOW).unwrap();
    let ready = output.snapshots.into_iter().next().expect("it is ready");
    let SnapshotTo::Peer(message) = ready.to else { panic!("not for a peer") };
    assert_eq!(message.snapshot.unwrap().metadata.unwrap().index, sealed_at);

    let disk = Arc::new(MemDisk::new(2));
    let file = disk::Disk::open(disk.as_ref(), Path::new("/db"), disk::Open::CreateNew { mode: 0o600 }).unwrap();
    let mut chunks = ready.source.stream();
    let mut at = 0;
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        file.write_all_at(at, &chunk).unwrap();
        at += chunk.len() as u64;
    }
    let store = Store::open(disk, Path::new("/db"), Default::default()).unwrap();
    assert_eq!(store.applied().index, sealed_at);
    let has = |key: &[u8]| store.image().get_kv(key, 0).unwrap().is_some();
    assert!(has(b"before") && !has(b"between") && !has(b"during"));
}

/// A password that is being hashed holds up everything behind it; then a conf change and the snapshot come in one run.
#[test]
fn a_conf_change_of_the_same_run_is_still_answered() {
    let mut member = Behind::start();
    let user = AuthUserAddRequest { name: "u".into(), password: "p".into(), ..Default::default() };
    let request = InternalRaftRequest { auth_user_add: Some(user), ..Default::default() };
    let (user_ticket, user_add) = member.request(request);
    let (change_ticket, conf_change) = member.conf_change();
    let hash_at = user_add.index;
    let output = member.apply(vec![user_add, conf_change]);
    let job = output.hash.expect("a password to be hashed");
    assert_eq!(job.index, hash_at);
    assert!(!member.install().installed, "it waits its turn");
    let output = member.booted.applier.hashed(job.index, "$2a$04$x".into(), NOW).unwrap();
    assert!(output.installed);
    assert!(output.replies.iter().any(|(ticket, _)| *ticket == user_ticket));
    let applied = applied(output);
    assert!(applied.snapshot_installed);
    assert_eq!(applied.tickets, [user_ticket, change_ticket]);
    let changes: Vec<_> = applied.conf_changes.iter().map(|change| (change.ticket, change.index)).collect();
    assert_eq!(changes, [(change_ticket, hash_at + 1)]);
}

/// The sweep has ended, and its commit waits for a durable hard state that will not come.
#[test]
fn a_physical_compaction_that_waits_for_its_commit_is_answered() {
    let mut member = Behind::start();
    let compaction = Some(CompactionRequest { revision: 4, physical: true });
    let (ticket, entry) = member.request(InternalRaftRequest { compaction, ..Default::default() });
    let grant = Some(LeaseGrantRequest { id: 5, ttl: 100 });
    let (_, granted) = member.request(InternalRaftRequest { lease_grant: grant, ..Default::default() });
    let output = member.apply(vec![entry, granted]);
    assert!(output.replies.iter().all(|(answered, _)| *answered != ticket));
    for second in 1..10 {
        let later = Now { monotonic: NOW.monotonic + Duration::from_secs(second), ..NOW };
        let output = member.booted.applier.wake(later).unwrap();
        assert!(output.job.is_none(), "nothing leaves before the log covers it");
    }
    let output = member.install();
    assert!(output.replies.iter().any(|(answered, outcome)| *answered == ticket && outcome.is_ok()));
}

/// Without its database a snapshot can't be installed: the member must stop, naming the file.
#[test]
fn a_missing_database_is_named() {
    let mut member = Behind::start();
    let index = member.snapshot.metadata.as_ref().unwrap().index;
    let path = member.booted.dir.snap().join(format!("{index:016x}.snap.db"));
    disk::Disk::remove_file(&member.disk, &path).unwrap();
    let batch = ApplyBatch { snapshot: Some(member.snapshot.clone()), entries: Vec::new() };
    let text = member.booted.applier.apply(batch, NOW).err().unwrap().to_string();
    assert!(text.starts_with(&format!("failed to install the database of a snapshot, {}: ", path.display())), "{text}");
}
