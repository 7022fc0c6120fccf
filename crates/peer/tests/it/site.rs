//! A transport on a thread and a port of its own, with a host that keeps what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use peer::*;
use proto::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, Member};
use proto::raftpb::Message;
use state::Version;

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
pub const CLUSTER: u64 = 0xc1;

/// What a host was told.
#[derive(Default)]
pub struct Seen {
    pub messages: Vec<Message>,
    pub proposals: Vec<Message>,
    pub unreachable: Vec<u64>,
    pub reports: Vec<(u64, bool)>,
    pub activity: BTreeMap<u64, bool>,
    pub removed_self: bool,
    /// Databases that were finished, and how many were given up.
    pub saved: Vec<Vec<u8>>,
    pub given_up: usize,
    pub sent_bytes: BTreeMap<u64, u64>,
    pub received_bytes: BTreeMap<u64, u64>,
    pub received_failures: usize,
    pub sent_failures: BTreeMap<u64, u64>,
}

#[derive(Default)]
pub struct TestHost {
    seen: Mutex<Seen>,
    changed: Condvar,
    pub removed: Mutex<BTreeSet<u64>>,
    pub members: Mutex<Arc<Vec<Member>>>,
    /// Messages that find no room.
    pub refuses: AtomicUsize,
    pub downgrade: AtomicBool,
}

impl TestHost {
    fn tell<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let outcome = change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
        outcome
    }

    /// Waits until something is seen.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, mut find: impl FnMut(&mut Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen.lock().unwrap();
        loop {
            if let Some(found) = find(&mut seen) {
                return found;
            }
            let left = deadline.checked_duration_since(Instant::now());
            let left = left.unwrap_or_else(|| panic!("waited in vain for: {what}"));
            seen = self.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    #[track_caller]
    pub fn wait_connected(&self, peer: u64, connected: bool) {
        self.wait("a change of activity", |seen| (seen.activity.get(&peer) == Some(&connected)).then_some(()));
    }

    pub fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap())
    }
}

impl Observer for TestHost {
    fn sent_bytes(&self, to: u64, bytes: u64) {
        self.tell(|seen| *seen.sent_bytes.entry(to).or_default() += bytes);
    }
    fn received_bytes(&self, from: u64, bytes: u64) {
        self.tell(|seen| *seen.received_bytes.entry(from).or_default() += bytes);
    }
    fn received_failure(&self, _from: Sender<'_>) {
        self.tell(|seen| seen.received_failures += 1);
    }
    fn sent_failures(&self, to: u64, messages: u64) {
        self.tell(|seen| *seen.sent_failures.entry(to).or_default() += messages);
    }
}

pub struct TestSink {
    host: Arc<Shared>,
    bytes: Vec<u8>,
    finished: bool,
}

type Shared = TestHost;

impl SnapshotSink for TestSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.ends_with(b"disk full") {
            return Err(io::Error::other("no space left"));
        }
        Ok(())
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.finished = true;
        let bytes = std::mem::take(&mut self.bytes);
        self.host.tell(|seen| seen.saved.push(bytes));
        Ok(())
    }
}

impl Drop for TestSink {
    fn drop(&mut self) {
        if !self.finished {
            self.host.tell(|seen| seen.given_up += 1);
        }
    }
}

/// The host as the transport holds it.
pub struct HostOf(pub Arc<TestHost>);

impl Host for HostOf {
    fn receive(&self, messages: Vec<Message>) -> usize {
        let refused = self.0.refuses.load(Ordering::Relaxed).min(messages.len());
        let taken = messages.len() - refused;
        self.0.tell(|seen| seen.messages.extend(messages.into_iter().take(taken)));
        refused
    }
    fn receive_proposals(&self, messages: Vec<Message>) -> usize {
        self.0.tell(|seen| seen.proposals.extend(messages));
        0
    }
    fn unreachable(&self, peer: u64) {
        self.0.tell(|seen| seen.unreachable.push(peer));
    }
    fn snapshot_report(&self, peer: u64, failed: bool) {
        self.0.tell(|seen| seen.reports.push((peer, failed)));
    }
    fn activity(&self, peer: u64, connected: bool) {
        let before = self.0.tell(|seen| seen.activity.insert(peer, connected));
        assert_ne!(before.unwrap_or(false), connected, "told once for each change");
    }
    fn removed_self(&self) {
        self.0.tell(|seen| seen.removed_self = true);
    }
    fn is_removed(&self, id: u64) -> bool {
        self.0.removed.lock().unwrap().contains(&id)
    }
    fn members(&self) -> Arc<Vec<Member>> {
        self.0.members.lock().unwrap().clone()
    }
    fn versions(&self) -> Versions {
        Versions { server: Version { major: 3, minor: 7, patch: 1 }, cluster: Some(Version::V3_5), storage: None }
    }
    fn receive_snapshot(&self, _message: &Message) -> io::Result<Box<dyn SnapshotSink>> {
        Ok(Box::new(TestSink { host: self.0.clone(), bytes: Vec::new(), finished: false }))
    }
    fn promote(&self, id: u64, token: Option<String>) -> Answer<Result<Arc<Vec<Member>>, PromoteError>> {
        let members = self.members();
        Box::pin(async move {
            match id {
                1 => Err(PromoteError::NotFound),
                2 => Err(PromoteError::NotLearner),
                3 => Err(PromoteError::NotReady),
                4 => Err(PromoteError::TimedOut),
                5 if token.as_deref() != Some("secret") => Err(PromoteError::Failed("who are you".to_owned())),
                _ => Ok(members),
            }
        })
    }
    fn lease_renew(&self, id: i64) -> Answer<Result<i64, LeaseError>> {
        Box::pin(async move {
            match id {
                1 => Err(LeaseError::NotFound),
                2 => Err(LeaseError::TimedOut),
                3 => Err(LeaseError::NotPrimary),
                _ => Ok(id * 10),
            }
        })
    }
    fn lease_time_to_live(
        &self,
        request: LeaseTimeToLiveRequest,
    ) -> Answer<Result<LeaseTimeToLiveResponse, LeaseError>> {
        Box::pin(async move {
            match request.id {
                1 => Err(LeaseError::NotFound),
                3 => Err(LeaseError::NotPrimary),
                id => Ok(LeaseTimeToLiveResponse { id, ttl: 7, granted_ttl: 9, ..Default::default() }),
            }
        })
    }
    fn hash_kv(&self, revision: i64) -> Answer<Result<HashKv, HashKvError>> {
        Box::pin(async move {
            match revision {
                1 => Err(HashKvError::Compacted),
                2 => Err(HashKvError::FutureRevision),
                hash_revision => Ok(HashKv { hash: 77, compact_revision: 1, hash_revision, current_revision: 9 }),
            }
        })
    }
    fn downgrade_enabled(&self) -> Answer<Result<bool, String>> {
        let enabled = self.0.downgrade.load(Ordering::Relaxed);
        Box::pin(async move { Ok(enabled) })
    }
}

