//! Opening: the file with its buckets, the index from its records.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::Disk;

use crate::backend::base::Root;
use crate::backend::layers::Layers;
use crate::backend::overlay::Overlay;
use crate::backend::{Bucket, MetaKey};
use crate::error::{Error, Result};
use crate::index::{Change, Index};
use crate::record;
use crate::revision::{RecordKey, Revision};
use crate::store::compact::Sweeper;
use crate::store::{Options, Store};
use crate::view::{Image, Reader, View};

/// No store gets here by writing; beyond, counting on could overflow.
pub(super) const REVISION_MAX: i64 = i64::MAX / 2;

impl Store {
    /// Opens the file, creates it and its buckets where absent, loads the index; a compaction that was scheduled and
    /// not finished is resumed by [`Store::sweep`].
    pub fn open(disk: Arc<dyn Disk>, path: &Path, options: Options) -> Result<Store> {
        let defaults = bolt::Options::default();
        let bolt_options =
            bolt::Options { page_cache_bytes: options.cache_bytes, read_only: options.read_only, ..defaults };
        let db = bolt::Db::open(disk, path, bolt_options)?;
        if !options.read_only {
            create_buckets(&db)?;
        }
        let root = Root::pin(&db)?;
        let loaded = Loaded::read(&root)?;
        let scheduled = mark(&root, MetaKey::ScheduledCompact)?;
        let finished = mark(&root, MetaKey::FinishedCompact)?;
        let mut sweeper = Sweeper::default();
        if scheduled > finished {
            sweeper.resume(scheduled, finished);
        }
        let revision = loaded.last_main.max(scheduled).max(finished).max(1);
        if revision > REVISION_MAX {
            return Err(Error::Corrupt { bucket: "key", what: format!("revision {revision} leaves no room above it") });
        }
        let applied = root.last();
        let image = Image {
            layers: Layers { root, frozen: Arc::new([]), live: Overlay::default() },
            index: loaded.index,
            revision,
            compact_revision: scheduled.max(finished),
            applied,
            compaction_hashes: Arc::new([]),
        };
        let reader = Reader::new(View::new(image.clone()));
        Ok(Store {
            db,
            options,
            image,
            sealed: applied,
            reader,
            events: Vec::new(),
            unpublished: false,
            sweeper,
            undo: Vec::new(),
            lease_attachments: loaded.leases.into_iter().collect(),
            shrinking: false,
            shrink_series: None,
        })
    }
}

/// The start-up of empty buckets: a writer outside entries, which touches nothing that exists.
fn create_buckets(db: &bolt::Db) -> Result<()> {
    let tx = db.read();
    let mut missing = Vec::new();
    for bucket in Bucket::ALL {
        let name = bucket.name().as_bytes();
        if tx.bucket(name)?.is_none() {
            missing.push(name);
        }
    }
    drop(tx);
    if missing.is_empty() {
        return Ok(());
    }
    let mut tx = db.write()?;
    for name in missing {
        tx.create_bucket_if_missing(name)?;
    }
    tx.commit()?;
    Ok(())
}

/// A mark of `meta`; -1 where it is absent.
fn mark(root: &Root, key: MetaKey) -> Result<i64> {
    let Some(value) = root.get(Bucket::Meta, key.bytes())? else { return Ok(-1) };
    match Revision::from_bytes(&value) {
        Some(revision) => Ok(revision.main),
        None => Err(Error::Corrupt {
            bucket: Bucket::Meta.name(),
            what: format!("{} is no revision: {value:02x?}", key.name()),
        }),
    }
}

/// What the records of the file tell.
struct Loaded {
    index: Index,
    /// 0 where there is no record.
    last_main: i64,
    /// Keys whose newest record names a lease.
    leases: BTreeMap<Bytes, i64>,
}

impl Loaded {
    fn read(root: &Root) -> Result<Loaded> {
        let mut loaded = Loaded { index: Index::default(), last_main: 0, leases: BTreeMap::new() };
        let Some(mut cursor) = root.cursor(Bucket::Key) else { return Ok(loaded) };
        let mut pair = cursor.first()?;
        while let Some((key, value)) = pair {
            loaded.add(RecordKey::from_bytes(&key)?, value)?;
            pair = cursor.next()?;
        }
        Ok(loaded)
    }

    fn add(&mut self, key: RecordKey, value: Bytes) -> Result<()> {
        let kv = record::decode(value)?;
        let revision = key.revision;
        self.last_main = self.last_main.max(revision.main);
        if key.tombstone {
            let created = self.index.get(&kv.key).map_or(revision.main, |entry| entry.last().created);
            self.index.load(&kv.key, Change { revision, created, version: 0 });
        } else {
            // A record that only raises the revision has neither creation nor version.
            let version = kv.version.max(1);
            self.index.load(&kv.key, Change { revision, created: kv.create_revision, version });
        }
        if kv.lease != 0 && !key.tombstone {
            self.leases.insert(Bytes::copy_from_slice(&kv.key), kv.lease);
        } else if !self.leases.is_empty() {
            self.leases.remove(&kv.key);
        }
        Ok(())
    }
}
