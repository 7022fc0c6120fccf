//! A range as a cursor over one moment (facts: errors, 6).
//!
//! Opening a range walks the index once: it counts, and sorts where asked. Records are read one by one as the cursor is
//! advanced; entries of the index are taken in slices, so that the cursor can own its view.

use std::borrow::Borrow;
use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{encode_varint, encoded_len_varint};
use proto::mvccpb::KeyValue;

use crate::error::Result;
use crate::index::{Entry, KeyMeta, KeyRange};
use crate::record;
use crate::view::image::Image;
use crate::view::query::{Filter, KeysOnly, RangeQuery, SortOrder, SortTarget};
use crate::view::sort;

/// Entries taken from the index at a time.
const SLICE: usize = 64;
/// Records and their bytes up to which the first pass of an encoding keeps what it read for the second.
const KEPT_MAX: usize = 512;
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Tag and wire type of the field `kvs` of a `RangeResponse`.
const KVS_TAG: u8 = 0x12;

/// The keys found by a range, read one by one from one moment: `I` is `&Image` or [`crate::View`].
/// Holds no values; sorted orders hold a few bytes per key, or per key up to the limit.
pub struct Range<I: Borrow<Image>> {
    image: I,
    /// The main revision that is read.
    at: i64,
    keys_only: KeysOnly,
    count: i64,
    more: bool,
    /// Keys that the cursor yields in all, and has yielded.
    len: usize,
    yielded: usize,
    order: Order,
    /// Found and not yet yielded from `position` on.
    slice: Vec<Entry>,
    position: usize,
}

enum Order {
    Forward(Span),
    Backward(Span),
    Sorted(Vec<Entry>),
}

/// What a walk by key needs to go on behind its slice.
struct Span {
    key: Bytes,
    range_end: Bytes,
    filter: Filter,
    /// Whether the slice is the first one.
    at_first: bool,
}

/// One key of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeItem {
    /// The encoded `KeyValue`, ready for the wire.
    pub record: Bytes,
}

impl RangeItem {
    /// Decodes; key and value point into the record.
    pub fn kv(&self) -> Result<KeyValue> {
        record::decode(self.record.clone())
    }
}

impl<I: Borrow<Image>> Range<I> {
    pub(crate) fn new(image: I, query: &RangeQuery) -> Result<Range<I>> {
        let at = image.borrow().resolve(query.revision)?;
        let mut range = Range {
            image,
            at,
            // A sort by value reads the records anyhow, and then answers from them.
            keys_only: match (query.keys_only, query.sort_target) {
                (KeysOnly::FromIndex, SortTarget::Value) => KeysOnly::FromRecords,
                (keys_only, _) => keys_only,
            },
            count: 0,
            more: false,
            len: 0,
            yielded: 0,
            order: Order::Sorted(Vec::new()),
            slice: Vec::new(),
            position: 0,
        };
        if query.count_only {
            range.count = range.image.borrow().index.alive(query.key_range(), at).count() as i64;
        } else if query.sort_target == SortTarget::Key {
            range.walk(query);
        } else {
            range.sort(query)?;
        }
        Ok(range)
    }

    /// By key: counts everything, keeps the first slice.
    fn walk(&mut self, query: &RangeQuery) {
        let filter = query.filter();
        let backward = query.sort_order == SortOrder::Descend;
        let mut matched = 0;
        let enough = if query.uncounted { limit(query).saturating_add(1) } else { usize::MAX };
        // False ends the walk.
        let mut see = |(entry, meta): (&Entry, KeyMeta)| {
            self.count += 1;
            if filter.passes(&meta) {
                matched += 1;
                if self.slice.len() < SLICE {
                    self.slice.push(entry.clone());
                }
            }
            matched < enough
        };
        let alive = || self.image.borrow().index.alive(query.key_range(), self.at);
        if backward {
            alive().rev().all(&mut see);
        } else {
            alive().all(&mut see);
        }
        self.cut(matched, limit(query));
        let span = Span { key: query.key.clone(), range_end: query.range_end.clone(), filter, at_first: true };
        self.order = if backward { Order::Backward(span) } else { Order::Forward(span) };
    }

    /// By something else than the key: keeps the order, bounded by the limit.
    fn sort(&mut self, query: &RangeQuery) -> Result<()> {
        let filter = query.filter();
        let image = self.image.borrow();
        let mut matched = 0;
        // Without an order asked, only what a limited fetch by key would have found takes part.
        let is_fetch_limited = query.sort_order == SortOrder::None && filter.is_off();
        let fetched_max = if is_fetch_limited { limit(query).saturating_add(1) } else { usize::MAX };
        let mut sorter = sort::Sorter::new(image, query);
        for (entry, meta) in image.index.alive(query.key_range(), self.at) {
            self.count += 1;
            if filter.passes(&meta) {
                matched += 1;
                if matched <= fetched_max {
                    sorter.push(entry, &meta)?;
                }
            }
        }
        let sorted = sorter.finish()?;
        self.cut(matched, limit(query));
        self.order = Order::Sorted(sorted);
        Ok(())
    }

    fn cut(&mut self, matched: usize, limit: usize) {
        self.len = matched.min(limit);
        self.more = matched > limit;
    }

    /// The number of keys in the range at the asked revision, before filters and limit; of an uncounted range, those
    /// that the walk passed.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Whether the limit cut the answer.
    pub fn more(&self) -> bool {
        self.more
    }

    /// Keys that the cursor yields from its start to its end.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it yields none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The store's current revision at this moment (for the header), not the asked one.
    pub fn revision(&self) -> i64 {
        self.image.borrow().revision
    }

