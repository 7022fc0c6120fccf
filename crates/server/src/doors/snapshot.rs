//! The database as a stream: 32 KiB parts, then the SHA-256 of all of them.

use super::kv::on_reader_thread;
use crate::run::front::Failure;
use bytes::Bytes;
use mvcc::SnapshotSource;
use proto::etcdserverpb::SnapshotResponse;
use sha2::{Digest, Sha256};
use tokio_stream::Stream;
use tonic::Status;

/// Bytes in one message.
const PART_BYTES: usize = 32 * 1024;
/// Bytes read from the disk at a time.
const READ_BYTES: usize = 32 * PART_BYTES;

struct Progress {
    source: SnapshotSource,
    version: String,
    offset: u64,
    /// Read and not yet sent.
    ahead: Bytes,
    hash: Sha256,
    ended: bool,
}

/// The messages of a snapshot. They pin the source until the last of them is sent or the stream is dropped.
pub fn parts(source: SnapshotSource, version: String) -> impl Stream<Item = Result<SnapshotResponse, Status>> + Send {
    let progress =
        Progress { source, version, offset: 0, ahead: Bytes::new(), hash: Sha256::new(), ended: false };
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
        let total = self.source.len();
        if self.offset == total {
            self.ended = true;
            let sum = Bytes::copy_from_slice(&self.hash.finalize_reset());
            return Ok(self.message(sum));
        }
        if self.ahead.is_empty() {
            let (source, offset) = (self.source.clone(), self.offset);
            self.ahead = on_reader_thread(move || source.read(offset, READ_BYTES)).await??;
        }
        let part = self.ahead.split_to(self.ahead.len().min(PART_BYTES));
        if part.is_empty() {
            return Err(Failure::Other(format!("the database ended at {} of {total} bytes", self.offset)));
        }
        self.hash.update(&part);
        self.offset += part.len() as u64;
        Ok(self.message(part))
    }

    fn message(&self, blob: Bytes) -> SnapshotResponse {
        let remaining_bytes = self.source.len() - self.offset;
        SnapshotResponse { header: None, remaining_bytes, blob, version: self.version.clone() }
    }
}
