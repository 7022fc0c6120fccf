//! Watches the pings of HTTP/2 clients: one that pings more often than it may, or without a call under way, is told so and
//! let go (`--grpc-keepalive-min-time`). The HTTP library answers pings by itself and tells nobody, so the frames are looked
//! at as they are read and written: nine bytes of each. What is written counts because clients measure the line with pings
//! while they receive: those are welcome for as long as parts of answers go out between them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const ACK: u8 = 1;
/// Pings too early that are forgiven, until something is sent again.
const STRIKES_MAX: u32 = 2;
/// The interval of pings while no call is under way.
const IDLE_INTERVAL: Duration = Duration::from_secs(2 * 3600);
/// GOAWAY for ENHANCE_YOUR_CALM, with the word that clients know.
const GOAWAY: &[u8] = b"\x00\x00\x16\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x0btoo_many_pings";

/// The other end of a connection, as its calls and its pings know it.
#[derive(Debug, Default)]
pub struct Peer {
    pub remote: Option<SocketAddr>,
    /// It speaks HTTP/2.
    framed: AtomicBool,
    /// Calls under way.
    calls: AtomicUsize,
    /// Those of them that change something and have no answer yet.
    writes: AtomicUsize,
}

impl Peer {
    pub fn at(remote: Option<SocketAddr>) -> Arc<Peer> {
        Arc::new(Peer { remote, ..Peer::default() })
    }

