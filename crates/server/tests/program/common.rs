//! The built program as a child process in a scratch directory.

use client::rpc::etcdserverpb::kv_client::KvClient;
use client::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::{PutRequest, PutResponse, RangeRequest, RangeResponse};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::transport::Channel;

/// How long a server may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A directory of this test, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("quorate-server-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).expect("the scratch directory goes");
        }
    }
}

/// Two neighbouring ports that nobody listens on, below those that the system deals out.
pub fn free_ports() -> u16 {
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (std::process::id() as u16 % 5000 + step % 1000) * 2;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// A running server; killed when dropped.
pub struct Server {
    pub port: u16,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts the program as a cluster of its own without waiting for it.
    pub fn spawn(data: &Path, port: u16, flags: &[&str]) -> Server {
        let cluster = format!("m1=http://127.0.0.1:{}", port + 1);
        let all = [&["--name", "m1", "--initial-cluster", &cluster], flags].concat();
        Server::spawn_member(data, port, &all)
    }

    /// Starts the program without waiting for it; the flags say which member it is of which cluster.
    pub fn spawn_member(data: &Path, port: u16, flags: &[&str]) -> Server {
        let log = data.with_extension("log");
        let output = File::options().create(true).append(true).open(&log).expect("a log");
        let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
        let child = Command::new(env!("CARGO_BIN_EXE_etcd"))
            .arg("--data-dir")
            .arg(data)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("the program starts");
        Server { port, log, child }
    }

    /// Starts the program and waits until it serves.
    pub async fn start(data: &Path, flags: &[&str]) -> Server {
        let mut server = Server::spawn(data, free_ports(), flags);
        server.ready().await;
        server
    }

    /// Waits until a read is answered.
    pub async fn ready(&mut self) {
        self.answers(async |channel| {
            let probe = RangeRequest { key: "probe".into(), ..Default::default() };
            KvClient::new(channel).range(probe).await.is_ok()
        })
        .await;
    }

    /// Waits until this question has the right answer.
    pub async fn answers(&mut self, ask: impl AsyncFn(Channel) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            let channel = Channel::from_shared(self.url()).expect("a URL").connect().await;
            if let Ok(channel) = channel
                && ask(channel).await
            {
                return;
            }
            assert!(Instant::now() < deadline, "not ready in time:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.url()).expect("a URL").connect().await.expect("connected")
    }

    pub async fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel().await).max_decoding_message_size(usize::MAX)
    }

    pub async fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel().await)
    }

    /// The lines written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "the server was gone:\n{}", self.log());
    }

    /// Waits until it has written this line; says how often by then.
    pub async fn writes(&self, text: &str) -> usize {
        until(text, async || Some(self.log().matches(text).count()).filter(|count| *count > 0)).await
    }

    /// Waits for the end without holding up the thread.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the end of the server", async || self.child.try_wait().expect("a child")).await
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }

    /// Asks for the end with SIGTERM and says how long it took.
    pub fn stop(mut self) -> Duration {
        let began = Instant::now();
        self.signal("-TERM");
        let status = self.wait();
        assert_eq!(status.signal(), Some(15), "{status}:\n{}", self.log());
        began.elapsed()
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already, which is what is wanted.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// What this gives, as soon as it gives something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A request by HTTP/1.1: status and body.
pub fn http(port: u16, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let body = if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    (status, body)
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

pub async fn put(kv: &mut KvClient<Channel>, key: &str, value: Vec<u8>) -> Result<PutResponse, Status> {
    let request = PutRequest { key: key.to_owned().into(), value: value.into(), ..Default::default() };
    kv.put(request).await.map(tonic::Response::into_inner)
}

pub async fn get(kv: &mut KvClient<Channel>, key: &str) -> RangeResponse {
    let request = RangeRequest { key: key.to_owned().into(), ..Default::default() };
    kv.range(request).await.expect("a range").into_inner()
}
