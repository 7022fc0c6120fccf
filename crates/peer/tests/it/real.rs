//! A cluster of two: real etcd leads, and a follower that knows just enough of raft lives behind our transport. The
//! binaries are found by `QUORATE_ETCD_3_4` and `QUORATE_ETCD_3_5`, or under the name `etcd` for 3.4.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peer::{Fetcher, HashKvError, LeaseError, PromoteError, Refusal, SnapshotSource};
use prost::Message as _;
use proto::etcdserverpb::{InternalRaftRequest, LeaseTimeToLiveRequest, PutRequest, RequestHeader};
use proto::raftpb::{Entry, Message, MessageType};
use sha1::{Digest, Sha1};
use state::Version;

use super::site::*;

const PATIENCE: Duration = Duration::from_secs(10);
const TOKEN: &str = "peer-test";

fn first_eight(digest: Sha1) -> u64 {
    let digest = digest.finalize();
    digest[..8].iter().fold(0, |id, byte| id << 8 | u64::from(*byte))
}

fn member_id(url: &str) -> u64 {
    first_eight(Sha1::new().chain_update(url).chain_update(TOKEN))
}

fn cluster_id(mut members: Vec<u64>) -> u64 {
    members.sort_unstable();
    first_eight(members.iter().fold(Sha1::new(), |digest, id| digest.chain_update(id.to_be_bytes())))
}

