//! The v3 discovery service: real etcd of two releases, and our own server.
//!
//! `QUORATE_ETCD_3_4` and `QUORATE_ETCD_3_5` name the programs; what isn't named is left out.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use client::{Client, methods};
use proto::etcdserverpb::{PutRequest, WatchCreateRequest};
use server::config::{Config, Discovery, V3Discovery};
use server::discovery::{Bootstrap, DiscoveryError, Names, Registry, RegistryError, ResolvConf, initial_cluster};

use crate::support::{Running, Scratch, config, free_port, left_out};

/// How long a server may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// An etcd that others find each other in.
pub struct Service {
    program: PathBuf,
    port: u16,
    peer_port: u16,
    scratch: Scratch,
    running: Option<Running>,
}

impl Service {
    pub fn new(program: &Path, name: &str) -> Service {
        let (port, peer_port) = (free_port(), free_port());
        let scratch = Scratch::new(&format!("{name}-{port}"));
        Service { program: program.to_owned(), port, peer_port, scratch, running: None }
    }

    pub fn start(&mut self) {
        let (client, peer) = (self.endpoint(), format!("http://127.0.0.1:{}", self.peer_port));
        let log = std::fs::File::create(self.scratch.path().join("log")).expect("a log");
        let child = Command::new(&self.program)
            .arg("--data-dir")
            .arg(self.scratch.path().join("data"))
            .args(["--name", "s", "--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("s={peer}")])
            .env_remove("ETCD_UNSUPPORTED_ARCH")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the service starts");
        self.running = Some(Running(child));
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> Client {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "the service answers");
            tokio::time::sleep(PAUSE).await;
        }
        Client::new(client::Config { endpoints: vec![self.endpoint()], ..client::Config::default() }).expect("a client")
    }

    pub async fn put(&self, token: &str, rest: &str, value: &str) {
        let key = format!("/_etcd/registry/{token}/{rest}").into();
        let put = PutRequest { key, value: value.to_owned().into(), ..PutRequest::default() };
        self.client().await.call(&methods::PUT, put).await.expect("a put");
    }

    fn settings(&self, token: &str) -> V3Discovery {
        match self.member("m", 1, token).discovery {
            Discovery::Registry(settings) => settings,
            other => panic!("{other:?}"),
        }
    }

    /// The configuration of a member that looks for others here.
    fn member(&self, name: &str, peer_port: u16, token: &str) -> Config {
        config(&[
            &format!("--name={name}"),
            &format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"),
            &format!("--discovery-endpoints={}", self.endpoint()),
            &format!("--discovery-token={token}"),
        ])
    }
}

fn names() -> Names {
    Names::new(ResolvConf::parse("nameserver 127.0.0.1", "m1"), "", 1).expect("names")
}

async fn join(config: &Config) -> Result<Bootstrap, DiscoveryError> {
    tokio::time::timeout(PATIENCE, initial_cluster(config, &names())).await.expect("an end")
}

fn shown(found: &Bootstrap) -> String {
    let parts = found.cluster.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")));
    parts.collect::<Vec<_>>().join(",")
}

/// The services at hand: ours, and the releases that are named.
fn programs() -> Vec<PathBuf> {
    let mut programs = vec![PathBuf::from(env!("CARGO_BIN_EXE_etcd"))];
    for variable in ["QUORATE_ETCD_3_4", "QUORATE_ETCD_3_5"] {
        match std::env::var_os(variable) {
            Some(program) => programs.push(program.into()),
            None => left_out(&format!("no etcd as the discovery service ({variable})")),
        }
    }
    programs
}

#[tokio::test]
async fn members_find_each_other() {
    for program in programs() {
        let mut service = Service::new(&program, "find");
        service.start();
        service.put("t", "_config/size", "3").await;
        let members = [service.member("a", 1, "t"), service.member("b", 2, "t"), service.member("c", 3, "t")];
        let (a, b, c) = tokio::join!(join(&members[0]), join(&members[1]), join(&members[2]));
        for found in [a, b, c] {
            let found = found.unwrap();
            assert_eq!(shown(&found), "a=http://127.0.0.1:1,b=http://127.0.0.1:2,c=http://127.0.0.1:3");
            assert_eq!(found.token, "t");
        }
        let again = join(&members[1]).await.unwrap();
        assert_eq!(again.cluster.len(), 3, "who registered before finds the same");
        let late = join(&service.member("d", 4, "t")).await.unwrap_err();
        assert_eq!(late, DiscoveryError::Join(RegistryError::FullCluster));
        assert_eq!(late.to_string(), "failed to join discovery cluster (discovery: cluster is full)");
        // Nobody is in the way of another token.
        service.put("other", "_config/size", "1").await;
        assert_eq!(shown(&join(&service.member("d", 4, "other")).await.unwrap()), "d=http://127.0.0.1:4");
    }
}

#[tokio::test]
async fn what_the_operator_forgot_is_said() {
    for program in programs() {
        let mut service = Service::new(&program, "size");
        service.start();
        service.put("bad", "_config/size", "many").await;
        service.put("none", "_config/size", "0").await;
        for (token, text) in [("t", "size key not found"), ("bad", "size key is bad"), ("none", "size key is bad")] {
            let why = join(&service.member("a", 1, token)).await.unwrap_err();
            assert_eq!(why.to_string(), format!("failed to join discovery cluster (discovery: {text})"));
        }
    }
}

#[tokio::test]
async fn registrations_that_make_no_sense_are_passed_over() {
    for program in programs() {
        let mut service = Service::new(&program, "junk");
        service.start();
        service.put("t", "_config/size", "2").await;
        service.put("t", "members/1", "junk").await;
        let own = service.member("a", 1, "t");
        let joining = join(&own);
        let others = async {
            service.put("t", "members/2", "more junk").await;
            service.put("t", "members/3", " b=http://127.0.0.1:2 ").await;
        };
        let (found, ()) = tokio::join!(joining, others);
        // The others may have been quicker than this member.
        assert_eq!(shown(&found.unwrap()), "a=http://127.0.0.1:1,b=http://127.0.0.1:2");
        for (token, value, text) in [
            (
                "same-url",
                "b=http://127.0.0.1:1",
                "discovery cluster a=http://127.0.0.1:1,b=http://127.0.0.1:1 has duplicate url",
            ),
            (
                "same-name",
                "a=http://127.0.0.1:9",
                "another member has registered with the discovery service under the name \"a\"",
            ),
            ("no-url", "b=nowhere", "failed to join discovery cluster (discovery: invalid peer URL)"),
        ] {
            service.put(token, "_config/size", "2").await;
            service.put(token, "members/3", value).await;
            assert_eq!(join(&service.member("a", 1, token)).await.unwrap_err().to_string(), text);
        }
    }
}

/// The pauses of the program are 2, 4, 8 ... seconds; here they are shorter.
#[tokio::test]
async fn a_service_that_is_away_is_waited_for() {
    for program in programs() {
        let mut service = Service::new(&program, "away");
        let settings = V3Discovery { request_timeout: Duration::from_millis(200), ..service.settings("t") };
        let member = |id| Registry::new(&settings, id).unwrap().with_pause(PAUSE);
        let first = tokio::time::timeout(PATIENCE, member(1).join("a=http://127.0.0.1:1"));
        let operator = async {
            service.start();
            service.put("t", "_config/size", "2").await;
            // Gone while the first waits, and back.
            service.running = None;
            service.start();
            service.client().await;
        };
        // Until the size is there, the first is refused: it begins when the operator is done.
        operator.await;
        let stop = async {
            let registered = tokio::time::timeout(PATIENCE, registered(&service, "t", 1)).await;
            registered.expect("the first registers");
            service.running = None;
            service.start();
            service.client().await;
            tokio::time::timeout(PATIENCE, member(2).join("b=http://127.0.0.1:2")).await.expect("an end")
        };
        let (first, second) = tokio::join!(first, stop);
        let cluster = "a=http://127.0.0.1:1,b=http://127.0.0.1:2";
        assert_eq!(first.expect("an end").unwrap(), cluster);
        assert_eq!(second.unwrap(), cluster);
    }
}

/// Waits until a member has registered.
async fn registered(service: &Service, token: &str, id: u64) {
    let key: bytes::Bytes = format!("/_etcd/registry/{token}/members/{id:x}").into();
    let client = service.client().await;
    let create = WatchCreateRequest { key, start_revision: 1, ..WatchCreateRequest::default() };
    let mut watch = client.watch(create);
    while watch.next().await.expect("events").expect("no error").events.is_empty() {}
}
