//! Opening: the tables from their buckets, the v2 tree from the snapshot, membership from whichever is the authority.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mvcc::{Bucket, EntryId, Image, MetaKey, Options, Store};
use prost::Message;
use proto::{authpb, etcdserverpb as pb, leasepb};

use crate::alarm::Alarms;
use crate::apply::v2;
use crate::auth::AuthStore;
use crate::error::{Error, Result};
use crate::lease::{Lease, LeaseTable};
use crate::live::{Live, Rules};
use crate::members::{Member, Membership, Source, parse_id};
use crate::options::StateOptions;
use crate::reader::{Published, StateReader};
use crate::state::State;
use crate::versions::{self, Downgrade, Version, Versions};

pub(crate) fn open(options: StateOptions) -> Result<State> {
    let rules = Rules::of(&options);
    let store_options = Options {
        cache_bytes: options.cache_bytes,
        write_term: options.compat_version >= Version::V3_5,
        ..Options::default()
    };
    let mut store = Store::open(options.disk.clone(), &options.db_path, store_options)?;
    let snapshot_index = options.v2_snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
    let live = load(&mut store, &options)?;
    versions::check_storage(live.versions.storage, rules.release)?;
    versions::check_own(live.versions.cluster, rules.release)?;
    // Nothing is known of the snapshot's term here; the store's own entry says it where that is the same one.
    let consistent = store.applied();
    let term = if consistent.index == snapshot_index { consistent.term } else { 0 };
    let applied = EntryId { term, index: snapshot_index };
    store.publish();
    let published = live.tables(applied);
    let reader =
        StateReader::new(Published { kv: store.reader().view(), tables: published.clone(), release: rules.release });
    Ok(State { store, live, rules, applied, reader, published })
}

fn load(store: &mut Store, options: &StateOptions) -> Result<Live> {
    let attachments = store.take_lease_attachments();
    let image = store.image();
    let consistent = image.applied().index;
    let stored = Stored::read(image)?;
    let storage = storage_version(image)?;
    let (snapshot_index, json) = match &options.v2_snapshot {
        Some(snapshot) => (snapshot.index, snapshot.json.clone()),
        None => (0, Bytes::new()),
    };
    let tree = v2::load_tree(&json)?;
    // A snapshot without a tree, as only 3.7 could leave it, cannot be the authority.
    let by_tree = !storage.is_explicit && (snapshot_index == 0 || !json.is_empty());
    let (source, members, cluster) = if by_tree {
        let mut members = tree.view().membership()?;
        // The tree has no place for the name that a founding entry gives; the member that applied it knew.
        for member in stored.members.iter() {
            if members.get(member.id).is_some_and(|told| !told.is_started()) {
                members.set_attributes(member.id, member.attributes());
            }
        }
        (Source::Tree { index: snapshot_index }, members, tree.view().cluster_version()?)
    } else {
        // A tree that tells no membership, which is no authority here, begins with none and is put right when it has
        // caught up.
        let behind = (consistent > snapshot_index).then(|| tree.view().membership().unwrap_or_default());
        (Source::Buckets { index: consistent, behind }, stored.members, stored.cluster)
    };
    let conf = options.snapshot_conf_state.clone().filter(|_| by_tree && snapshot_index > 0);
    let mut live = Live {
        leases: leases(image, attachments)?,
        auth: Arc::new(auth(image)?),
        alarms: Arc::new(alarms(image)?),
        conf: conf.unwrap_or_else(|| members.conf_state()),
        members: Arc::new(members),
        versions: Versions { cluster, downgrade: stored.downgrade, storage: storage.version },
        tree,
        source,
        buckets_stale: by_tree,
        hashes: Default::default(),
    };
    if !by_tree && consistent <= snapshot_index {
        v2::follow(&mut live.tree, &live.members, live.versions.cluster);
    }
    Ok(live)
}

/// What the buckets say about the cluster.
struct Stored {
    members: Membership,
    cluster: Option<Version>,
    downgrade: Downgrade,
}

