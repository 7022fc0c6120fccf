//! What the state ought to be: a plain map with its whole history, leases and members, fed with the committed entries in
//! order.

mod members;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, InternalRaftRequest, PutRequest, RangeRequest, TxnRequest, V2Request, compare,
    request_op,
};
use proto::raftpb::{ConfChange, Entry, EntryType};

pub use self::members::{Members, News, member_line};

/// A key's value at some revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub revision: i64,
    /// `None` for a deletion.
    pub value: Option<Bytes>,
    pub create: i64,
    pub version: i64,
    pub lease: i64,
}

/// A change as watchers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: i64,
    pub key: Bytes,
    pub value: Option<Bytes>,
    /// What the key held before.
    pub before: Option<Bytes>,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLease {
    pub ttl_secs: i64,
    keys: BTreeSet<Bytes>,
}

/// What an entry did to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseNews {
    Granted {
        id: i64,
        ttl_secs: i64,
    },
    /// With the number of the request.
    Revoked {
        id: i64,
        request: u64,
    },
}

/// The reference store.
#[derive(Clone, Debug)]
pub struct Model {
    pub index: u64,
    pub revision: i64,
    pub compacted: i64,
    keys: BTreeMap<Bytes, Vec<Version>>,
    pub leases: BTreeMap<i64, ModelLease>,
    pub members: Members,
    /// What the last entry did to leases.
    lease_news: Vec<LeaseNews>,
    lease_ttl_secs_min: i64,
    pub changes: Vec<Change>,
    /// Changes of the entry being applied.
    sub: usize,
}

impl Model {
    /// The shortest time of a lease and the number of learners are settings that all members share.
    pub fn new(lease_ttl_secs_min: i64, learners_max: usize) -> Self {
        Self {
            index: 0,
            revision: 1,
            compacted: -1,
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            members: Members::new(learners_max),
            lease_news: Vec::new(),
            lease_ttl_secs_min,
            changes: Vec::new(),
            sub: 0,
        }
    }
}

/// Whether a key lies in a range as requests tell it.
pub fn in_range(key: &[u8], from: &[u8], range_end: &[u8]) -> bool {
    match range_end {
        [] => key == from,
        [0] => key >= from,
        end => key >= from && key < end,
    }
}