    /// The main revision at which the keys are read.
    pub fn read_revision(&self) -> i64 {
        self.at
    }

    /// The next key, `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<RangeItem>> {
        if self.yielded == self.len {
            return Ok(None);
        }
        if let Order::Forward(_) | Order::Backward(_) = self.order
            && self.position == self.slice.len()
        {
            self.next_slice();
        }
        let entry = match &self.order {
            Order::Sorted(sorted) => &sorted[self.yielded],
            Order::Forward(_) | Order::Backward(_) => &self.slice[self.position],
        };
        let meta = entry.meta_at(self.at).expect("invariant: only keys that exist at the read revision are found");
        let record = self.read(entry, &meta)?;
        self.position += 1;
        self.yielded += 1;
        Ok(Some(RangeItem { record }))
    }

    fn read(&self, entry: &Entry, meta: &KeyMeta) -> Result<Bytes> {
        if self.keys_only == KeysOnly::FromIndex {
            let key = entry.key();
            return Ok(record::encode(key, b"", 0, meta.create_revision, meta.mod_revision(), meta.version).0);
        }
        let record = self.image.borrow().record(meta.revision)?;
        if self.keys_only == KeysOnly::No {
            return Ok(record);
        }
        let kv = record::decode(record)?;
        Ok(record::encode(&kv.key, b"", kv.lease, kv.create_revision, kv.mod_revision, kv.version).0)
    }

    /// The next key decoded, `None` at the end.
    pub fn next_kv(&mut self) -> Result<Option<KeyValue>> {
        self.next_item()?.map(|item| item.kv()).transpose()
    }

    /// Back to the first key.
    pub fn rewind(&mut self) {
        self.yielded = 0;
        self.position = 0;
        if let Order::Forward(span) | Order::Backward(span) = &self.order
            && !span.at_first
        {
            self.slice.clear();
            self.next_slice();
        }
    }

    /// Takes the entries behind the last one of the slice; those at the start where it is empty.
    fn next_slice(&mut self) {
        let last = self.slice.last().cloned();
        self.slice.clear();
        self.position = 0;
        let index = &self.image.borrow().index;
        let at = self.at;
        let passes = |filter: &Filter, entry: &Entry| entry.meta_at(at).is_some_and(|meta| filter.passes(&meta));
        match &mut self.order {
            Order::Sorted(_) => {}
            Order::Forward(span) => {
                span.at_first = last.is_none();
                let (start, end) = span.bounds();
                let start = last.as_ref().map_or(start, |last| Bound::Excluded(last.key()));
                let found = index.within((start, end)).filter(|entry| passes(&span.filter, entry));
                self.slice.extend(found.take(SLICE).cloned());
            }
            Order::Backward(span) => {
                span.at_first = last.is_none();
                let (start, end) = span.bounds();
                let end = last.as_ref().map_or(end, |last| Bound::Excluded(last.key()));
                let found = index.within((start, end)).rev().filter(|entry| passes(&span.filter, entry));
                self.slice.extend(found.take(SLICE).cloned());
            }
        }
    }

    /// Walks the whole range once, so that the length of its encoding is known; the second walk is the encoding's.
    pub fn encode(mut self) -> Result<EncodedRange<I>> {
        self.rewind();
        let mut len = 0;
        let mut kept = Vec::with_capacity(if self.len <= KEPT_MAX { self.len } else { 0 });
        while let Some(item) = self.next_item()? {
            len += field_len(&item.record);
            if self.len <= KEPT_MAX && len <= KEPT_BYTES_MAX {
                kept.push(item.record);
            }
        }
        if kept.len() < self.len {
            kept = Vec::new();
        }
        self.rewind();
        Ok(EncodedRange { range: self, len, kept, next: 0 })
    }
}

impl Span {
    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        match KeyRange::new(&self.key, &self.range_end) {
            KeyRange::One(key) => (Bound::Included(key), Bound::Included(key)),
            KeyRange::From { start, end: Some(end) } => (Bound::Included(start), Bound::Excluded(end)),
            KeyRange::From { start, end: None } => (Bound::Included(start), Bound::Unbounded),
        }
    }
}

/// The limit of a query as a number of keys.
pub(super) fn limit(query: &RangeQuery) -> usize {
    usize::try_from(query.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX)
}

fn field_len(record: &Bytes) -> usize {
    1 + encoded_len_varint(record.len() as u64) + record.len()
}

/// The second pass: yields the bytes of the field `kvs` (field 2) of a `RangeResponse`, exactly `len()` in all.
pub struct EncodedRange<I: Borrow<Image>> {
    range: Range<I>,
    len: usize,
    /// All records, of a small range.
    kept: Vec<Bytes>,
    next: usize,
}

impl<I: Borrow<Image>> EncodedRange<I> {
    /// Length of all bytes in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The range itself: its count, revision, whether there is more.
    pub fn range(&self) -> &Range<I> {
        &self.range
    }

    /// Appends whole keys until `out` holds at least `bytes_min` bytes or the end is reached; false at the end.
    pub fn fill(&mut self, out: &mut BytesMut, bytes_min: usize) -> Result<bool> {
        while out.len() < bytes_min {
            let Some(record) = self.next_record()? else { return Ok(false) };
            out.reserve(field_len(&record));
            out.put_u8(KVS_TAG);
            encode_varint(record.len() as u64, out);
            out.extend_from_slice(&record);
        }
        Ok(true)
    }

    fn next_record(&mut self) -> Result<Option<Bytes>> {
        if self.kept.is_empty() {
            return Ok(self.range.next_item()?.map(|item| item.record));
        }
        self.next += 1;
        Ok(self.kept.get(self.next - 1).cloned())
    }
}
