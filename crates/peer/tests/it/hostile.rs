//! Callers that follow no rule.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use prost::Message as _;
use proto::raftpb::{Entry, Message, MessageType};

use super::site::*;

/// A request with the headers of a member and others, which replace them (an empty value leaves one out).
fn request(method: &str, path: &str, other: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let cluster = format!("{CLUSTER:x}");
    let usual = [
        ("Host", "x"),
        ("X-Server-From", "2"),
        ("X-Server-Version", "3.5.1"),
        ("X-Min-Cluster-Version", "3.0.0"),
        ("X-Etcd-Cluster-ID", cluster.as_str()),
        ("X-Raft-To", "1"),
        ("Connection", "close"),
    ];
    let mut text = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    let replaced = |name| other.iter().any(|(other, _)| *other == name);
    for (name, value) in usual.iter().filter(|(name, _)| !replaced(*name)).chain(other) {
        if !value.is_empty() {
            text += &format!("{name}: {value}\r\n");
        }
    }
    let mut bytes = (text + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[track_caller]
fn check(
    site: &Site,
    method: &str,
    path: &str,
    other: &[(&str, &str)],
    body: &[u8],
    status: u16,
    text: &str,
) -> String {
    let answer = site.raw(&request(method, path, other, body));
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {other:?}: {answer}");
    let (head, got) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(got, text, "{path} {other:?}");
    head.to_ascii_lowercase()
}

#[test]
fn streams_are_refused_with_etcds_answers() {
    let site = Site::start(1);
    site.transport.set_members(&[member(1, &site.url)]);
    site.host.removed.lock().unwrap().insert(9);
    let stream = |path: &str, other: &[(&str, &str)], status, text: &str| {
        let head = check(&site, "GET", path, other, b"", status, &format!("{text}\n"));
        assert!(head.contains("x-etcd-cluster-id: c1") && head.contains("x-server-version: 3.7.1"), "{head}");
        assert!(head.contains("content-type: text/plain; charset=utf-8"), "{head}");
    };
    let path = "/raft/stream/msgapp/2";
    stream(path, &[("X-Server-Version", "")], 412, "incompatible version");
    stream(path, &[("X-Server-Version", "2.3.8")], 412, "incompatible version");
    stream(path, &[("X-Min-Cluster-Version", "3.8.0")], 412, "incompatible version");
    stream(path, &[("X-Etcd-Cluster-ID", "c2")], 412, "cluster ID mismatch");
    stream(path, &[("X-Etcd-Cluster-ID", "")], 412, "cluster ID mismatch");
    stream("/raft/stream/other/2", &[], 404, "invalid path");
    stream("/raft/stream/msgapp/2/3", &[], 404, "invalid path");
    stream("/raft/stream/msgapp/xyz", &[], 404, "invalid from");
    stream("/raft/stream/message/9", &[], 410, "removed member");
    stream("/raft/stream/message/2", &[], 404, "error sender not found");
    // In place of a dropped connection.
    let answer = site.raw(&request("GET", path, &[("X-Server-Version", "three")], b""));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let (_held, nobody) = listen();
    site.transport.set_members(&[member(1, &site.url), member(2, &nobody)]);
    site.settled();
    stream(path, &[("X-Raft-To", "7")], 412, "to field mismatch");
    stream(path, &[("X-Raft-To", "")], 412, "to field mismatch");
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let site = Site::start(1);
    for path in ["/", "/health", "/metrics", "/raft/", "/raft/streams", "/v3/kv/put", "/members/x"] {
        check(&site, "GET", path, &[], b"", 404, "404 page not found\n");
    }
    for path in ["/raft", "/raft/snapshot", "/leases", "/leases/internal", "/members/promote/1"] {
        let head = check(&site, "GET", path, &[], b"", 405, "Method Not Allowed\n");
        assert!(head.contains("allow: post"), "{head}");
    }
    for path in ["/raft/stream/msgapp/2", "/members", "/members/hashkv", "/version", "/downgrade/enabled"] {
        let head = check(&site, "POST", path, &[], b"", 405, "Method Not Allowed\n");
        assert!(head.contains("allow: get"), "{head}");
    }
    check(&site, "POST", "/members/promote/xyz", &[], b"", 404, "member xyz not found in cluster\n");
    check(&site, "POST", "/leases", &[], b"\xff", 400, "error unmarshalling request\n");
    check(&site, "POST", "/leases/internal", &[], b"", 400, "error unmarshalling request\n");
    check(&site, "GET", "/members/hashkv", &[], b"{", 400, "error unmarshalling request\n");
    let answer = site.raw(&request("POST", "/leases", &[], &[0; 70_000]));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn posts_are_refused_with_etcds_answers() {
    let site = Site::start(1);
    let fine = Message { msg_type: MessageType::MsgVote.into(), from: 2, to: 1, term: 5, ..Message::default() };
    let post = |message: &Message, other: &[(&str, &str)], status, text: &str| {
        check(&site, "POST", "/raft", other, &message.encode_to_vec(), status, text)
    };
    let head = post(&fine, &[], 204, "");
    assert!(head.contains("x-etcd-cluster-id: c1"), "{head}");
    post(&fine, &[("X-Etcd-Cluster-ID", "1")], 412, "cluster ID mismatch\n");
    post(&fine, &[("X-Server-Version", "2.0.0")], 412, "incompatible version\n");
    check(&site, "POST", "/raft", &[], b"\xff\xff\xff", 400, "error unmarshalling raft message\n");
    let refused = "error processing raft message\n";
    post(&Message { to: 7, ..fine.clone() }, &[], 500, refused);
    post(&Message { from: 3, ..fine.clone() }, &[], 500, refused);
    post(&Message { from: 0, ..fine.clone() }, &[], 500, refused);
    post(&Message { msg_type: MessageType::MsgSnap.into(), ..fine.clone() }, &[], 500, refused);
    // Taken and left aside, as etcd does.
    for msg_type in [0, 1, 10, 11, 12, 19, 23, 24, 1000, -1] {
        post(&Message { msg_type, ..fine.clone() }, &[], 204, "");
    }
    let entry = |index| Entry { term: 5, index, ..Entry::default() };
    let gap = Message { msg_type: MessageType::MsgApp.into(), entries: vec![entry(1), entry(3)], ..fine.clone() };
    post(&gap, &[], 204, "");
    site.host.removed.lock().unwrap().insert(2);
    post(&fine, &[], 500, refused);
    site.host.look(|seen| assert_eq!(seen.messages, [fine]));
}

#[test]
fn a_body_beyond_its_bound_is_refused() {
    let site = Site::start_with(1, CLUSTER, |config| config.limits.body_bytes_max = 1 << 20);
    let answer = site.raw(&request("POST", "/raft", &[], &vec![0; 2 << 20]));
    assert!(answer.is_empty() || answer.contains("error reading raft message"), "{answer}");
    site.host.look(|seen| assert!(seen.messages.is_empty()));
}

#[test]
fn random_bytes_change_nothing() {
    let site = Site::start(1);
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..60 {
        let noise: Vec<u8> = (0..next() % 600).map(|_| next() as u8).collect();
        let bytes = match round % 3 {
            0 => noise,
            1 => request("POST", "/raft", &[], &noise),
            _ => request("POST", "/raft/snapshot", &[], &noise),
        };
        let mut stream = TcpStream::connect(site.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _cut = stream.write_all(&bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
    }
    site.host.look(|seen| assert!(seen.messages.iter().all(|m| m.to == 1) && seen.saved.is_empty()));
    check(
        &site,
        "GET",
        "/version",
        &[],
        b"",
        200,
        r#"{"etcdserver":"3.7.1","etcdcluster":"3.5.0","storage":"unknown"}"#,
    );
}

#[test]
fn connections_that_say_nothing_are_closed_and_bounded() {
    let site = Site::start_with(1, CLUSTER, |config| config.limits.connections_per_address_max = 3);
    let mut silent: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(site.address()).unwrap()).collect();
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\nGET /ver").unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
    }
    // A fourth finds no place.
    assert_eq!(site.raw(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"), "");
    // The others are closed, because the rest of the head doesn't come.
    for stream in &mut silent {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
    }
    check(&site, "GET", "/members", &[], b"", 200, "[]\n");
}

/// A peer that answers our dialers itself.
fn forging_peer(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let (listener, url) = listen();
    listener.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        // Ends with the process.
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let _cut = stream.write_all(&answer(&String::from_utf8_lossy(&head)));
            // Open until the other end closes.
            std::thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        }
    });
    url
}

fn chunked(version: &str, body: &[u8]) -> Vec<u8> {
    let version = if version.is_empty() { String::new() } else { format!("X-Server-Version: {version}\r\n") };
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\n{version}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn framed(message: &Message) -> Vec<u8> {
    let encoded = message.encode_to_vec();
    let mut bytes = (encoded.len() as u64).to_be_bytes().to_vec();
    bytes.extend_from_slice(&encoded);
    bytes
}

#[test]
fn a_stream_that_forges_senders_hands_on_only_what_is_its_own() {
    let site = Site::start(1);
    let own = Message { msg_type: MessageType::MsgHeartbeat.into(), from: 2, to: 1, term: 5, ..Message::default() };
    let mut body = Vec::new();
    body.extend(framed(&Message { from: 3, ..own.clone() }));
    body.extend(framed(&Message { to: 3, ..own.clone() }));
    body.extend(framed(&Message { msg_type: 0, ..own.clone() }));
    body.extend(framed(&Message { msg_type: 99, ..own.clone() }));
    body.extend(framed(&Message { msg_type: MessageType::MsgSnap.into(), ..own.clone() }));
    body.extend(framed(&own));
    body.extend(u64::MAX.to_be_bytes());
    let url = forging_peer(move |head| {
        if head.contains("/raft/stream/message/") {
            chunked("3.4.23", &body)
        } else {
            b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()
        }
    });
    site.transport.set_members(&[member(2, &url)]);
    site.host.wait("the message", |seen| (!seen.messages.is_empty()).then_some(()));
    site.host.wait("the refusals", |seen| (seen.received_failures >= 6).then_some(()));
    site.host.look(|seen| assert!(seen.messages.iter().all(|message| *message == own)));
}

#[test]
fn a_peer_without_a_known_version_gives_no_stream() {
    for version in ["", "2.0.0", "nonsense"] {
        let site = Site::start(1);
        let (asked, hears) = std::sync::mpsc::channel();
        let url = forging_peer(move |_| {
            let _gone = asked.send(());
            chunked(version, b"\0\0\0\0\0\0\0\x02\x08\x08")
        });
        site.transport.set_members(&[member(2, &url)]);
        for _ in 0..4 {
            hears.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        site.host.look(|seen| assert!(!seen.activity.contains_key(&2), "{version}"));
    }
}

#[test]
fn a_peer_that_says_gone_ends_this_member() {
    let site = Site::start(1);
    let url = forging_peer(|_| b"HTTP/1.1 410 Gone\r\nContent-Length: 15\r\n\r\nremoved member\n".to_vec());
    site.transport.set_members(&[member(2, &url)]);
    site.host.wait("the end", |seen| seen.removed_self.then_some(()));
}

#[test]
fn senders_that_nobody_knows_are_bounded() {
    let site = Site::start_with(1, CLUSTER, |config| config.limits.remotes_max = 2);
    let vote = |from| Message { msg_type: MessageType::MsgVote.into(), from, to: 1, term: 5, ..Message::default() };
    for from in 2..40u64 {
        let id = format!("{from:x}");
        let other = [("X-Server-From", id.as_str()), ("X-PeerURLs", "http://127.0.0.1:1")];
        check(&site, "POST", "/raft", &other, &vote(from).encode_to_vec(), 204, "");
    }
    site.transport.send((2..40).map(|to| Message { to, from: 1, ..vote(1) }).collect());
    // The last that made itself known is there, and can't be reached; those that gave way are unknown.
    site.host.wait("a failed post", |seen| seen.unreachable.contains(&39).then_some(()));
    site.host.look(|seen| assert!(!seen.unreachable.contains(&5), "{:?}", seen.unreachable));
}
