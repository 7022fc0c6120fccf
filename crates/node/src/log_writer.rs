//! The owner of the log: carries out [`Batch`]es, many with one sync.

use proto::walpb;
use wal::{SnapFiles, Wal, WalError};

use crate::action::{Batch, SnapshotRecord};
use crate::event::Persisted;

/// Why the log could not be written. Whatever it is, the member must stop: what a failed sync has lost is unknown.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the log: {0}")]
pub struct LogError(#[from] WalError);

/// Owns the log. Driven as
///
/// ```ignore
/// loop {
///     writer.append(queue.recv()?)?;                            // waits
///     while let Ok(batch) = queue.try_recv() { writer.append(batch)?; }
///     if let Some(persisted) = writer.sync()? { driver.send(Event::Persisted(persisted)) }
///     if queue.is_empty() { writer.prepare_next()?; }
/// }
/// ```
///
/// Order: a received snapshot before its record, that before the hard state and the entries of its batch; entries before
/// the hard state. Nothing is acknowledged before all of it is durable, except a hard state that only moves the commit
/// index, for which nobody waits: its batch is acknowledged with the durable commit index unchanged.
pub struct LogWriter {
    wal: Wal,
    snap_files: SnapFiles,
    /// The last batch appended, and the last one acknowledged.
    appended_seq: u64,
    acknowledged_seq: u64,
    must_sync: bool,
    durable_commit: u64,
    /// Segments before this index are no longer needed, once its record is durable.
    release: Option<u64>,
    /// Databases received with snapshots before this index are no longer needed: what is applied lies beyond. (The
    /// record of a received snapshot does not say so: the one before it may still wait to be installed.)
    release_dbs: Option<u64>,
    segment_bytes: u64,
    /// Only for tests and `--unsafe-no-fsync`: the data are as durable as the operating system makes them.
    skip_sync: bool,
}

impl LogWriter {
    pub(crate) fn new(
        wal: Wal,
        snap_files: SnapFiles,
        durable_commit: u64,
        segment_bytes: u64,
        skip_sync: bool,
    ) -> Self {
        Self {
            wal,
            snap_files,
            appended_seq: 0,
            acknowledged_seq: 0,
            must_sync: false,
            durable_commit,
            release: None,
            release_dbs: None,
            segment_bytes,
            skip_sync,
        }
    }

    /// Appends what the batch holds; durable only after [`Self::sync`].
    pub fn append(&mut self, batch: Batch) -> Result<(), LogError> {
        debug_assert_eq!(batch.seq, self.appended_seq + 1, "batches come in order");
        if let Some(snapshot) = &batch.snapshot {
            self.snap_files.save(snapshot)?;
            let metadata = snapshot.metadata.clone().unwrap_or_default();
            let conf_state = metadata.conf_state;
            self.wal.save_snapshot(&walpb::Snapshot { index: metadata.index, term: metadata.term, conf_state })?;
            self.release = Some(metadata.index);
        }
        let hard_state = batch.hard_state.unwrap_or_default();
        self.must_sync |= self.wal.save(&hard_state, &batch.entries)?;
        if let Some(SnapshotRecord { index, term, conf_state }) = batch.snapshot_record {
            self.wal.save_snapshot(&walpb::Snapshot { index, term, conf_state: Some(conf_state) })?;
            self.release = Some(index);
            self.release_dbs = Some(index);
        }
        self.must_sync |= batch.sync || batch.snapshot.is_some();
        self.appended_seq = batch.seq;
        Ok(())
    }

    /// Makes all appended batches durable with at most one sync, none where nothing in them asks for it. `None` where
    /// nothing was appended.
    pub fn sync(&mut self) -> Result<Option<Persisted>, LogError> {
        if self.appended_seq == self.acknowledged_seq {
            return Ok(None);
        }
        if self.must_sync {
            if self.skip_sync {
                self.wal.flush()?
            } else {
                self.wal.sync()?
            }
            self.must_sync = false;
            self.durable_commit = self.durable_commit.max(self.wal.hard_state().commit);
        }
        if let Some(index) = self.release.take() {
            self.wal.release_to(index);
        }
        if let Some(index) = self.release_dbs.take() {
            self.snap_files.release_dbs_before(index)?;
        }
        self.acknowledged_seq = self.appended_seq;
        Ok(Some(Persisted { seq: self.acknowledged_seq, commit: self.durable_commit }))
    }

    /// Bytes appended and not yet synced.
    pub fn unsynced_bytes(&self) -> u64 {
        self.wal.unsynced_bytes()
    }

    /// Sets space for the next segment aside once the present one is half full. For a quiet moment, so that nobody waits
    /// for it when the segment ends; does nothing most of the time.
    pub fn prepare_next(&mut self) -> Result<(), LogError> {
        let (_, end) = self.wal.position();
        if end >= self.segment_bytes / 2 {
            self.wal.prepare_next()?;
        }
        Ok(())
    }

    /// Closes the log in good order.
    pub fn close(self) -> Result<(), LogError> {
        Ok(self.wal.close()?)
    }
}
