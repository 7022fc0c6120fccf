//! Sockets between members. TLS, when it comes, is one more kind of [`Inner`], made in [`connect`] and in
//! [`Link::accept`].

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

use super::url::PeerUrl;
use crate::config::SILENCE_MAX;

/// A connection that was accepted on a peer listener. It must be in non-blocking mode.
#[derive(Debug)]
pub enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A connection on the runtime of this thread. A write that the other end takes nothing of for `stall_max` fails.
pub(crate) struct Link {
    inner: Inner,
    stall_max: Duration,
    /// Runs while a write waits.
    patience: Option<Pin<Box<Sleep>>>,
}

enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// The address of the other end; `None` for Unix sockets, and where it is gone already.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
            Socket::Unix(_) => None,
        }
    }

    /// The other end as log lines and metrics name it.
    pub(crate) fn remote(&self) -> String {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().map(|address| address.to_string()).unwrap_or_default(),
            Socket::Unix(_) => "@".to_owned(),
        }
    }
}

impl Link {
    fn unix(stream: UnixStream, stall_max: Duration) -> Link {
        Link { inner: Inner::Unix(stream), stall_max, patience: None }
    }

    fn tcp(stream: TcpStream, stall_max: Duration) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        // What lies in the kernel's buffers must not wait for a dead machine for longer than what doesn't fit in there.
        let millis = u32::try_from(stall_max.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(&stream, millis)?;
        Ok(Link { inner: Inner::Tcp(stream), stall_max, patience: None })
    }

    /// Goes over to the runtime of this thread.
    pub fn accept(socket: Socket) -> io::Result<Link> {
        match socket {
            Socket::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                Link::tcp(TcpStream::from_std(stream)?, SILENCE_MAX)
            }
            Socket::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Ok(Link::unix(UnixStream::from_std(stream)?, SILENCE_MAX))
            }
        }
    }
}

/// Opens a connection; it must be up within `patience`. Writes may stall for `stall_max`.
pub(super) async fn connect(url: &PeerUrl, patience: Duration, stall_max: Duration) -> io::Result<Link> {
    if url.tls {
        let reason = format!("{url}: TLS between members is not supported yet");
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    let connecting = async {
        if url.unix {
            Ok(Link::unix(UnixStream::connect(&url.authority).await?, stall_max))
        } else {
            let addresses = resolve(&url.authority).await?;
            Link::tcp(TcpStream::connect(&addresses[..]).await?, stall_max)
        }
    };
    match tokio::time::timeout(patience, connecting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("dial tcp {}: i/o timeout", url.authority))),
    }
}

/// Name look-ups that may be under way: each occupies a thread of the runtime's blocking pool, for longer than its asker
/// may want to wait.
const LOOKUPS_MAX: usize = 8;
static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// The addresses of `host:port`, by the system's resolver.
async fn resolve(authority: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = authority.parse() {
        return Ok(vec![address]);
    }
    let place = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let authority = authority.to_owned();
    let look_up = tokio::task::spawn_blocking(move || {
        let _place = place;
        Ok(authority.to_socket_addrs()?.collect())
    });
    look_up.await.map_err(io::Error::other)?
}

macro_rules! either {
    ($link:expr, $stream:ident => $call:expr) => {
        match &mut $link.inner {
            Inner::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Inner::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl Link {
    /// The outcome of a write, or that it has waited too long.
    fn within_patience<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.patience = None;
            return outcome;
        }
        let sleep =
            self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + self.stall_max)));
        ready!(sleep.as_mut().poll(cx));
        self.patience = None;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        either!(link, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        let outcome = either!(link, stream => stream.poll_write(cx, bytes));
        link.within_patience(outcome, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        let outcome = either!(link, stream => stream.poll_write_vectored(cx, slices));
        link.within_patience(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        either!(link, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        either!(link, stream => stream.poll_shutdown(cx))
    }
}
