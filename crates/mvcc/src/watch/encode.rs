//! Events in the form of the wire, each encoded once and shared by all answers that carry it.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use proto::mvccpb::KeyValue;

use super::publish::Hit;
use crate::event::{Event, EventKind};
use crate::view::View;

/// Tag of `WatchResponse.events` (11, length-delimited).
const EVENTS_TAG: u8 = 11 << 3 | 2;
/// Tags of `Event.type` (varint), `Event.kv` and `Event.prev_kv` (length-delimited).
const TYPE_TAG: u8 = 1 << 3;
const KV_TAG: u8 = 2 << 3 | 2;
const PREV_KV_TAG: u8 = 3 << 3 | 2;

/// Encoded events of one answer: a run of whole `events` fields.
#[derive(Clone, Debug)]
pub(super) enum Chunk {
    One(Bytes),
    Many(Arc<[Bytes]>),
}

impl Chunk {
    pub(super) fn parts(&self) -> &[Bytes] {
        match self {
            Chunk::One(bytes) => std::slice::from_ref(bytes),
            Chunk::Many(parts) => parts,
        }
    }
}

/// The events of a batch or slice with what has been encoded of them so far.
pub(super) struct Encoder<'a> {
    events: &'a [Event],
    view: &'a View,
    plain: Vec<Option<Bytes>>,
    with_prev: Vec<Option<Bytes>>,
    /// The last list that was put together: watchers with the same range follow each other.
    last: Option<(bool, Vec<u32>, Chunk)>,
}

impl<'a> Encoder<'a> {
    /// Previous values are read from the view.
    pub(super) fn new(events: &'a [Event], view: &'a View) -> Encoder<'a> {
        Encoder { events, view, plain: Vec::new(), with_prev: Vec::new(), last: None }
    }

    pub(super) fn event(&self, number: u32) -> &'a Event {
        &self.events[number as usize]
    }

    /// One event as a field of a `WatchResponse`. Errs only where a previous value cannot be read from disk.
    pub(super) fn one(&mut self, number: u32, prev_kv: bool) -> crate::Result<Bytes> {
        let cache = if prev_kv { &mut self.with_prev } else { &mut self.plain };
        cache.resize(self.events.len(), None);
        if let Some(bytes) = &cache[number as usize] {
            return Ok(bytes.clone());
        }
        let event = &self.events[number as usize];
        let prev = if prev_kv { previous(event, self.view)? } else { None };
        let bytes = encode(event, prev.as_ref());
        cache[number as usize] = Some(bytes.clone());
        Ok(bytes)
    }

    /// Several events, in this order.
    pub(super) fn chunk(&mut self, hits: &[Hit], prev_kv: bool) -> crate::Result<Chunk> {
        if let [(_, only)] = hits {
            return Ok(Chunk::One(self.one(*only, prev_kv)?));
        }
        let numbers = || hits.iter().map(|(_, number)| *number);
        if let Some((with_prev, same, chunk)) = &self.last
            && *with_prev == prev_kv
            && numbers().eq(same.iter().copied())
        {
            return Ok(chunk.clone());
        }
        let parts = numbers().map(|n| self.one(n, prev_kv)).collect::<crate::Result<Vec<Bytes>>>()?;
        let chunk = Chunk::Many(parts.into());
        self.last = Some((prev_kv, numbers().collect(), chunk.clone()));
        Ok(chunk)
    }
}

// The value before the event: none for a key that was created by it, and none where it is compacted.
fn previous(event: &Event, view: &View) -> crate::Result<Option<KeyValue>> {
    if event.is_create() {
        return Ok(None);
    }
    match view.get_kv(&event.kv.key, event.revision.main - 1) {
        Err(e) if e.client().is_some() => Ok(None),
        other => other,
    }
}

fn encode(event: &Event, prev: Option<&KeyValue>) -> Bytes {
    let is_delete = event.kind == EventKind::Delete;
    // A put's record is the encoding of its key-value pair.
    let kv_len = if is_delete { event.kv.encoded_len() } else { event.record.len() };
    let prev_len = prev.map(Message::encoded_len);
    let nested = |len: usize| 1 + encoded_len_varint(len as u64) + len;
    let len = if is_delete { 2 } else { 0 } + nested(kv_len) + prev_len.map_or(0, nested);
    let mut out = BytesMut::with_capacity(nested(len));
    out.put_u8(EVENTS_TAG);
    encode_varint(len as u64, &mut out);
    if is_delete {
        out.put_slice(&[TYPE_TAG, 1]);
    }
    out.put_u8(KV_TAG);
    encode_varint(kv_len as u64, &mut out);
    if is_delete {
        event.kv.encode_raw(&mut out);
    } else {
        out.put_slice(&event.record);
    }
    if let (Some(prev), Some(len)) = (prev, prev_len) {
        out.put_u8(PREV_KV_TAG);
        encode_varint(len as u64, &mut out);
        prev.encode_raw(&mut out);
    }
    out.freeze()
}
