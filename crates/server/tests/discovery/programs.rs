//! Whole clusters that find themselves: from DNS on a machine of their own, and in a discovery service.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use client::{Client, methods};
use proto::etcdserverpb::{MemberListRequest, PutRequest, RangeRequest};

use crate::registry::Service;
use crate::support::{Running, Scratch, free_port, left_out};

/// How long a cluster may take to form, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The walk-through of the operators: dnsmasq, a resolv.conf whose suffix is none and whose second server is dead, three members.
/// Runs in namespaces of its own, where these files and port 53 are free.
const WALK_THROUGH: &str = r#"
set -e
cd "$1"
ip link set lo up
printf 'search 8.8.8.8\nnameserver 127.0.0.1\nnameserver 127.0.0.2\n' >resolv.conf
echo '127.0.0.1 localhost' >hosts
mount --bind resolv.conf /etc/resolv.conf
mount --bind hosts /etc/hosts
{
  printf 'no-resolv\nno-hosts\nuser=root\ngroup=root\npid-file=\nlisten-address=127.0.0.1\nbind-interfaces\nlocal=/com/\n'
  for i in 1 2 3; do
    echo "srv-host=_etcd-server._tcp.hi-etcd.com,etcd$i.hi-etcd.com,2380,0,100"
    echo "host-record=etcd$i.hi-etcd.com,127.0.1.$i"
  done
} >dnsmasq.conf
dnsmasq --conf-file=dnsmasq.conf --keep-in-foreground 2>dnsmasq.log &
for i in 1 2 3; do
  program=$2
  flags=--compat-version=3.5
  if [ $i = 2 ] && [ "$3" != "$2" ]; then program=$3; flags=; fi
  "$program" --data-dir "m$i" --name "etcd$i" $flags --discovery-srv hi-etcd.com --initial-cluster-token etcd-cluster-1 \
    --initial-advertise-peer-urls "http://etcd$i.hi-etcd.com:2380" --listen-peer-urls "http://127.0.1.$i:2380" \
    --listen-client-urls "http://127.0.1.$i:2379" --advertise-client-urls "http://etcd$i.hi-etcd.com:2379" >"m$i.log" 2>&1 &
done
tries=0
until [ "$(grep -l 'ready to serve client requests' m1.log m2.log m3.log | wc -l)" = 3 ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ]
  sleep 0.2
done
"#;

fn can_run(program: &str, words: &[&str]) -> bool {
    let status =
        Command::new(program).args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The ids are those of the walk-through, which were made by etcd 3.3.
#[test]
fn a_cluster_forms_from_dns() {
    for (program, words, what) in [
        (
            "unshare",
            &["--mount", "--net", "true"][..],
            "no namespaces for a machine with names of its own (root, unshare)",
        ),
        ("dnsmasq", &["--version"], "no dnsmasq for a cluster from DNS (package dnsmasq-base)"),
        ("ip", &["-V"], "no ip for a network of its own (package iproute2)"),
    ] {
        if !can_run(program, words) {
            return left_out(what);
        }
    }
    let scratch = Scratch::new("walk-through");
    let ours = env!("CARGO_BIN_EXE_etcd");
    let second = std::env::var("QUORATE_ETCD_3_5").unwrap_or_else(|_| {
        left_out("no etcd 3.5 as the second member of a cluster from DNS (QUORATE_ETCD_3_5)");
        ours.to_owned()
    });
    // All end with the shell, which is the first process of its namespace.
    let done = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", WALK_THROUGH, "sh"])
        .arg(scratch.path())
        .args([ours, &second])
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let log = |i| std::fs::read_to_string(scratch.path().join(format!("m{i}.log"))).unwrap_or_default();
    assert!(done.status.success(), "{done:?}\n{}\n{}\n{}", log(1), log(2), log(3));
    for (i, id) in [(1, "efb48b68f151a3b7"), (2, "9a99a7e8e3abdf6a"), (3, "5ee0e04e205fa694")] {
        let log = log(i);
        let line = log.lines().find(|line| line.contains("\"starting local member\"")).expect("a first start");
        assert!(line.contains(&format!("\"local-member-id\":\"{id}\",\"cluster-id\":\"b4a9547c5b6840e9\"")), "{line}");
        assert!(log.contains(r#""msg":"got bootstrap from DNS for etcd-server","node":""#), "{log}");
    }
}

/// A member that looks for the others in a service.
struct Member {
    port: u16,
    running: Running,
}

impl Member {
    fn start(scratch: &Path, name: &str, service: &Service) -> Member {
        let (port, peer_port) = (free_port(), free_port());
        let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let log = std::fs::File::create(scratch.join(format!("{name}.log"))).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_etcd"))
            .arg("--data-dir")
            .arg(scratch.join(name))
            .args(["--name", name, "--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--discovery-endpoints", &service.endpoint(), "--discovery-token", "t"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Member { port, running: Running(child) }
    }

    fn client(&self) -> Client {
        let endpoints = vec![format!("http://127.0.0.1:{}", self.port)];
        let client = Client::new(client::Config { endpoints, ..client::Config::default() }).expect("a client");
        client.until(Some((Instant::now() + PATIENCE).into()))
    }
}

#[tokio::test]
async fn a_cluster_forms_in_a_service() {
    let named = std::env::var_os("QUORATE_ETCD_3_5").map(PathBuf::from);
    let mut service = Service::new(&named.unwrap_or_else(|| env!("CARGO_BIN_EXE_etcd").into()), "programs");
    service.start();
    service.put("t", "_config/size", "3").await;
    let scratch = Scratch::new("members");
    let members = ["a", "b", "c"].map(|name| Member::start(scratch.path(), name, &service));
    let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    members[0].client().call(&methods::PUT, put).await.expect("a put through the first");
    let range = RangeRequest { key: "k".into(), ..RangeRequest::default() };
    let read = members[2].client().call(&methods::RANGE, range).await.expect("a range through the third");
    assert_eq!(read.kvs[0].value, "v");
    let list = members[1].client().call(&methods::MEMBER_LIST, MemberListRequest { linearizable: true }).await;
    assert_eq!(list.expect("a list").members.len(), 3);
    // Who comes too late is told so, and nothing is left behind.
    let log = scratch.path().join("d.log");
    let mut late = Member::start(scratch.path(), "d", &service);
    let ended = late.running.0.wait().expect("it ends");
    assert_eq!(ended.code(), Some(1));
    let log = std::fs::read_to_string(log).expect("a log");
    let refused =
        r#""msg":"failed to bootstrap; discovery token was already used","discovery-token":"t","discovery-endpoints":"#;
    assert!(log.contains(refused) && log.contains("(discovery: cluster is full)"), "{log}");
    assert!(!log.contains("\"discovery failed\"") && !scratch.path().join("d/member/wal").exists(), "{log}");
}
