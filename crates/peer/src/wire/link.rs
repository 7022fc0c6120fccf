//! Sockets between members. TLS, when it comes, is one more kind of [`Inner`], made in [`connect`] and in
//! [`Link::accept`].

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

use super::url::PeerUrl;
use crate::config::SILENCE_MAX;

/// A connection that was accepted on a peer listener. It must be in non-blocking mode.
#[derive(Debug)]
pub enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A connection on the runtime of this thread. A write that the other end takes nothing of for [`SILENCE_MAX`] fails.
pub(crate) struct Link {
    inner: Inner,
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
    fn new(inner: Inner) -> Link {
        Link { inner, patience: None }
    }

    /// Goes over to the runtime of this thread.
    pub fn accept(socket: Socket) -> io::Result<Link> {
        Ok(Link::new(match socket {
            Socket::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                Inner::Tcp(TcpStream::from_std(stream)?)
            }
            Socket::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Inner::Unix(UnixStream::from_std(stream)?)
            }
        }))
    }
}

/// Opens a connection; it must be up within `patience`.
pub(crate) async fn connect(url: &PeerUrl, patience: Duration) -> io::Result<Link> {
    if url.tls {
        let reason = format!("{url}: TLS between members is not supported yet");
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    let connecting = async {
        Ok(Link::new(if url.unix {
            Inner::Unix(UnixStream::connect(&url.authority).await?)
        } else {
            let stream = TcpStream::connect(&url.authority).await?;
            stream.set_nodelay(true)?;
            Inner::Tcp(stream)
        }))
    };
    match tokio::time::timeout(patience, connecting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("dial tcp {}: i/o timeout", url.authority))),
    }
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
            self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + SILENCE_MAX)));
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
