//! The database as a stream: 32 KiB parts, then the SHA-256 of all of them. It pins a commit, so these streams are limited in
//! number and time.

use super::kv::on_reader_thread;
use crate::logging::lines;
use crate::run::front::{Failure, Front};
use crate::run::pins::Pinned;
use bytes::Bytes;
use mvcc::SnapshotChunks;
use proto::errors::ClientError;
use proto::etcdserverpb::SnapshotResponse;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::Stream;
use tonic::Status;

/// Bytes in one message.
const PART_BYTES: usize = 32 * 1024;
/// How long a stream may take, and how many bytes more it gets for each second beyond.
const AGE_MAX: Duration = Duration::from_secs(600);
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;

struct Progress {
    front: Front,
    chunks: Pinned<SnapshotChunks>,
    version: String,
    len: u64,
    /// Bytes that were not sent yet.
    remaining: u64,
    /// Read and not yet sent.
    ahead: Bytes,
    hash: Sha256,
    ended: bool,
    began: Instant,
    _place: OwnedSemaphorePermit,
}

/// The messages of a snapshot of what is applied now.
pub async fn parts(
    front: Front,
) -> Result<impl Stream<Item = Result<SnapshotResponse, Status>> + Send + use<>, Failure> {
    let pins = front.shared.figures.pins.clone();
    let place = pins.snapshot().ok_or(Failure::TooManySnapshots)?;
    let (began, source) = (Instant::now(), front.snapshot_source().await?);
    let versions = front.view().versions();
    let version = versions.storage.filter(|_| front.shared.version >= state::Version::V3_6);
    let (len, version) = (source.len(), version.map(|version| version.to_string()).unwrap_or_default());
    lines::sending_snapshot(len, &version);
    let age_max = AGE_MAX + Duration::from_secs(len / BYTES_PER_SECOND_MIN);
    let progress = Progress {
        chunks: pins.hold(source.stream(), age_max),
        front,
        version,
        len,
        remaining: len,
        ahead: Bytes::new(),
        hash: Sha256::new(),
        ended: false,
        began,
        _place: place,
    };
    Ok(futures_util::stream::unfold(progress, |mut progress| async move {
        if progress.ended {
            return None;
        }
        let part = progress.next().await.map_err(Status::from);
        progress.ended |= part.is_err();
        Some((part, progress))
    }))
}

impl Progress {
    async fn next(&mut self) -> Result<SnapshotResponse, Failure> {
        if self.remaining == 0 {
            self.ended = true;
            lines::sent_snapshot(self.len, self.began.elapsed(), &self.version);
            let sum = Bytes::copy_from_slice(&self.hash.finalize_reset());
            return Ok(self.message(sum));
        }
        if self.front.is_stopping() {
            return Err(ClientError::Stopped.into());
        }
        if self.ahead.is_empty() {
            self.ahead = self.read().await?;
        }
        let part = self.ahead.split_to(self.ahead.len().min(PART_BYTES));
        self.hash.update(&part);
        self.remaining = self.remaining.saturating_sub(part.len() as u64);
        Ok(self.message(part))
    }

    async fn read(&mut self) -> Result<Bytes, Failure> {
        let mut chunks = self.chunks.take().ok_or(Failure::Cut)?;
        let (chunks, chunk) = on_reader_thread(move || {
            let chunk = chunks.next_chunk();
            (chunks, chunk)
        })
        .await?;
        self.chunks.put_back(chunks);
        chunk?.ok_or_else(|| Failure::Other("the database ended before its end".to_owned()))
    }

    fn message(&self, blob: Bytes) -> SnapshotResponse {
        SnapshotResponse { header: None, remaining_bytes: self.remaining, blob, version: self.version.clone() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.front.shared.metrics.backend_snapshot.observe(self.began.elapsed());
    }
}