impl Model {
    /// Applies the next committed entry.
    pub fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.index + 1, "the model takes every entry in order");
        self.index = entry.index;
        if entry.entry_type == EntryType::EntryConfChange as i32 {
            let change = <ConfChange as prost::Message>::decode(entry.data.clone()).expect("a conf change");
            return self.members.apply(entry.index, &change);
        }
        if entry.data.is_empty() {
            return;
        }
        let Ok(request) = <InternalRaftRequest as prost::Message>::decode(entry.data.clone()) else {
            return self.v2(entry);
        };
        self.sub = 0;
        let id = request.header.as_ref().map_or(0, |header| header.id);
        self.request(id, request);
        if self.sub > 0 {
            self.revision += 1;
        }
    }

    /// What happened to leases since the last call.
    pub fn take_lease_news(&mut self) -> Vec<LeaseNews> {
        std::mem::take(&mut self.lease_news)
    }

    fn request(&mut self, id: u64, request: InternalRaftRequest) {
        if let Some(put) = request.put {
            self.put(&put);
        } else if let Some(delete) = request.delete_range {
            self.delete(&delete);
        } else if let Some(txn) = request.txn {
            self.txn(&txn);
        } else if let Some(compaction) = request.compaction {
            if compaction.revision > self.compacted && compaction.revision <= self.revision {
                self.compacted = compaction.revision;
            }
        } else if let Some(grant) = request.lease_grant {
            let ttl_secs = grant.ttl.max(self.lease_ttl_secs_min);
            if let std::collections::btree_map::Entry::Vacant(place) = self.leases.entry(grant.id) {
                place.insert(ModelLease { ttl_secs, keys: BTreeSet::new() });
                self.lease_news.push(LeaseNews::Granted { id: grant.id, ttl_secs });
            }
        } else if let Some(set) = request.cluster_version_set {
            self.members.version = set.ver.parse().ok();
        } else if let Some(revoke) = request.lease_revoke {
            let Some(lease) = self.leases.remove(&revoke.id) else { return };
            lease.keys.into_iter().for_each(|key| self.write(key, None, 0));
            self.lease_news.push(LeaseNews::Revoked { id: revoke.id, request: id });
        }
    }

    /// The old form of requests, of which only members and version are used here.
    fn v2(&mut self, entry: &Entry) {
        let request = <V2Request as prost::Message>::decode(entry.data.clone()).expect("a request of either form");
        if request.path == "/0/version" {
            self.members.version = request.val.parse().ok();
        }
    }

    fn put(&mut self, put: &PutRequest) {
        if put.lease != 0 && !self.leases.contains_key(&put.lease) {
            return;
        }
        self.write(put.key.clone(), Some(put.value.clone()), put.lease);
    }

    fn delete(&mut self, delete: &DeleteRangeRequest) {
        let doomed: Vec<Bytes> = self
            .keys
            .iter()
            .filter(|(key, versions)| {
                in_range(key, &delete.key, &delete.range_end) && versions.last().is_some_and(|v| v.value.is_some())
            })
            .map(|(key, _)| key.clone())
            .collect();
        doomed.into_iter().for_each(|key| self.write(key, None, 0));
    }

    fn txn(&mut self, txn: &TxnRequest) {
        let holds = txn.compare.iter().all(|compare| self.holds(compare));
        for op in if holds { &txn.success } else { &txn.failure } {
            match &op.request {
                Some(request_op::Request::RequestPut(put)) => self.put(put),
                Some(request_op::Request::RequestDeleteRange(delete)) => self.delete(delete),
                Some(request_op::Request::RequestRange(_) | request_op::Request::RequestTxn(_)) | None => {}
            }
        }
    }

    /// The simulation compares modification revisions for equality only.
    fn holds(&self, compare: &Compare) -> bool {
        let found = self.keys.get(&compare.key).and_then(|versions| versions.last()).filter(|v| v.value.is_some());
        match compare.target_union {
            Some(compare::TargetUnion::ModRevision(wanted)) => found.map_or(0, |v| v.revision) == wanted,
            _ => false,
        }
    }

    fn write(&mut self, key: Bytes, value: Option<Bytes>, lease: i64) {
        let revision = self.revision + 1;
        let versions = self.keys.entry(key.clone()).or_default();
        let last = versions.last().filter(|v| v.value.is_some()).cloned();
        if let Some(attached) = last.as_ref().and_then(|v| self.leases.get_mut(&v.lease)) {
            attached.keys.remove(&key);
        }
        if value.is_some()
            && let Some(attached) = self.leases.get_mut(&lease)
        {
            attached.keys.insert(key.clone());
        }
        let create = last.as_ref().map_or(revision, |v| v.create);
        let version = last.as_ref().map_or(1, |v| v.version + 1);
        versions.push(Version { revision, value: value.clone(), create, version, lease });
        let before = last.and_then(|v| v.value);
        self.changes.push(Change { revision, key, value, before });
        self.sub += 1;
    }

    /// The keys of a range as of a revision.
    pub fn range(&self, request: &RangeRequest, revision: i64) -> Vec<(Bytes, Version)> {
        let at = |versions: &Vec<Version>| versions.iter().rev().find(|v| v.revision <= revision).cloned();
        self.keys
            .iter()
            .filter(|(key, _)| in_range(key, &request.key, &request.range_end))
            .filter_map(|(key, versions)| Some((key.clone(), at(versions)?)))
            .filter(|(_, version)| version.value.is_some())
            .collect()
    }

    /// Where the key was last changed as of a revision; 0 where it does not exist.
    pub fn mod_revision(&self, key: &Bytes, revision: i64) -> i64 {
        let request = RangeRequest { key: key.clone(), ..RangeRequest::default() };
        self.range(&request, revision).first().map_or(0, |(_, version)| version.revision)
    }

    /// The changes at one revision.
    pub fn changes_at(&self, revision: i64) -> &[Change] {
        let from = self.changes.partition_point(|change| change.revision < revision);
        let to = self.changes.partition_point(|change| change.revision <= revision);
        &self.changes[from..to]
    }

    /// The changes from a revision on.
    pub fn changes_from(&self, revision: i64) -> &[Change] {
        &self.changes[self.changes.partition_point(|change| change.revision < revision)..]
    }
}
