//! An outgoing stream: the endless body of the answer to a peer's GET.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use proto::raftpb::Message;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{Peer, StreamKind, Way};
use crate::codec::{AppendEncoder, Output, encode_heartbeat, encode_message};
use crate::config::KEEP_ALIVE;

/// The body. It ends when another connection takes its place or the peer is removed; dropping it frees the place.
pub(crate) struct OutgoingStream {
    peer: Arc<Peer>,
    kind: StreamKind,
    generation: u64,
    encoder: AppendEncoder,
    out: Output,
    beat: Interval,
}

impl OutgoingStream {
    pub(super) fn attach(peer: Arc<Peer>, kind: StreamKind) -> OutgoingStream {
        let (generation, lost) = peer.slot(kind).attach();
        if let Some(lost) = lost {
            peer.failed(lost);
        }
        peer.stream_changed(Way::Out, kind, true, &"");
        tracing::info!(
            "stream-writer-type" = kind.name(),
            "local-member-id" = %peer.local(),
            "remote-peer-id" = %format!("{:x}", peer.id),
            "established TCP streaming connection with remote peer"
        );
        let mut beat = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        OutgoingStream { peer, kind, generation, encoder: AppendEncoder::default(), out: Output::default(), beat }
    }

    /// All that is queued becomes one write.
    fn encode(&mut self, batch: Vec<Message>) {
        let mut bytes = 0;
        for message in batch {
            bytes += match self.kind {
                StreamKind::Append => self.encoder.encode(message, &mut self.out),
                StreamKind::Message => encode_message(message, &mut self.out),
            };
        }
        self.finish(bytes);
    }

    fn encode_beat(&mut self) {
        let bytes = match self.kind {
            StreamKind::Append => AppendEncoder::heartbeat(&mut self.out),
            StreamKind::Message => encode_heartbeat(&mut self.out),
        };
        self.finish(bytes);
    }

    fn finish(&mut self, bytes: u64) {
        self.out.finish();
        self.peer.shared.observer.sent_bytes(self.peer.id, bytes);
    }
}

impl Body for OutgoingStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let stream = self.get_mut();
        loop {
            if let Some(part) = stream.out.next_part() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            let batch = stream.peer.slot(stream.kind).poll_batch(stream.generation, cx);
            match batch {
                Poll::Ready(Some(batch)) => stream.encode(batch),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(stream.beat.poll_tick(cx));
                    stream.encode_beat();
                }
            }
        }
    }
}

impl Drop for OutgoingStream {
    fn drop(&mut self) {
        let lost = self.peer.slot(self.kind).detach(self.generation);
        // What was written last may be lost as well, so the peer counts as unreachable even where nothing waited.
        if let Some(lost) = lost {
            self.peer.failed(lost);
            tracing::warn!(
                "stream-writer-type" = self.kind.name(),
                "local-member-id" = %self.peer.local(),
                "remote-peer-id" = %format!("{:x}", self.peer.id),
                "lost TCP streaming connection with remote peer"
            );
            self.peer.stream_changed(Way::Out, self.kind, false, &"the peer closed the stream");
        }
    }
}