/// A port below those that the system hands out, held by a listener.
pub fn listen() -> (TcpListener, String) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 21_000 + (std::process::id() % 80) as u16 * 100;
    for _ in 0..2000 {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 2000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            listener.set_nonblocking(true).unwrap();
            return (listener, format!("http://127.0.0.1:{port}"));
        }
    }
    panic!("no free port");
}

pub fn member(id: u64, url: &str) -> Member {
    Member { id, name: format!("m{id}"), peer_urls: vec![url.to_owned()], ..Member::default() }
}

/// One member's transport.
pub struct Site {
    pub id: u64,
    pub url: String,
    pub transport: Transport,
    pub host: Arc<TestHost>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub fn start(id: u64) -> Site {
        Site::start_with(id, CLUSTER, |_| {})
    }

    pub fn start_with(id: u64, cluster: u64, adjust: impl FnOnce(&mut Config)) -> Site {
        let (listener, url) = listen();
        Site::start_on(listener, url, id, cluster, adjust)
    }

    pub fn start_on(
        listener: TcpListener,
        url: String,
        id: u64,
        cluster: u64,
        adjust: impl FnOnce(&mut Config),
    ) -> Site {
        let version = Version { major: 3, minor: 7, patch: 1 };
        let identity = Identity { member: id, cluster, version, peer_urls: vec![url.clone()] };
        let mut config = Config::new(identity, Duration::from_secs(1));
        adjust(&mut config);
        let host = Arc::new(TestHost::default());
        let (transport, running) = Transport::new(config, Arc::new(HostOf(host.clone())), host.clone());
        let accepting = transport.clone();
        transport.spawn(Box::pin(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepting.serve(Socket::Tcp(stream.into_std().unwrap()));
            }
        }));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(running.run());
        });
        Site { id, url, transport, host, thread: Some(thread) }
    }

    /// Some sites that know each other, connected.
    pub fn cluster(ids: &[u64]) -> Vec<Site> {
        let sites: Vec<Site> = ids.iter().map(|id| Site::start(*id)).collect();
        Site::introduce(&sites);
        for (site, other) in sites.iter().flat_map(|site| sites.iter().map(move |other| (site, other))) {
            if site.id != other.id {
                site.host.wait_connected(other.id, true);
                site.wait_streams(other);
            }
        }
        sites
    }

    pub fn introduce(sites: &[Site]) {
        let members: Vec<Member> = sites.iter().map(|site| member(site.id, &site.url)).collect();
        for site in sites {
            *site.host.members.lock().unwrap() = Arc::new(members.clone());
            site.transport.set_members(&members);
        }
    }

    /// Waits until both streams from this site are open: their signs of life, or anything else, have arrived.
    fn wait_streams(&self, other: &Site) {
        let heartbeat = |index| Message { msg_type: 8, from: self.id, to: other.id, index, ..Message::default() };
        self.transport.send(vec![heartbeat(1)]);
        other.host.wait("a first heartbeat", |seen| {
            seen.messages.iter().any(|message| message.from == self.id).then_some(())
        });
    }

    /// Waits until all orders given so far are carried out.
    pub fn settled(&self) {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.transport.spawn(Box::pin(async move { sender.send(()).unwrap() }));
        receiver.recv_timeout(PATIENCE).unwrap();
    }

    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Sends bytes on a new connection and reads all of the answer until the other end closes.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The other end may close before everything is written.
        let _cut = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.transport.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the transport's thread panicked");
        }
    }
}

/// Runs one question to a member.
pub fn ask<T>(question: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(question)
}
