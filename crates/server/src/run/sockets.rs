//! Sockets: binding the configured URLs, and what both kinds of them, TCP and Unix, have in common.

use crate::config::{Url, go_io_text};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// File descriptors that the member itself may need.
const OWN_FDS: u64 = 150;

/// A URL that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen {network} {address}: {what}")]
pub struct ListenError {
    network: &'static str,
    address: String,
    what: String,
}

/// A socket that is listened on.
pub enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The name of a Unix socket, removed with it.
pub struct SocketFile(PathBuf);

/// A connection that was accepted.
#[derive(Debug)]
pub enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection on the runtime of its thread.
pub enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// A listener on a runtime.
pub enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, SocketFile),
}

/// Binds a URL.
pub fn bind(url: &Url, reuse_port: bool) -> Result<Bound, ListenError> {
    match url.socket_path() {
        Some(path) => bind_unix(Path::new(&path)),
        None => bind_tcp(&url.authority, reuse_port),
    }
}

fn bind_tcp(address: &str, reuse_port: bool) -> Result<Bound, ListenError> {
    let failed = |what: String| ListenError { network: "tcp", address: address.to_owned(), what };
    let at = resolve(address).map_err(|failure| failed(go_io_text(&failure)))?;
    let bound = listen_tcp(at, reuse_port);
    bound.map(Bound::Tcp).map_err(|failure| failed(format!("bind: {}", go_io_text(&failure.into()))))
}

/// The first address of version 4, or else the first.
fn resolve(address: &str) -> io::Result<SocketAddr> {
    let all: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let found = all.iter().find(|at| at.is_ipv4()).or(all.first());
    found.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))
}

fn listen_tcp(at: SocketAddr, reuse_port: bool) -> rustix::io::Result<TcpListener> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    // A restart must not wait for connections of the last run; a listener that lives still keeps its port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if reuse_port {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    net::bind(&socket, &at)?;
    net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

fn bind_unix(path: &Path) -> Result<Bound, ListenError> {
    let failed = |failure: io::Error| ListenError {
        network: "unix",
        address: path.display().to_string(),
        what: format!("bind: {}", go_io_text(&failure)),
    };
    // A socket that a killed process has left behind; anything else stays and is reported.
    if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Bound::Unix(listener, SocketFile(path.to_owned())))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever removed it before did what was to be done.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Lets the process have as many files as it may, and gives the number of connections that leaves room for.
pub fn connections_max() -> Result<Arc<Semaphore>, String> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit.current = limit.maximum;
        }
    }
    let files = limit.current.unwrap_or(u64::MAX);
    if files <= OWN_FDS {
        return Err(format!("the limit of open files is {files}, and must be above {OWN_FDS}"));
    }
    let connections = usize::try_from(files - OWN_FDS).unwrap_or(usize::MAX);
    Ok(Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))))
}

impl Bound {
    /// Goes over to the runtime of this thread.
    pub fn listen(self) -> io::Result<Listening> {
        Ok(match self {
            Bound::Tcp(listener) => Listening::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Bound::Unix(listener, file) => Listening::Unix(tokio::net::UnixListener::from_std(listener)?, file),
        })
    }
}

impl Listening {
    /// The next connection, free of this runtime.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Listening::Tcp(listener) => listener.accept().await?.0.into_std().map(Accepted::Tcp),
            Listening::Unix(listener, _) => listener.accept().await?.0.into_std().map(Accepted::Unix),
        }
    }
}

impl Accepted {
    /// The other end, as log lines name it.
    pub fn remote(&self) -> Option<SocketAddr> {
        match self {
            Accepted::Tcp(stream) => stream.peer_addr().ok(),
            Accepted::Unix(_) => None,
        }
    }

    /// Goes over to the runtime of this thread.
    pub fn connect(self) -> io::Result<Stream> {
        Ok(match self {
            Accepted::Tcp(stream) => {
                stream.set_nodelay(true)?;
                Stream::Tcp(tokio::net::TcpStream::from_std(stream)?)
            }
            Accepted::Unix(stream) => Stream::Unix(tokio::net::UnixStream::from_std(stream)?),
        })
    }
}

macro_rules! either {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            Stream::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_told_in_gos_words() {
        let Ok(Bound::Tcp(held)) = bind_tcp("127.0.0.1:0", false) else { panic!("no port to be had") };
        let address = held.local_addr().expect("bound").to_string();
        let failure = bind_tcp(&address, false).err().expect("in use");
        assert_eq!(failure.to_string(), format!("listen tcp {address}: bind: address already in use"));
    }

    #[test]
    fn a_port_may_be_shared_where_both_say_so() {
        let Ok(Bound::Tcp(held)) = bind_tcp("127.0.0.1:0", true) else { panic!("no port to be had") };
        let address = held.local_addr().expect("bound").to_string();
        assert!(bind_tcp(&address, true).is_ok());
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_removed_at_the_end() {
        let path = std::env::temp_dir().join(format!("quorate-socket-{}", std::process::id()));
        drop(UnixListener::bind(&path).expect("left behind"));
        let bound = bind_unix(&path).map_err(|e| e.to_string()).expect("replaced");
        assert!(path.exists());
        drop(bound);
        assert!(!path.exists());
        std::fs::write(&path, "a file").expect("written");
        assert!(bind_unix(&path).is_err());
        std::fs::remove_file(&path).expect("it stayed");
    }
}
