//! What a stream is to send: an answer whose events are encoded already.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use proto::etcdserverpb::{ResponseHeader, WatchResponse};

use super::encode::Chunk;

/// Why an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A watcher was created.
    Created,
    /// A watcher could not be created.
    Refused,
    /// A watcher ended, by the client's wish.
    Canceled,
    /// A watcher ended because what it was to be told next is compacted.
    Compacted,
    Progress,
    Events,
}

/// One answer of a stream. [`Output::encode`] writes it as it goes onto the wire, [`Output::to_message`] gives it as a
/// message; both carry the same.
#[derive(Clone, Debug)]
pub struct Output {
    pub(super) kind: OutputKind,
    /// Everything but the events.
    pub(super) head: WatchResponse,
    pub(super) events: Option<Chunk>,
    /// Bytes of the events.
    pub(super) events_len: usize,
}

impl Output {
    pub(super) fn control(kind: OutputKind, watch_id: i64, revision: i64) -> Output {
        let header = Some(ResponseHeader { revision, ..ResponseHeader::default() });
        let head = WatchResponse { header, watch_id, ..WatchResponse::default() };
        Output { kind, head, events: None, events_len: 0 }
    }

    pub fn kind(&self) -> OutputKind {
        self.kind
    }

    pub fn watch_id(&self) -> i64 {
        self.head.watch_id
    }

    /// The revision in the header.
    pub fn revision(&self) -> i64 {
        self.head.header.as_ref().map_or(0, |h| h.revision)
    }

    pub fn event_count(&self) -> usize {
        self.events.as_ref().map_or(0, |chunk| chunk.parts().len())
    }

    /// The length of what [`Output::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        self.head.encoded_len() + self.events_len
    }

    /// Writes the encoded `WatchResponse`.
    pub fn encode(&self, out: &mut impl BufMut) {
        self.head.encode_raw(out);
        for part in self.events.iter().flat_map(|chunk| chunk.parts()) {
            out.put_slice(part);
        }
    }

    /// The encoded `WatchResponse`.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.encode(&mut out);
        out.freeze()
    }

    /// The answer as a message.
    pub fn to_message(&self) -> WatchResponse {
        WatchResponse::decode(&mut self.to_bytes() as &mut dyn Buf).expect("just encoded")
    }

    pub(super) fn set_identity(&mut self, cluster_id: u64, member_id: u64, raft_term: u64) {
        if let Some(header) = &mut self.head.header {
            (header.cluster_id, header.member_id, header.raft_term) = (cluster_id, member_id, raft_term);
        }
    }
}
