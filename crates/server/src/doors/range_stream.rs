//! A range in chunks: all read at one revision, each from a view of its own, so that a slow client pins nothing.

use super::kv::on_reader_thread;
use crate::run::front::{Failure, Front};
use bytes::Bytes;
use proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse};
use state::kv;
use tokio_stream::Stream;
use tonic::Status;

/// Keys in the first chunk.
const FIRST_CHUNK_KEYS: i64 = 10;

/// Where a stream stands.
struct Progress {
    front: Front,
    /// The rest of the request: key, limit and revision move on.
    request: RangeRequest,
    chunk_keys: i64,
    /// The number of keys in the whole range, known with the first chunk.
    count: Option<i64>,
    ended: bool,
}

/// The chunks of a range that was admitted and checked.
pub fn chunks(front: Front, request: RangeRequest) -> impl Stream<Item = Result<RangeStreamResponse, Status>> + Send {
    let progress = Progress { front, request, chunk_keys: FIRST_CHUNK_KEYS, count: None, ended: false };
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
        let view = self.front.view();
        let first = self.count.is_none();
        if first && self.request.revision <= 0 {
            self.request.revision = view.kv().revision();
        }
        let revision = if first { view.kv().revision() } else { self.request.revision };
        let asked = RangeRequest { limit: self.chunk_limit(), ..self.request.clone() };
        let moved = view.clone();
        let mut part = on_reader_thread(move || kv::range(moved.kv(), &asked)).await???;
        let count = *self.count.get_or_insert(part.count);
        let left = self.request.limit - part.kvs.len() as i64;
        let limited = self.request.limit > 0 && left <= 0;
        self.ended = !part.more || limited || self.request.count_only;
        self.grow(&part);
        if let Some(last) = part.kvs.last() {
            self.request.key = successor(&last.key);
        }
        if self.request.limit > 0 {
            self.request.limit = left;
        }
        part.header = self.ended.then(|| self.front.header(&view, revision));
        part.count = if self.ended { count } else { 0 };
        part.more = self.ended && limited && part.more;
        Ok(RangeStreamResponse { range_response: Some(part) })
    }

    fn chunk_limit(&self) -> i64 {
        if self.request.limit > 0 { self.chunk_keys.min(self.request.limit) } else { self.chunk_keys }
    }

    /// Doubles or halves the next chunk, to come near the largest request in bytes.
    fn grow(&mut self, part: &RangeResponse) {
        let bytes: usize = part.kvs.iter().map(|kv| kv.key.len() + kv.value.len() + 32).sum();
        let target = self.front.shared.limits.request_bytes_max;
        if bytes * 2 <= target {
            self.chunk_keys = self.chunk_keys.saturating_mul(2);
        } else if bytes > target {
            self.chunk_keys = (self.chunk_keys / 2).max(1);
        }
    }
}

/// The first key after `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Bytes::from(next)
}
