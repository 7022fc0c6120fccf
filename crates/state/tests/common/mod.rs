//! A state on a disk in memory, with the log of all that was applied to it.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod script;

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, MemDisk};
use mvcc::HashRule;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::raftpb::{ConfChange, ConfChangeType, ConfState, Entry, EntryType};
use state::members::{ChangeContext, Member};
use state::{Answer, Applied, State, StateOptions, V2Snapshot, Version};

pub const DB: &str = "/m/snap/db";
pub const SELF: u64 = 1;

/// One member's state machine with its log.
pub struct Machine {
    pub disk: MemDisk,
    pub state: State,
    pub log: Vec<Entry>,
    pub release: Version,
    pub answer: Answer,
    /// The newest snapshot; the log starts after it.
    pub snapshot: Option<V2Snapshot>,
    pub snapshot_conf_state: Option<ConfState>,
    pub quota_bytes: i64,
}

pub fn options(disk: &MemDisk, release: Version, snapshot: Option<V2Snapshot>, quota_bytes: i64) -> StateOptions {
    StateOptions {
        compat_version: release,
        v2_snapshot: snapshot,
        quota: state::quota::Quota::from_flag(quota_bytes),
        ..StateOptions::new(Arc::new(disk.clone()), DB, SELF)
    }
}

pub fn new_disk(seed: u64) -> MemDisk {
    let disk = MemDisk::new(seed);
    disk.create_dir_all(Path::new("/m/snap"), 0o700).unwrap();
    for dir in ["/", "/m"] {
        disk.sync_dir(Path::new(dir)).unwrap();
    }
    disk
}

impl Machine {
    pub fn new(release: Version, answer: Answer) -> Machine {
        let disk = new_disk(1);
        let state = State::open(options(&disk, release, None, 0)).unwrap();
        Machine {
            disk,
            state,
            log: Vec::new(),
            release,
            answer,
            snapshot: None,
            snapshot_conf_state: None,
            quota_bytes: 0,
        }
    }

    pub fn next_index(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |s| s.index) + self.log.len() as u64 + 1
    }

    pub fn append(&mut self, entry_type: EntryType, data: Vec<u8>) -> Applied {
        let entry = Entry { term: 2, index: self.next_index(), entry_type: entry_type as i32, data: data.into() };
        self.apply(entry)
    }

    /// Takes an entry into the log and applies it.
    pub fn apply(&mut self, entry: Entry) -> Applied {
        let applied = self.state.apply_for(&entry, self.answer).unwrap();
        self.log.push(entry);
        self.state.publish();
        applied
    }

    pub fn request(&mut self, request: pb::InternalRaftRequest) -> Applied {
        self.append(EntryType::EntryNormal, request.encode_to_vec())
    }

    pub fn conf_change(&mut self, kind: ConfChangeType, member: Member, is_promote: bool) -> Applied {
        let node_id = member.id;
        let context = ChangeContext { member, is_promote }.to_json().into();
        let change = ConfChange { id: 5, change_type: kind as i32, node_id, context };
        self.append(EntryType::EntryConfChange, change.encode_to_vec())
    }

    /// Brings everything into the file.
    pub fn commit(&mut self) {
        if let Some(job) = self.state.seal(u64::MAX) {
            let committed = job.run().unwrap();
            self.state.committed(committed);
        }
    }

    /// Takes a snapshot at the applied index and forgets the log up to it.
    pub fn take_snapshot(&mut self) {
        self.commit();
        let index = self.state.applied().index;
        self.snapshot_conf_state = Some(self.state.conf_state());
        self.snapshot = Some(V2Snapshot { index, json: self.state.snapshot_json() });
        self.log.retain(|entry| entry.index > index);
    }

    /// Opens what is on the disk anew and replays the log from the snapshot on.
    pub fn reopen(&mut self) -> Vec<Applied> {
        self.reopen_as(self.release)
    }

    pub fn reopen_as(&mut self, release: Version) -> Vec<Applied> {
        self.release = release;
        self.disk = self.disk.kill();
        self.open()
    }

    /// As [`Machine::reopen`], after a power loss.
    pub fn lose_power(&mut self) -> Vec<Applied> {
        self.disk = self.disk.power_loss();
        self.open()
    }

    fn open(&mut self) -> Vec<Applied> {
        let mut options = options(&self.disk, self.release, self.snapshot.clone(), self.quota_bytes);
        options.snapshot_conf_state = self.snapshot_conf_state.clone();
        self.state = State::open(options).unwrap();
        let answer = self.answer;
        let applied = self.log.iter().map(|entry| self.state.apply_for(entry, answer).unwrap()).collect();
        self.state.publish();
        applied
    }

    /// Everything that is to be alike on all members, in one text.
    pub fn digest(&mut self) -> String {
        while self.state.sweep(1000).unwrap() != mvcc::SweepProgress::Idle {}
        self.state.publish();
        let view = self.state.reader().view();
        let hash = view.hash(HashRule::V3_7).unwrap();
        // Below cluster version 3.6 the remainders are not on disk, and a restart forgets them.
        let leases: Vec<_> = view.leases().iter().map(|lease| (lease.id, lease.ttl_secs, &lease.keys)).collect();
        format!(
            "applied {:?} hash {hash} rev {} compacted {} leases {leases:?} auth {:?} {} alarms {:?} members {:?} versions {:?}",
            view.applied_entry(),
            view.revision(),
            view.compact_revision(),
            view.auth().is_enabled(),
            view.auth().revision(),
            view.alarms(),
            view.members(),
            (view.versions().cluster, view.versions().downgrade),
        )
    }
}
