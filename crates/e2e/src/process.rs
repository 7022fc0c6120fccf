//! A server as a child process: started in a scratch directory, awaited, stopped by its own pid.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const READY_SECS: u64 = 30;

/// What to start and where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub binary: PathBuf,
    /// The data directory; it is kept when the server ends.
    pub data: PathBuf,
    /// The client port; the peer port is the next one.
    pub port: u16,
    pub extra: Vec<String>,
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    plan: Plan,
    child: Child,
}

impl Plan {
    pub fn new(binary: impl Into<PathBuf>, data: impl Into<PathBuf>, port: u16) -> Plan {
        Plan { binary: binary.into(), data: data.into(), port, extra: Vec::new() }
    }

    /// Adds flags.
    pub fn with<S: Into<String>>(mut self, flags: impl IntoIterator<Item = S>) -> Plan {
        self.extra.extend(flags.into_iter().map(Into::into));
        self
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where standard output and error go: beside the data directory.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Starts the program without waiting for it to serve.
    pub fn spawn(&self) -> io::Result<Server> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let (client, peer) = (self.url(), format!("http://127.0.0.1:{}", self.port + 1));
        let child = Command::new(&self.binary)
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Server { plan: self.clone(), child })
    }

    /// Starts the program and waits until it is healthy.
    pub async fn start(&self) -> io::Result<Server> {
        let mut server = self.spawn()?;
        server.ready().await?;
        Ok(server)
    }
}

impl Server {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a linearizable read succeeds; errs with the end of the log when the program ends before.
    pub async fn ready(&mut self) -> io::Result<()> {
        use client::rpc::etcdserverpb::kv_client::KvClient;
        let deadline = Instant::now() + Duration::from_secs(READY_SECS);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}:\n{}", tail(&self.plan.log()))));
            }
            if let Ok(mut kv) = KvClient::connect(self.plan.url()).await {
                let probe = proto::etcdserverpb::RangeRequest { key: "probe".into(), ..Default::default() };
                if kv.range(probe).await.is_ok() {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("not ready in time:\n{}", tail(&self.plan.log()))));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the program at once, as a crash of the process would.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Asks the program to end and waits for it; errs unless it ends by the signal or with 0.
    pub fn stop(mut self) -> io::Result<()> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if !status.success() {
            return Err(io::Error::other("the server was gone before it was stopped"));
        }
        let ended = self.child.wait()?;
        use std::os::unix::process::ExitStatusExt;
        if ended.success() || ended.signal() == Some(15) {
            return Ok(());
        }
        Err(io::Error::other(format!("the server ended with {ended}:\n{}", tail(&self.plan.log()))))
    }

    /// Whether the program still runs.
    pub fn alive(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the program has ended already, which is what is wanted.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _killed = self.child.kill();
            let _waited = self.child.wait();
        }
    }
}

/// The last lines of a log.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// A scratch directory that is removed when dropped, unless QUORATE_KEEP is set.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("quorate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("QUORATE_KEEP").is_some() {
            eprintln!("kept {}", self.0.display());
        } else if let Err(failure) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {failure}", self.0.display());
        }
    }
}
