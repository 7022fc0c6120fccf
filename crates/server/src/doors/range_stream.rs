//! A range in chunks: all read at one revision, each from a view of its own, so that a slow client pins nothing.

use super::kv::on_reader_thread;
use crate::metrics::Op;
use crate::run::front::{Failure, Front};
use bytes::Bytes;
use mvcc::RangeQuery;
use proto::errors::ClientError;
use proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader};
use proto::mvccpb::KeyValue;
use state::{StateView, kv};
use std::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

/// Keys in the first chunk.
const FIRST_CHUNK_KEYS: i64 = 10;
/// What a key costs beside its name and value.
const KEY_OVERHEAD_BYTES: usize = 32;

/// Where a stream stands.
struct Progress {
    front: Front,
    /// The rest of the range; key and revision move on.
    query: RangeQuery,
    /// Keys still wanted; `i64::MAX` where there is no limit.
    left: i64,
    chunk_keys: i64,
    /// Header and number of keys in the whole range, fixed with the first chunk.
    whole: Option<(ResponseHeader, i64)>,
    ended: bool,
}

/// What was read for one chunk.
struct Chunk {
    kvs: Vec<KeyValue>,
    bytes: usize,
    /// There are no more keys.
    exhausted: bool,
    count: i64,
}

/// The chunks of a range that was admitted and checked.
pub fn chunks(front: Front, request: RangeRequest) -> impl Stream<Item = Result<RangeStreamResponse, Status>> + Send {
    front.shared.metrics.ranges_run.inc();
    let query = kv::query(&request, front.shared.version);
    let left = if query.limit > 0 { query.limit } else { i64::MAX };
    let progress = Progress { front, query, left, chunk_keys: FIRST_CHUNK_KEYS, whole: None, ended: false };
    futures_util::stream::unfold(progress, |mut progress| async move {
        if progress.ended {
            return None;
        }
        let chunk = progress.next().await.map_err(Status::from);
        progress.ended |= chunk.is_err();
        Some((chunk, progress))
    })
}

impl Progress {
    async fn next(&mut self) -> Result<RangeStreamResponse, Failure> {
        if self.front.is_stopping() {
            return Err(ClientError::Stopped.into());
        }
        let view = self.front.view();
        if self.whole.is_none() && self.query.revision <= 0 {
            self.query.revision = view.kv().revision();
        }
        let chunk = self.read(view.clone()).await?;
        let (header, count) =
            *self.whole.get_or_insert_with(|| (self.front.header(&view, view.kv().revision()), chunk.count));
        self.left -= chunk.kvs.len() as i64;
        self.ended = chunk.exhausted || self.left <= 0 || self.query.count_only;
        self.grow(chunk.bytes);
        if let Some(last) = chunk.kvs.last() {
            self.query.key = successor(&last.key);
        }
        // Only the last chunk says more than its keys.
        let mut part = RangeResponse { kvs: chunk.kvs, ..Default::default() };
        if self.ended {
            part.header = Some(header);
            part.count = count;
            part.more = !chunk.exhausted && !self.query.count_only;
        }
        Ok(RangeStreamResponse { range_response: Some(part) })
    }

    async fn read(&self, view: StateView) -> Result<Chunk, Failure> {
        let began = Instant::now();
        let query =
            RangeQuery { limit: self.chunk_keys.min(self.left), uncounted: self.whole.is_some(), ..self.query.clone() };
        let bytes_max = self.front.shared.limits.request_bytes_max;
        let chunk = on_reader_thread(move || read(&view, &query, bytes_max)).await?;
        self.front.shared.metrics.ranges.observe(Op::Range, chunk.is_ok(), began.elapsed());
        Ok(chunk?)
    }

    /// Doubles or halves the next chunk, to come near the largest request in bytes.
    fn grow(&mut self, bytes: usize) {
        let target = self.front.shared.limits.request_bytes_max;
        if bytes.saturating_mul(2) <= target {
            self.chunk_keys = self.chunk_keys.saturating_mul(2);
        } else if bytes > target {
            self.chunk_keys = (self.chunk_keys / 2).max(1);
        }
    }
}

/// Reads up to the limit of the query, or until there are more bytes than a chunk should have.
fn read(view: &StateView, query: &RangeQuery, bytes_max: usize) -> mvcc::Result<Chunk> {
    let mut range = view.kv().range(query)?;
    let (mut kvs, mut bytes) = (Vec::new(), 0);
    while bytes <= bytes_max
        && let Some(kv) = range.next_kv()?
    {
        bytes += kv.key.len() + kv.value.len() + KEY_OVERHEAD_BYTES;
        kvs.push(kv);
    }
    let exhausted = kvs.len() == range.len() && !range.more();
    Ok(Chunk { exhausted, kvs, bytes, count: range.count() })
}

/// The first key after `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Bytes::from(next)
}