    pub fn call_begins(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub fn write_begins(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub fn write_ends(&self) {
        self.writes.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn call_ends(&self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no call is under way.
    pub fn is_idle(&self) -> bool {
        self.calls.load(Ordering::Relaxed) == 0
    }

    /// Whether the library has nothing to wait for but a client that does not listen. It ends HTTP/1 without being told more.
    pub fn is_deaf(&self) -> bool {
        self.framed.load(Ordering::Relaxed) && self.is_idle()
    }

    /// Whether a client waits to hear what became of a change.
    pub fn is_writing(&self) -> bool {
        self.writes.load(Ordering::Relaxed) > 0
    }
}

/// A connection whose pings are watched.
pub struct Watched<S> {
    stream: S,
    read: Frames,
    written: Frames,
    policy: Policy,
    /// Everything handed over was flushed, so that a frame may follow.
    flushed: bool,
}

/// When pings come too often.
struct Policy {
    /// Zero: never.
    interval_min: Duration,
    peer: Arc<Peer>,
    last: Option<Instant>,
    /// A part of an answer was sent since the last ping.
    sent: bool,
    strikes: u32,
}

/// Finds the frames in what is read or written.
#[derive(Default)]
struct Frames {
    /// Bytes of the preface that were seen.
    preface: usize,
    /// It is no HTTP/2.
    other: bool,
    header: [u8; HEADER_BYTES],
    header_len: usize,
    /// Bytes of the present frame that are to come.
    left: usize,
}

impl<S> Watched<S> {
    pub fn new(stream: S, peer: Arc<Peer>, interval_min: Duration) -> Watched<S> {
        let policy = Policy { interval_min, peer, last: None, sent: false, strikes: 0 };
        let written = Frames { preface: PREFACE.len(), ..Frames::default() };
        Watched { stream, read: Frames::default(), written, policy, flushed: true }
    }

    /// The first `len` bytes of these were written.
    fn wrote<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>, mut len: usize) {
        if self.read.other {
            return;
        }
        for part in parts {
            let part = &part[..len.min(part.len())];
            len -= part.len();
            self.policy.sent |= self.written.count(part, |kind, _| matches!(kind, DATA | HEADERS)) > 0;
        }
    }
}

impl Frames {
    /// The number of pings in the next bytes that are no answers to ours.
    fn pings(&mut self, data: &[u8]) -> usize {
        self.count(data, |kind, flags| kind == PING && flags & ACK == 0)
    }

    /// Takes the next bytes; gives the number of frames that begin in them and are wanted, by their kind and flags.
    fn count(&mut self, mut data: &[u8], wanted: impl Fn(u8, u8) -> bool) -> usize {
        let mut found = 0;
        while !data.is_empty() && !self.other {
            if self.preface < PREFACE.len() {
                let taken = (PREFACE.len() - self.preface).min(data.len());
                self.other = data[..taken] != PREFACE[self.preface..self.preface + taken];
                self.preface += taken;
                data = &data[taken..];
                continue;
            }
            let passed = self.left.min(data.len());
            self.left -= passed;
            data = &data[passed..];
            let taken = (HEADER_BYTES - self.header_len).min(data.len());
            self.header[self.header_len..self.header_len + taken].copy_from_slice(&data[..taken]);
            self.header_len += taken;
            data = &data[taken..];
            if self.header_len == HEADER_BYTES {
                self.header_len = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
                found += usize::from(wanted(kind, flags));
            }
        }
        found
    }
}

impl Policy {
    /// A ping has come; true where it is one too many.
    fn too_many(&mut self, now: Instant) -> bool {
        if self.interval_min.is_zero() {
            return false;
        }
        let before = self.last.replace(now);
        if std::mem::take(&mut self.sent) {
            self.strikes = 0;
            return false;
        }
        let interval = if self.peer.is_idle() { IDLE_INTERVAL } else { self.interval_min };
        if before.is_some_and(|before| now.duration_since(before) < interval) {
            self.strikes += 1;
        }
        self.strikes > STRIKES_MAX
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let greeted = this.read.preface == PREFACE.len();
        let pings = this.read.pings(&buffer.filled()[before..]);
        if !greeted && this.read.preface == PREFACE.len() && !this.read.other {
            this.policy.peer.framed.store(true, Ordering::Relaxed);
        }
        if (0..pings).any(|_| this.policy.too_many(Instant::now())) {
            if this.flushed {
                // Whether it arrives or not, the connection ends.
                let _told = Pin::new(&mut this.stream).poll_write(context, GOAWAY);
            }
            return Poll::Ready(Err(io::Error::other("the client pings too often")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flushed = false;
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.wrote([bytes], written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flushed = false;
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        this.wrote(slices.iter().map(|slice| &slice[..]), written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.stream).poll_flush(context));
        this.flushed = flushed.is_ok();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SECOND: Duration = Duration::from_secs(1);

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, 0];
        bytes.extend(std::iter::repeat_n(0, length.into()));
        bytes
    }

    #[test]
    fn pings_are_found_however_they_are_cut() {
        let mut bytes = PREFACE.to_vec();
        for part in [frame(4, 0, 0), frame(PING, 0, 8), frame(0, 0, 200), frame(PING, ACK, 8), frame(PING, 0, 8)] {
            bytes.extend(part);
        }
        for size in [1, 2, 8, 9, 10, 24, 1000] {
            let mut frames = Frames::default();
            assert_eq!(bytes.chunks(size).map(|part| frames.pings(part)).sum::<usize>(), 2, "in parts of {size}");
        }
        let mut other = Frames::default();
        assert_eq!(other.pings(b"GET / HTTP/1.1\r\n\r\n"), 0);
        assert!(other.other);
    }

    #[test]
    fn three_strikes() {
        let peer = Peer::at(None);
        let mut policy = Policy { interval_min: SECOND * 5, peer: peer.clone(), last: None, sent: false, strikes: 0 };
        let start = Instant::now();
        peer.call_begins();
        for ping in 0..20 {
            assert!(!policy.too_many(start + SECOND * 5 * ping), "at the interval it is welcome");
        }
        let now = start + SECOND * 100;
        assert!(!policy.too_many(now + SECOND) && !policy.too_many(now + SECOND * 2));
        policy.sent = true;
        assert!(!policy.too_many(now + SECOND * 3), "what was sent makes up for it");
        peer.call_ends();
        assert!(!policy.too_many(now + SECOND * 60) && !policy.too_many(now + SECOND * 120));
        assert!(policy.too_many(now + SECOND * 180), "without a call there is nothing to keep alive");
    }

    #[tokio::test]
    async fn a_client_that_goes_too_far_is_told() {
        let (mut client, server) = tokio::io::duplex(4096);
        let mut server = Watched::new(server, Peer::at(None), SECOND * 5);
        client.write_all(PREFACE).await.expect("sent");
        for _ in 0..4 {
            client.write_all(&frame(PING, 0, 8)).await.expect("sent");
        }
        let mut bytes = vec![0; 4096];
        assert!(server.read(&mut bytes).await.is_err());
        drop(server);
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.expect("read");
        assert_eq!(told, GOAWAY);
        assert_eq!(usize::from(GOAWAY[2]), GOAWAY.len() - HEADER_BYTES);
    }

    #[tokio::test]
    async fn a_client_that_measures_the_line_while_it_receives_is_welcome() {
        let (mut client, server) = tokio::io::duplex(4096);
        let mut server = Watched::new(server, Peer::at(None), SECOND * 5);
        client.write_all(PREFACE).await.expect("sent");
        let (mut bytes, ping) = (vec![0; 4096], frame(PING, 0, 8));
        for part in 0..20 {
            client.write_all(&ping).await.expect("sent");
            let greeting = if part == 0 { PREFACE.len() } else { 0 };
            server.read_exact(&mut bytes[..greeting + ping.len()]).await.expect("it goes on");
            // The answer to the ping alone would not do.
            let sent = [frame(PING, ACK, 8), frame(DATA, 0, 200)].concat();
            let (first, rest) = sent.split_at(30);
            let slices = [io::IoSlice::new(first), io::IoSlice::new(rest)];
            assert_eq!(server.write_vectored(&slices).await.expect("written"), sent.len());
            client.read_exact(&mut bytes[..sent.len()]).await.expect("received");
        }
        for ping in 0..4 {
            client.write_all(&frame(PING, 0, 8)).await.expect("sent");
            let read = server.read(&mut bytes).await;
            assert_eq!(read.is_ok(), ping < 3, "ping {ping} after the last part");
            if read.is_ok() {
                server.write_all(&frame(PING, ACK, 8)).await.expect("written");
            }
        }
    }
}
