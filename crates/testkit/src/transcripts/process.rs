//! A child whose output is gathered while it runs.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::Signal;

const PAUSE: Duration = Duration::from_millis(10);

/// What came out of a pipe so far.
#[derive(Default)]
struct Gathered {
    bytes: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

impl Gathered {
    fn pump(self: &Arc<Self>, mut pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let gathered = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            loop {
                // A pipe that cannot be read is at its end.
                let len = pipe.read(&mut buffer).unwrap_or(0);
                let mut bytes = gathered.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.0.extend_from_slice(&buffer[..len]);
                bytes.1 = len == 0;
                gathered.more.notify_all();
                if len == 0 {
                    return;
                }
            }
        })
    }

    fn take(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Waits until the text so far contains the pattern, or the pipe ends.
    fn wait(&self, pattern: &Regex, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while !pattern.is_match(&String::from_utf8_lossy(&bytes.0)) && !bytes.1 {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            bytes = self.more.wait_timeout(bytes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How a child ended.
#[derive(Clone, Copy)]
pub enum End {
    Status(ExitStatus),
    Timeout,
}

impl End {
    /// As the transcripts write it: a number, `signal:INT`, `timeout`.
    pub fn name(self) -> serde_json::Value {
        match self {
            End::Timeout => "timeout".into(),
            End::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => code.into(),
                (None, Some(signal)) => format!("signal:{}", signal_name(signal)).into(),
                (None, None) => "running".into(),
            },
        }
    }
}

const SIGNALS: [(Signal, &str); 6] = [
    (Signal::HUP, "HUP"),
    (Signal::INT, "INT"),
    (Signal::ABORT, "ABRT"),
    (Signal::KILL, "KILL"),
    (Signal::PIPE, "PIPE"),
    (Signal::TERM, "TERM"),
];

/// A signal by its name without `SIG`.
pub fn signal(name: &str) -> Result<Signal, String> {
    let found = SIGNALS.iter().find(|(_, known)| *known == name).map(|(signal, _)| *signal);
    found.ok_or_else(|| format!("unknown signal {name}"))
}

fn signal_name(number: i32) -> String {
    let found = SIGNALS.iter().find(|(signal, _)| signal.as_raw() == number);
    found.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// Sends a signal to a child that has not ended.
pub fn send(child: &mut Child, signal: Signal) {
    if matches!(child.try_wait(), Ok(None)) {
        // It may end between the question and the signal.
        let _ended = rustix::process::kill_process(rustix::process::Pid::from_child(child), signal);
    }
}

/// A running child.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Arc<Gathered>,
    err: Arc<Gathered>,
    pumps: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it in a process group of its own, with `input` on its stdin, which stays open if asked to.
    pub fn start(command: &mut Command, input: Option<&str>, keep_open: bool) -> Result<Process, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| format!("cannot start {program}: {error}"))?;
        let (out, err) = (Arc::new(Gathered::default()), Arc::new(Gathered::default()));
        let mut pumps = Vec::new();
        pumps.extend(child.stdout.take().map(|pipe| out.pump(pipe)));
        pumps.extend(child.stderr.take().map(|pipe| err.pump(pipe)));
        let stdin = child.stdin.take();
        let mut process = Process { child, stdin, out, err, pumps };
        input.into_iter().for_each(|input| process.feed(input));
        if !keep_open {
            process.close();
        }
        Ok(process)
    }

    /// Writes to its stdin; one that does not listen any more is part of the behaviour under test.
    pub fn feed(&mut self, text: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _not_listening = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
        }
    }

    /// Ends its stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until a pattern shows on its stdout.
    pub fn wait_text(&self, pattern: &Regex, patience: Duration) {
        self.out.wait(pattern, patience);
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>, String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                for pump in self.pumps.drain(..) {
                    // A grandchild may hold the pipe for longer than its parent lives.
                    while !pump.is_finished() && Instant::now() < deadline {
                        std::thread::sleep(PAUSE);
                    }
                }
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        send(&mut self.child, signal);
    }

    /// Ends it by force after its patience is over.
    pub fn finish(&mut self, patience: Duration) -> Result<End, String> {
        if let Some(status) = self.wait(patience)? {
            return Ok(End::Status(status));
        }
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(5))?;
        Ok(End::Timeout)
    }

    /// Everything that it wrote so far: stdout and stderr.
    pub fn output(&self) -> (Vec<u8>, Vec<u8>) {
        (self.out.take(), self.err.take())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either it has ended, or it must now.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
