//! A frozen overlay on its way into the file.

use std::sync::Arc;

use bolt::Db;
use bytes::Bytes;

use crate::backend::base::Root;
use crate::backend::overlay::Overlay;
use crate::backend::schema::Bucket;
use crate::backend::source::SnapshotSource;
use crate::error::Result;
use crate::revision::RecordKey;
use crate::store::EntryId;

/// How full the pages of rising keys are made, in percent, as etcd does.
const KEY_FILL_PERCENT: u8 = 90;

/// A frozen overlay to be written into the bolt file in one transaction, with the consistent index and term of exactly
/// its last entry. Jobs must be run one at a time, in the order in which they were made; each result goes to
/// [`crate::Store::committed`] in the same order.
///
/// Contract: a job leaves [`crate::Store::seal`] only if a hard state with commit >= the index of [`CommitJob::last`]
/// is durable.
pub struct CommitJob {
    db: Db,
    overlay: Arc<Overlay>,
    last: EntryId,
}

impl CommitJob {
    pub(crate) fn new(db: Db, overlay: Arc<Overlay>, last: EntryId) -> CommitJob {
        CommitJob { db, overlay, last }
    }

    /// The last entry that the job writes.
    pub fn last(&self) -> EntryId {
        self.last
    }

    /// Changes that the job writes.
    pub fn changes(&self) -> usize {
        self.overlay.changes()
    }

    /// Writes and syncs. Blocks on the disk. After a failure the store must not be used any more; the log still has
    /// everything.
    pub fn run(self) -> Result<Committed> {
        let mut tx = self.db.write()?;
        let key_bucket = Bucket::Key.name().as_bytes();
        tx.set_fill_percent(key_bucket, KEY_FILL_PERCENT)?;
        tx.apply_sorted(key_bucket, key_changes(&self.overlay))?;
        for bucket in Bucket::ALL.into_iter().filter(|bucket| *bucket != Bucket::Key) {
            let table = self.overlay.table(bucket);
            if !table.is_empty() {
                let changes = table.iter().map(|(key, value)| (key.clone(), value.clone()));
                tx.apply_sorted(bucket.name().as_bytes(), changes)?;
            }
        }
        tx.commit()?;
        Ok(Committed { overlay: self.overlay, root: Root::pin(&self.db)?, last: self.last })
    }
}

/// The records that are new or swept, in the order of their keys. What is both was swept before it was ever written.
fn key_changes(overlay: &Overlay) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
    let bytes = |key: &RecordKey| Bytes::copy_from_slice(key.to_bytes().as_slice());
    let mut swept = overlay.swept().iter().peekable();
    let mut records = overlay.records().iter().peekable();
    std::iter::from_fn(move || {
        match (swept.peek(), records.peek()) {
            (Some(gone), Some((key, _))) if **gone > *key => {}
            (Some(gone), head) => {
                if head.is_some_and(|(key, _)| key == *gone) {
                    records.next();
                }
                return swept.next().map(|gone| (bytes(gone), None));
            }
            (None, _) => {}
        }
        records.next().map(|(key, value)| (bytes(key), Some(value.clone())))
    })
}

/// A [`CommitJob`] that is done; holds its root pinned.
pub struct Committed {
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) root: Root,
    last: EntryId,
}

impl Committed {
    /// The last entry in the file now.
    pub fn last(&self) -> EntryId {
        self.last
    }

    /// The file exactly as of this commit, for a snapshot that covers entries up to [`Committed::last`] and no more.
    pub fn snapshot(&self) -> SnapshotSource {
        SnapshotSource::new(self.root.clone(), self.last)
    }
}