impl Stored {
    fn read(image: &Image) -> Result<Stored> {
        let mut members = Vec::new();
        for pair in image.scan(Bucket::Members, b"", None) {
            let (_, json) = pair?;
            members.push(Member::from_json(&json).map_err(|e| corrupt(Bucket::Members, e))?);
        }
        let mut removed = BTreeSet::new();
        for pair in image.scan(Bucket::MembersRemoved, b"", None) {
            let (key, _) = pair?;
            let id = std::str::from_utf8(&key).ok().and_then(parse_id);
            removed.insert(id.ok_or_else(|| corrupt(Bucket::MembersRemoved, format!("{key:?} is no member id")))?);
        }
        let cluster = match text(image, Bucket::Cluster, Bucket::CLUSTER_VERSION)? {
            Some(text) => Some(text.parse().map_err(|e| corrupt(Bucket::Cluster, e))?),
            None => None,
        };
        let downgrade = match image.get(Bucket::Cluster, Bucket::DOWNGRADE)? {
            Some(json) => Downgrade::from_json(&json).map_err(|e| corrupt(Bucket::Cluster, e))?,
            None => Downgrade::default(),
        };
        Ok(Stored { members: Membership::new(members, removed), cluster, downgrade })
    }
}

/// The schema of the file, and whether the file says so itself.
struct StorageVersion {
    version: Option<Version>,
    is_explicit: bool,
}

fn storage_version(image: &Image) -> Result<StorageVersion> {
    if let Some(text) = text(image, Bucket::Meta, MetaKey::StorageVersion.bytes())? {
        let version = text.parse().map_err(|e| corrupt(Bucket::Meta, e))?;
        return Ok(StorageVersion { version: Some(version), is_explicit: true });
    }
    let version = (image.applied().term != 0).then_some(Version::V3_5);
    Ok(StorageVersion { version, is_explicit: false })
}

fn text(image: &Image, bucket: Bucket, key: &[u8]) -> Result<Option<String>> {
    let value = image.get(bucket, key)?;
    value.map(|v| String::from_utf8(v.to_vec()).map_err(|e| corrupt(bucket, e))).transpose()
}

fn leases(image: &Image, attachments: Vec<(Bytes, i64)>) -> Result<LeaseTable> {
    let mut table = LeaseTable::default();
    for pair in image.scan(Bucket::Lease, b"", None) {
        let (_, value) = pair?;
        let stored = leasepb::Lease::decode(value).map_err(|e| corrupt(Bucket::Lease, e))?;
        table.insert(Lease::from_proto(stored));
    }
    for (key, id) in attachments {
        // A key may name a lease that is gone; it stays, and hangs on none.
        table.attach(&key, id);
    }
    Ok(table)
}

fn alarms(image: &Image) -> Result<Alarms> {
    let mut alarms = Alarms::default();
    for pair in image.scan(Bucket::Alarm, b"", None) {
        let (key, _) = pair?;
        alarms.raise(pb::AlarmMember::decode(key).map_err(|e| corrupt(Bucket::Alarm, e))?);
    }
    Ok(alarms)
}

fn auth(image: &Image) -> Result<AuthStore> {
    let enabled = image.get(Bucket::Auth, Bucket::AUTH_ENABLED)?.is_some_and(|v| v.as_ref() == [1]);
    let revision = match image.get(Bucket::Auth, Bucket::AUTH_REVISION)? {
        Some(value) => {
            let bytes = value.as_ref().try_into().map_err(|e| corrupt(Bucket::Auth, e))?;
            u64::from_be_bytes(bytes)
        }
        None => 0,
    };
    let users = decode_all::<authpb::User>(image, Bucket::AuthUsers)?;
    let roles = decode_all::<authpb::Role>(image, Bucket::AuthRoles)?;
    Ok(AuthStore::load(enabled, revision, users, roles))
}

fn decode_all<M: Message + Default>(image: &Image, bucket: Bucket) -> Result<Vec<M>> {
    let pairs = image.scan(bucket, b"", None);
    pairs.map(|pair| M::decode(pair?.1).map_err(|e| corrupt(bucket, e))).collect()
}

fn corrupt(bucket: Bucket, what: impl ToString) -> Error {
    Error::Corrupt { bucket: bucket.name(), what: what.to_string() }
}
