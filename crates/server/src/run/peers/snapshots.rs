//! Databases that go out to members that are behind, and those that come in.

use super::snapshot_index;
use crate::run::pins::{Pinned, Pins};
use ::peer::{SnapshotSink, SnapshotSource};
use bytes::Bytes;
use disk::Disk;
use mvcc::SnapshotChunks;
use node::ReceivingDb;
use proto::raftpb::Message;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wal::MemberDir;

/// How long a database may take to its receiver, and how many bytes more it gets for each second beyond.
const AGE_MAX: Duration = Duration::from_secs(600);
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;

/// A database, part after part. Pins its pages until it is dropped, and for bounded time.
pub struct Source {
    chunks: SnapshotChunks,
    until: Instant,
    /// Counted among the views that are held.
    _pin: Pinned<()>,
}

impl Source {
    pub fn new(source: &mvcc::SnapshotSource, pins: &Arc<Pins>) -> Source {
        let age_max = AGE_MAX + Duration::from_secs(source.len() / BYTES_PER_SECOND_MIN);
        let pin = pins.hold((), age_max);
        // Taken out, it is left alone by who looks for answers that lie about.
        pin.take();
        Source { chunks: source.stream(), until: Instant::now() + age_max, _pin: pin }
    }
}

impl SnapshotSource for Source {
    fn next_part(&mut self) -> io::Result<Option<Bytes>> {
        if Instant::now() > self.until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the receiver took too long"));
        }
        self.chunks.next_chunk().map_err(io::Error::other)
    }
}

/// Where received databases go.
pub struct Place {
    disk: Arc<dyn Disk>,
    dir: MemberDir,
    /// Tells those under way from each other.
    count: AtomicU64,
}

impl Place {
    pub fn new(disk: Arc<dyn Disk>, dir: MemberDir) -> Place {
        Place { disk, dir, count: AtomicU64::new(0) }
    }

    /// Begins to receive the database that comes with this message.
    pub fn begin(&self, message: &Message) -> io::Result<Box<dyn SnapshotSink>> {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let receiving = ReceivingDb::begin(self.disk.clone(), &self.dir, snapshot_index(message), n)?;
        Ok(Box::new(Sink(Some(receiving))))
    }
}

/// A database that is being received; given up where it is dropped before its end.
struct Sink(Option<ReceivingDb>);

impl SnapshotSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Some(receiving) => receiving.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        match self.0.take() {
            Some(receiving) => receiving.finish(),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(Err(failure)) = self.0.take().map(ReceivingDb::abort) {
            tracing::warn!(error = %failure, "failed to remove a part of a received database");
        }
    }
}
