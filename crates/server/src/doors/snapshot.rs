//! The database as a stream: 32 KiB parts, then the SHA-256 of all of them.

use super::kv::on_reader_thread;
use crate::run::front::Failure;
use bytes::Bytes;
use mvcc::{SnapshotChunks, SnapshotSource};
use proto::etcdserverpb::SnapshotResponse;
use sha2::{Digest, Sha256};
use tokio_stream::Stream;
use tonic::Status;

/// Bytes in one message.
const PART_BYTES: usize = 32 * 1024;

struct Progress {
    /// Given to the thread that reads, and taken back.
    chunks: Option<SnapshotChunks>,
    version: String,
    /// Bytes that were not sent yet.
    remaining: u64,
    /// Read and not yet sent.
    ahead: Bytes,
    hash: Sha256,
    ended: bool,
}

/// The messages of a snapshot. They pin the source until the last of them is sent or the stream is dropped.
pub fn parts(source: SnapshotSource, version: String) -> impl Stream<Item = Result<SnapshotResponse, Status>> + Send {
    let progress = Progress {
        remaining: source.len(),
        chunks: Some(source.stream()),
        version,
        ahead: Bytes::new(),
        hash: Sha256::new(),
        ended: false,
    };
    futures_util::stream::unfold(progress, |mut progress| async move {
        if progress.ended {
            return None;
        }
        let part = progress.next().await.map_err(Status::from);
        progress.ended |= part.is_err();
        Some((part, progress))
    })
}

impl Progress {
    async fn next(&mut self) -> Result<SnapshotResponse, Failure> {
        if self.remaining == 0 {
            self.ended = true;
            let sum = Bytes::copy_from_slice(&self.hash.finalize_reset());
            return Ok(self.message(sum));
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
        let ended = || Failure::Other("the database ended before its end".to_owned());
        let mut chunks = self.chunks.take().ok_or_else(ended)?;
        let (chunks, chunk) = on_reader_thread(move || {
            let chunk = chunks.next_chunk();
            (chunks, chunk)
        })
        .await?;
        self.chunks = Some(chunks);
        chunk?.ok_or_else(ended)
    }

    fn message(&self, blob: Bytes) -> SnapshotResponse {
        SnapshotResponse { header: None, remaining_bytes: self.remaining, blob, version: self.version.clone() }
    }
}