/// Real etcd, ended with this.
struct Real {
    child: Child,
    client: String,
    dir: tempfile::TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

impl Real {
    /// Member `name` of a cluster of these names and URLs.
    fn start(binary: &Path, name: &str, cluster: &[(&str, &str)], more: &[&str]) -> Real {
        let dir = tempfile::tempdir().unwrap();
        let (held, client) = listen();
        drop(held);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let peer_url = cluster.iter().find(|(other, _)| *other == name).unwrap().1;
        let initial: Vec<String> = cluster.iter().map(|(name, url)| format!("{name}={url}")).collect();
        let child = Command::new(binary)
            .args(["--name", name, "--data-dir"])
            .arg(dir.path().join("data"))
            .args(["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--initial-cluster", &initial.join(",")])
            .args(["--initial-cluster-token", TOKEN, "--initial-cluster-state", "new"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Real { child, client, dir }
    }

    /// Posts JSON to the gateway, again until there is an answer: the member opens its doors once it has joined.
    fn post(&self, path: &str, json: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.try_post(path, json) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => return answer,
                other if Instant::now() > deadline => panic!("{path} {json}: {other:?}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn try_post(&self, path: &str, json: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.client.strip_prefix("http://").unwrap())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Grants every vote and takes every entry; with an `empty` log, only after a snapshot.
fn follow(site: &Site, mut empty: bool, stop: &AtomicBool) {
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let new = site.host.look(|seen| seen.messages[next..].to_vec());
        next += new.len();
        for message in &new {
            empty &= message.msg_type != MessageType::MsgSnap as i32;
            site.transport.send(Vec::from_iter(answer(message, empty)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn answer(message: &Message, empty: bool) -> Option<Message> {
    let to = Message { to: message.from, from: message.to, term: message.term, ..Message::default() };
    Some(match MessageType::try_from(message.msg_type).unwrap() {
        MessageType::MsgPreVote => Message { msg_type: MessageType::MsgPreVoteResp.into(), ..to },
        MessageType::MsgVote => Message { msg_type: MessageType::MsgVoteResp.into(), ..to },
        MessageType::MsgHeartbeat => {
            Message { msg_type: MessageType::MsgHeartbeatResp.into(), context: message.context.clone(), ..to }
        }
        MessageType::MsgApp if empty => {
            Message { msg_type: MessageType::MsgAppResp.into(), index: message.index, reject: true, ..to }
        }
        MessageType::MsgSnap => {
            Message { msg_type: MessageType::MsgAppResp.into(), index: snapshot_index(message), ..to }
        }
        MessageType::MsgApp => {
            let index = message.index + message.entries.len() as u64;
            Message { msg_type: MessageType::MsgAppResp.into(), index, ..to }
        }
        _ => return None,
    })
}

fn snapshot_index(message: &Message) -> u64 {
    message.snapshot.clone().unwrap_or_default().metadata.unwrap_or_default().index
}

/// A put, proposed by us and handed to the leader.
fn proposal(from: u64, to: u64) -> Message {
    let put = PutRequest { key: Bytes::from_static(b"ours"), value: Bytes::from_static(b"1"), ..Default::default() };
    let header = Some(RequestHeader { id: 4711, ..Default::default() });
    let data = InternalRaftRequest { header, put: Some(put), ..Default::default() }.encode_to_vec();
    let entries = vec![Entry { data: data.into(), ..Entry::default() }];
    Message { msg_type: MessageType::MsgProp.into(), from, to, entries, ..Message::default() }
}

/// Streams both ways, with a leader that puts, takes our proposal and then removes us.
fn lives_with(binary: &Path, version: Version) {
    let (held, real_url) = listen();
    let (listener, url) = listen();
    let (id, real_id) = (member_id(&url), member_id(&real_url));
    let site = Arc::new(Site::start_on(listener, url.clone(), id, cluster_id(vec![id, real_id]), |config| {
        config.identity.version = version;
    }));
    drop(held);
    let real = Real::start(binary, "real", &[("real", &real_url), ("ours", &url)], &[]);
    site.transport.set_members(&[member(id, &url), member(real_id, &real_url)]);
    let stop = Arc::new(AtomicBool::new(false));
    let follower = std::thread::spawn({
        let (site, stop) = (site.clone(), stop.clone());
        move || follow(&site, false, &stop)
    });
    real.post("/v3/kv/put", r#"{"key":"dGhlaXJz","value":"MQ=="}"#);
    let has = |message: &Message, key: &[u8]| {
        message.entries.iter().any(|entry| entry.data.windows(key.len()).any(|window| window == key))
    };
    site.host.wait("the put", |seen| seen.messages.iter().any(|m| has(m, b"theirs")).then_some(()));
    site.host.wait("signs of life", |seen| (seen.received_bytes.get(&0)? > &0).then_some(()));
    site.transport.send(vec![proposal(id, real_id)]);
    let index = site.host.wait("our own put", |seen| {
        let put = seen.messages.iter().find(|m| has(m, b"ours"))?;
        put.entries.last().map(|entry| entry.index)
    });
    site.host.wait("its commit", |seen| seen.messages.iter().any(|m| m.commit >= index).then_some(()));
    let answer = real.post("/v3/kv/range", r#"{"key":"b3Vycw=="}"#);
    assert!(answer.contains(r#""value":"MQ==""#), "{answer}");
    site.host.look(|seen| assert_eq!(seen.activity.get(&real_id), Some(&true)));
    let granted = real.post("/v3/lease/grant", r#"{"TTL":60,"ID":77}"#);
    assert!(granted.contains(r#""ID":"77""#), "{granted}");
    ask(questions(&real_url, real_id, cluster_id(vec![id, real_id]), version));
    let removed = real.post("/v3/cluster/member/remove", &format!(r#"{{"ID":"{id}"}}"#));
    assert!(removed.contains("\"members\""), "{removed}");
    site.host.wait("the news that we were removed", |seen| seen.removed_self.then_some(()));
    stop.store(true, Ordering::Relaxed);
    follower.join().unwrap();
}

/// What the leader answers to single questions.
async fn questions(url: &str, leader: u64, cluster: u64, version: Version) {
    let fetcher = Fetcher::new(Duration::from_secs(2));
    let fetched = fetcher.members(url, PATIENCE).await.unwrap();
    assert_eq!((fetched.cluster, fetched.members.len()), (cluster, 2));
    assert_eq!(fetcher.version(url, PATIENCE).await.unwrap().server.minor_line(), version);
    assert!(!fetcher.downgrade_enabled(url, PATIENCE).await.unwrap());
    let hash = fetcher.hash_kv(url, cluster, 3, PATIENCE).await.unwrap();
    assert!(hash.hash != 0 && hash.current_revision == 3, "{hash:?}");
    // 3.4.23 doesn't answer this one at all.
    if version >= Version::V3_5 {
        let future = fetcher.hash_kv(url, cluster, 1000, PATIENCE).await.unwrap_err();
        assert!(matches!(future, Refusal::Refused(HashKvError::FutureRevision)), "{future}");
    }
    let promote = async |id| fetcher.promote(url, id, None, PATIENCE).await.unwrap_err();
    assert!(matches!(promote(5).await, Refusal::Refused(PromoteError::NotFound)));
    assert!(matches!(promote(leader).await, Refusal::Refused(PromoteError::NotLearner)));
    assert_eq!(fetcher.lease_renew(url, 77, PATIENCE).await.unwrap(), 60);
    let unknown = fetcher.lease_renew(url, 78, PATIENCE).await.unwrap_err();
    assert!(matches!(unknown, Refusal::Refused(LeaseError::NotFound)), "{unknown}");
    let request = |id| LeaseTimeToLiveRequest { id, keys: true };
    let left = fetcher.lease_time_to_live(url, request(77), PATIENCE).await.unwrap();
    assert!((left.granted_ttl, left.id) == (60, 77) && left.ttl > 0, "{left:?}");
    let unknown = fetcher.lease_time_to_live(url, request(78), PATIENCE).await.unwrap_err();
    assert!(matches!(unknown, Refusal::Refused(LeaseError::NotFound)), "{unknown}");
}

/// The binary that the environment names, or the one in the path for 3.4.
fn binary(variable: &str, otherwise: Option<&str>) -> Option<std::path::PathBuf> {
    let named = std::env::var_os(variable).map(std::path::PathBuf::from);
    let found = named.or_else(|| otherwise.map(std::path::PathBuf::from)).filter(|path| path.exists());
    if found.is_none() {
        // Past the capture of the test harness, so that nobody takes this for a test that ran.
        let text = format!("LEFT OUT: the test with real etcd, because {variable} names no binary\n");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    found
}

#[test]
fn real_etcd_3_4_takes_us_for_a_member() {
    if let Some(binary) = binary("QUORATE_ETCD_3_4", Some("/usr/bin/etcd")) {
        lives_with(&binary, Version::V3_4);
    }
}

#[test]
fn real_etcd_3_5_takes_us_for_a_member() {
    if let Some(binary) = binary("QUORATE_ETCD_3_5", None) {
        lives_with(&binary, Version::V3_5);
    }
}

/// Two real members go far ahead; the third, ours, starts with nothing and gets their database.
fn gets_a_database_from(binary: &Path) {
    const AHEAD: usize = 5400;
    const CALLERS: usize = 12;
    let ((held_a, url_a), (held_b, url_b), (listener, url)) = (listen(), listen(), listen());
    let cluster = [("a", url_a.as_str()), ("b", url_b.as_str()), ("ours", url.as_str())];
    drop((held_a, held_b));
    let reals = ["a", "b"].map(|name| Real::start(binary, name, &cluster, &["--snapshot-count", "50"]));
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| (0..AHEAD / CALLERS).for_each(|_| drop(reals[0].post("/v3/kv/put", r#"{"key":"YQ=="}"#))));
        }
    });
    let ids = cluster.map(|(_, url)| member_id(url));
    let site = Arc::new(Site::start_on(listener, url.clone(), ids[2], cluster_id(ids.to_vec()), |config| {
        config.identity.version = Version::V3_5;
    }));
    site.transport.set_members(&[member(ids[0], &url_a), member(ids[1], &url_b), member(ids[2], &url)]);
    let stop = Arc::new(AtomicBool::new(false));
    let follower = std::thread::spawn({
        let (site, stop) = (site.clone(), stop.clone());
        move || follow(&site, true, &stop)
    });
    let index = site.host.wait("the snapshot", |seen| {
        seen.messages.iter().find(|m| m.msg_type == MessageType::MsgSnap as i32).map(snapshot_index)
    });
    assert!(index > AHEAD as u64, "{index}");
    site.host.look(|seen| {
        let database = seen.saved.first().unwrap();
        // Two meta pages of bbolt, and whole pages.
        assert_eq!(&database[16..20], 0xED0C_DAED_u32.to_le_bytes());
        assert_eq!((&database[4096 + 16..4096 + 20], database.len() % 4096), (&database[16..20], 0));
    });
    // Appends go on where the snapshot ends.
    reals[0].post("/v3/kv/put", r#"{"key":"dGhlaXJz","value":"MQ=="}"#);
    site.host.wait("an append after the snapshot", |seen| {
        seen.messages.iter().any(|m| !m.entries.is_empty() && m.index >= index).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    follower.join().unwrap();
    drop(reals);
    gives_the_database_to(binary, &site, &cluster, &ids);
}

/// The parts of a database that is held whole.
struct Whole(std::vec::IntoIter<Bytes>);

impl SnapshotSource for Whole {
    fn next_part(&mut self) -> std::io::Result<Option<Bytes>> {
        Ok(self.0.next())
    }
}

/// Member `b` starts anew with an empty directory, learns of the cluster from us, who lead now, and gets the database back.
fn gives_the_database_to(binary: &Path, site: &Site, cluster: &[(&str, &str)], ids: &[u64]) {
    let mut members: Vec<_> = ids.iter().zip(cluster).map(|(id, (_, url))| member(*id, url)).collect();
    members.sort_by_key(|member| member.id);
    *site.host.members.lock().unwrap() = Arc::new(members);
    let (snapshot, database) = site.host.look(|seen| {
        let snapshot = seen.messages.iter().find(|m| m.msg_type == MessageType::MsgSnap as i32).cloned();
        (snapshot.unwrap(), seen.saved[0].clone())
    });
    let index = snapshot_index(&snapshot);
    let joiner = Real::start(binary, "b", cluster, &["--initial-cluster-state", "existing"]);
    // Nobody tells when it listens; a post that fails is made again.
    let listening = || TcpStream::connect(cluster[1].1.strip_prefix("http://").unwrap()).is_ok();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !listening() {
        assert!(Instant::now() < deadline, "it doesn't listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    site.host.look(|seen| seen.messages.clear());
    let parts: Vec<Bytes> = database.chunks(100_000).map(Bytes::copy_from_slice).collect();
    let message = Message { from: ids[2], to: ids[1], term: snapshot.term + 1, ..snapshot };
    site.transport.send_snapshot(message, Box::new(Whole(parts.into_iter())));
    let report = site.host.wait("the report", |seen| seen.reports.pop());
    assert_eq!(report, (ids[1], false));
    site.host.wait("its answer", |seen| {
        let answers = |m: &&Message| m.msg_type == MessageType::MsgAppResp as i32 && m.from == ids[1] && !m.reject;
        seen.messages.iter().find(answers).filter(|m| m.index == index).map(|_| ())
    });
    drop(joiner);
}

#[test]
fn real_etcd_3_5_sends_us_its_database_and_takes_ours() {
    if let Some(binary) = binary("QUORATE_ETCD_3_5", None) {
        gets_a_database_from(&binary);
    }
}
