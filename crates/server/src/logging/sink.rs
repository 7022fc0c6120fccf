//! Where lines go: standard streams, files, the journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;

use super::{Line, render};
use crate::config::{LogLevel, go_io_text};

const JOURNAL: &str = "/run/systemd/journal/socket";

/// The opened outputs.
#[derive(Debug)]
pub struct Sinks(Vec<Sink>);

#[derive(Debug)]
enum Sink {
    Stderr,
    Stdout,
    File(File),
    Journal(UnixDatagram),
}

impl Sinks {
    /// Opens what `--log-outputs` names; the error is etcd's text.
    pub fn open(outputs: &[String]) -> Result<Sinks, String> {
        let mut sinks = Vec::new();
        let mut dropped = false;
        for output in outputs {
            match output.as_str() {
                "default" | "stderr" => sinks.push(Sink::Stderr),
                "stdout" => sinks.push(Sink::Stdout),
                "systemd/journal" => sinks.push(Sink::Journal(journal()?)),
                path => {
                    dropped |= path == "/dev/null";
                    sinks.push(Sink::File(open(path)?));
                }
            }
        }
        if dropped {
            sinks.clear();
        }
        Ok(Sinks(sinks))
    }

    /// Writes one line everywhere. A log that cannot be written has nowhere to complain, so failures are dropped.
    pub(super) fn write(&self, line: &Line<'_>, text: &str) {
        for sink in &self.0 {
            match sink {
                Sink::Stderr => write_stderr(text),
                Sink::Stdout => drop_failure(io::stdout().lock().write_all(text.as_bytes())),
                Sink::File(file) => drop_failure((&*file).write_all(text.as_bytes())),
                Sink::Journal(socket) => drop_failure(socket.send(&journal_entry(line, text)).map(|_| ())),
            }
        }
    }
}

/// Standard error is unbuffered, so a line is one write.
pub fn write_stderr(text: &str) {
    drop_failure(io::stderr().lock().write_all(text.as_bytes()));
}

fn drop_failure(_: io::Result<()>) {}

fn open(path: &str) -> Result<File, String> {
    let file = OpenOptions::new().append(true).create(true).mode(0o666).open(path);
    file.map_err(|e| format!("open sink {}: open {path}: {}", crate::config::quote(path), go_io_text(&e)))
}

fn journal() -> Result<UnixDatagram, String> {
    let connect = || {
        let socket = UnixDatagram::unbound()?;
        socket.connect(JOURNAL)?;
        Ok(socket)
    };
    connect()
        .map_err(|e: io::Error| format!("can't find journal (dial unixgram {JOURNAL}: connect: {})", go_io_text(&e)))
}

/// The whole line is the message; a line has no newline inside.
fn journal_entry(line: &Line<'_>, text: &str) -> Vec<u8> {
    let priority = match line.level {
        LogLevel::Debug => 7,
        LogLevel::Info => 6,
        LogLevel::Warn => 4,
        LogLevel::Error => 3,
        LogLevel::DPanic | LogLevel::Panic => 2,
        LogLevel::Fatal => 0,
    };
    let (text, package) = (text.trim_end(), render::package(line));
    format!("PRIORITY={priority}\nPACKAGE={package}\nSYSLOG_IDENTIFIER=etcd\nMESSAGE={text}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_opened() {
        let path = "/nonexistent/dir/x.log".to_owned();
        assert_eq!(
            Sinks::open(&[path]).unwrap_err(),
            "open sink \"/nonexistent/dir/x.log\": open /nonexistent/dir/x.log: no such file or directory"
        );
        assert!(Sinks::open(&["stderr".into(), "/dev/null".into()]).unwrap().0.is_empty());
    }

    #[test]
    fn writes_journal_entries() {
        let line = Line {
            level: LogLevel::Warn,
            logger: None,
            file: "crates/server/src/run/a.rs",
            line: 1,
            message: "m",
            fields: &[],
        };
        let entry = String::from_utf8(journal_entry(&line, "{}\n")).unwrap();
        assert_eq!(entry, "PRIORITY=4\nPACKAGE=run\nSYSLOG_IDENTIFIER=etcd\nMESSAGE={}\n");
    }
}
