//! One member as a process: where it lives, how it is started, and what can be done to it.

use super::Failure;
use crate::process::tail;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a member may take to end after SIGTERM: it may hand its leadership over first.
const STOP_SECS: u64 = 20;

/// Addresses and namespace of a member.
#[derive(Clone, Debug)]
pub struct Site {
    /// The host's own if `None`.
    pub namespace: Option<String>,
    pub host: String,
    pub client_port: u16,
    pub peer_port: u16,
    /// Where the others find it: another port than `peer_port` if a proxy stands before it.
    pub advertised_port: u16,
}

impl Site {
    /// On loopback, with the peer port after the client port.
    pub fn loopback(port: u16) -> Site {
        let host = "127.0.0.1".to_owned();
        Site { namespace: None, host, client_port: port, peer_port: port + 1, advertised_port: port + 1 }
    }

    pub fn client_url(&self) -> String {
        format!("http://{}:{}", self.host, self.client_port)
    }

    /// The URL that the other members know.
    pub fn peer_url(&self) -> String {
        format!("http://{}:{}", self.host, self.advertised_port)
    }

    /// A command that runs in the member's namespace and dies with the tests.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => {
                // Not `ip netns exec`: that gives each process its own view of all mounts, so that none could be undone.
                let mut command = Command::new("nsenter");
                command.args([&format!("--net=/run/netns/{namespace}"), "setpriv"]);
                command
            }
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command
    }
}

/// A member that runs or could; killed when dropped.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    pub binary: PathBuf,
    pub site: Site,
    pub data: PathBuf,
    /// Flags for every start.
    pub extra: Vec<String>,
    /// `--initial-cluster` and its state, for the first start.
    pub initial: (String, &'static str),
    child: Option<Child>,
    paused: bool,
}

impl Member {
    pub fn new(name: &str, binary: &Path, site: Site, data: PathBuf) -> Member {
        let initial = (format!("{name}={}", site.peer_url()), "new");
        Member {
            name: name.to_owned(),
            binary: binary.to_owned(),
            site,
            data,
            extra: vec![],
            initial,
            child: None,
            paused: false,
        }
    }

    /// Where standard output and error go: never on the member's own disk.
    pub fn log(&self) -> PathBuf {
        let name = format!("{}.log", self.name);
        self.data.ancestors().nth(2).unwrap_or(&self.data).join(name)
    }

    pub fn start(&mut self) -> Result<(), Failure> {
        if self.child.is_some() {
            return Err(format!("{} runs already", self.name).into());
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        let listen = format!("http://{}:{}", self.site.host, self.site.peer_port);
        let child = self
            .site
            .command(&self.binary)
            .args(["--name", &self.name])
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--listen-client-urls", &self.site.client_url()])
            .args(["--advertise-client-urls", &self.site.client_url()])
            .args(["--listen-peer-urls", &listen, "--initial-advertise-peer-urls", &self.site.peer_url()])
            .args(["--initial-cluster", &self.initial.0, "--initial-cluster-state", self.initial.1])
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether the process runs; collects it if it has ended.
    pub fn running(&mut self) -> Result<bool, Failure> {
        Ok(self.ended()?.is_none() && self.child.is_some())
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The status of a process that has ended by itself; it is told once.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
            self.paused = false;
        }
        Ok(status)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        self.paused = false;
        Ok(())
    }

    pub fn pause(&mut self) -> Result<(), Failure> {
        self.signal("STOP")?;
        self.paused = true;
        Ok(())
    }

    pub fn resume(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.paused) {
            self.signal("CONT")?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end; errs unless the process ends in time, by the signal or with 0.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        self.resume()?;
        self.signal("TERM")?;
        let deadline = Instant::now() + Duration::from_secs(STOP_SECS);
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                use std::os::unix::process::ExitStatusExt;
                return match status.success() || status.signal() == Some(15) {
                    true => Ok(()),
                    false => Err(format!("{} ended with {status}:\n{}", self.name, tail(&self.log())).into()),
                };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(format!("{} does not end after SIGTERM:\n{}", self.name, tail(&self.log())).into())
    }

    fn signal(&self, signal: &str) -> Result<(), Failure> {
        let Some(pid) = self.pid() else { return Err(format!("{} does not run", self.name).into()) };
        let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(format!("kill -{signal} {}: {status}", self.name).into()) }
    }

    /// The peak of the resident memory, in KiB.
    pub fn peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Whether the log shows that the program has panicked. `etcd` panics on purpose where its disk fails, so this is
    /// asked of our program only.
    pub fn has_panicked(&self) -> bool {
        std::fs::read(self.log()).is_ok_and(|log| String::from_utf8_lossy(&log).contains("panicked at"))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Err(failure) = self.kill() {
            eprintln!("{} may still run: {failure}", self.name);
        }
    }
}
