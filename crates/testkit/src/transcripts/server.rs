//! The server of a scenario: its command line, its start, its end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process::send;

const PAUSE: Duration = Duration::from_millis(20);
const READY: Duration = Duration::from_secs(30);
const STOPPED: Duration = Duration::from_secs(10);

/// Its words: what every server of a scenario is given, unless the scenario says otherwise.
pub fn words(name: &str, data_dir: &Path, client: u16, peer: u16, extra: &[String]) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let base = [
        ("--name", name.to_owned()),
        ("--data-dir", data_dir.display().to_string()),
        ("--listen-client-urls", client.clone()),
        ("--advertise-client-urls", client),
        ("--listen-peer-urls", peer.clone()),
        ("--initial-advertise-peer-urls", peer.clone()),
        ("--initial-cluster", format!("{name}={peer}")),
    ];
    let given = |flag: &str| extra.iter().any(|word| word.split('=').next() == Some(flag));
    let words = base.into_iter().filter(|(flag, _)| !given(flag));
    words.flat_map(|(flag, value)| [flag.to_owned(), value]).chain(extra.iter().cloned()).collect()
}

/// A running server.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts it and waits until it is healthy, or healthy but for an alarm.
    pub fn start(command: &mut Command, log: &Path, client: u16) -> Result<Server, String> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).map_err(super::text)?;
        let other = file.try_clone().map_err(super::text)?;
        command.stdin(Stdio::null()).stdout(file).stderr(other);
        let child = command.spawn().map_err(|error| format!("cannot start the server: {error}"))?;
        let mut server = Server { child };
        let deadline = Instant::now() + READY;
        while !healthy(client) {
            if let Some(status) = server.child.try_wait().map_err(super::text)? {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                return Err(format!("the server ended during its start: {status}\n{text}"));
            }
            if Instant::now() >= deadline {
                return Err("the server is not ready".to_owned());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(server)
    }

    /// Ends it with SIGTERM, or with SIGKILL where that does not help.
    pub fn stop(mut self) {
        send(&mut self.child, Signal::TERM);
        let deadline = Instant::now() + STOPPED;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either it has ended, or it must now.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| ["\"health\":\"true\"", "NOSPACE", "ALARM"].iter().any(|sign| answer.contains(sign)))
}

/// Whether nobody listens on a port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
