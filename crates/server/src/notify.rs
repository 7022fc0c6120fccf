//! Tells the service manager that the server is ready (`sd_notify`), over the socket it named in `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::go_io_text;
use crate::logging::lines;

/// Sends `READY=1` once; without a socket there is nobody to tell. A socket that does not work is logged and no more.
pub fn ready() {
    lines::notifying();
    let outcome = std::env::var_os("NOTIFY_SOCKET").map_or(Ok(()), |path| send(&path, b"READY=1"));
    lines::notified(outcome.err().map(|e| go_io_text(&e)).as_deref());
}

/// A name that starts with `@` is abstract: it stands in no directory.
fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_both_kinds_of_sockets() {
        let mut buffer = [0; 16];
        let dir = std::env::temp_dir().join(format!("quorate-notify-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("socket");
        let named = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), b"READY=1").unwrap();
        let length = named.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        std::fs::remove_dir_all(&dir).unwrap();

        let name = format!("quorate-notify-{}", std::process::id());
        let hidden = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), b"READY=1").unwrap();
        let length = hidden.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        assert!(send(path.as_os_str(), b"READY=1").is_err());
    }
}
