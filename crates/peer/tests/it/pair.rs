//! Members of ours with each other.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use proto::raftpb::{Entry, Message, MessageType};

use super::site::*;

fn append(from: u64, to: u64, index: u64, data: &[&[u8]]) -> Message {
    let entries = (index + 1..).zip(data).map(|(index, data)| {
        let data = Bytes::copy_from_slice(data);
        Entry { term: 2, index, data, ..Entry::default() }
    });
    let msg_type = MessageType::MsgApp.into();
    Message {
        msg_type,
        from,
        to,
        term: 2,
        log_term: 2,
        index,
        entries: entries.collect(),
        commit: index,
        ..Message::default()
    }
}

fn of_type(kind: MessageType, from: u64, to: u64) -> Message {
    Message { msg_type: kind.into(), from, to, term: 2, ..Message::default() }
}

/// All that members say to each other, apart from snapshots.
const SAID: [MessageType; 12] = [
    MessageType::MsgAppResp,
    MessageType::MsgVote,
    MessageType::MsgVoteResp,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResp,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgPreVote,
    MessageType::MsgPreVoteResp,
    MessageType::MsgApp,
];

#[test]
fn everything_arrives_in_order() {
    let sites = Site::cluster(&[1, 2, 3]);
    let large = vec![7; 300 << 10];
    let mut sent = vec![append(1, 2, 4, &[b"a", &large, b""]), append(1, 2, 7, &[b"b"]), append(1, 2, 8, &[])];
    sent.extend((9..200).map(|index| append(1, 2, index, &[b"x", b"y"])));
    sites[0].transport.send(sent.clone());
    sites[0].transport.send(SAID.map(|kind| of_type(kind, 1, 3)).to_vec());
    sites[0].transport.send(vec![of_type(MessageType::MsgProp, 1, 3)]);
    let got = sites[1].host.wait("all appends", |seen| {
        let got: Vec<_> = seen.messages.iter().filter(|m| m.msg_type == MessageType::MsgApp as i32).cloned().collect();
        (got.len() == sent.len()).then_some(got)
    });
    assert_eq!(got, sent);
    let kinds = sites[2].host.wait("one message of each type", |seen| {
        let terms = seen.messages.iter().filter(|m| m.term == 2);
        let kinds: Vec<i32> = terms.map(|m| m.msg_type).collect();
        (kinds.len() == SAID.len() && seen.proposals.len() == 1).then_some(kinds)
    });
    // Appends have a stream of their own.
    let others: Vec<i32> = kinds.into_iter().filter(|kind| *kind != MessageType::MsgApp as i32).collect();
    assert_eq!(others, SAID[..11].iter().map(|kind| *kind as i32).collect::<Vec<_>>());
    let bytes = sites[1].host.look(|seen| seen.received_bytes[&1]);
    assert!(bytes > 300 << 10, "{bytes}");
    assert!(sites[0].host.look(|seen| seen.sent_bytes[&2]) > 300 << 10);
}

#[test]
fn only_the_last_of_several_acceptances_is_sent() {
    let sites = Site::cluster(&[1, 2]);
    let answer = |index| Message { index, ..of_type(MessageType::MsgAppResp, 1, 2) };
    sites[0].transport.send((1..=50).map(answer).collect());
    sites[0].transport.send(vec![of_type(MessageType::MsgVote, 1, 2)]);
    let got = sites[1].host.wait("what follows the answers", |seen| {
        let got: Vec<_> = seen.messages.iter().filter(|m| m.term == 2).cloned().collect();
        (got.last()?.msg_type == MessageType::MsgVote as i32).then_some(got)
    });
    assert_eq!(got, [answer(50), of_type(MessageType::MsgVote, 1, 2)]);
}

#[test]
fn a_member_that_ends_is_lost_and_one_that_comes_back_is_found() {
    let mut sites = Site::cluster(&[1, 2, 3]);
    let gone = sites.remove(1);
    let (id, url) = (gone.id, gone.url.clone());
    drop(gone);
    sites[0].host.wait_connected(id, false);
    assert!(sites[0].transport.status().iter().all(|peer| (peer.id == id) == peer.active_since.is_none()));
    // With nobody there, messages are reported as lost, and others hear theirs.
    sites[0].host.look(|seen| seen.unreachable.clear());
    sites[0].transport.send(vec![of_type(MessageType::MsgVote, 1, 2), of_type(MessageType::MsgVote, 1, 3)]);
    sites[0].host.wait("the report", |seen| seen.unreachable.contains(&2).then_some(()));
    sites[1].host.wait("the vote", |seen| seen.messages.iter().any(|m| m.term == 2).then_some(()));
    let listener = std::net::TcpListener::bind(url.strip_prefix("http://").unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    sites.push(Site::start_on(listener, url, id, CLUSTER, |_| {}));
    Site::introduce(&sites);
    sites[0].host.wait_connected(id, true);
    sites[2].host.wait_connected(1, true);
    sites[0].transport.send(vec![of_type(MessageType::MsgVote, 1, 2)]);
    sites[2].host.wait("the vote", |seen| seen.messages.iter().any(|m| m.term == 2).then_some(()));
}

#[test]
fn a_removed_member_is_told_so() {
    let sites = Site::cluster(&[1, 2]);
    sites[0].host.removed.lock().unwrap().insert(2);
    sites[0].transport.set_members(&[member(1, &sites[0].url)]);
    sites[0].host.wait_connected(2, false);
    sites[1].host.wait("the end", |seen| seen.removed_self.then_some(()));
    assert_eq!(sites[0].transport.status(), []);
}

#[test]
fn a_member_moves_to_another_address() {
    let mut sites = Site::cluster(&[1, 2]);
    let gone = sites.pop().unwrap();
    drop(gone);
    sites[0].host.wait_connected(2, false);
    sites.push(Site::start(2));
    Site::introduce(&sites);
    sites[0].host.wait_connected(2, true);
    sites[0].transport.send(vec![of_type(MessageType::MsgVote, 1, 2)]);
    sites[1].host.wait("the vote", |seen| seen.messages.iter().any(|m| m.term == 2).then_some(()));
}

#[test]
fn the_second_url_serves_where_the_first_is_dead() {
    let sites = [Site::start(1), Site::start(2)];
    let (held, dead) = listen();
    drop(held);
    let mut two = member(2, &dead);
    two.peer_urls.push(sites[1].url.clone());
    sites[0].transport.set_members(&[two]);
    sites[1].transport.set_members(&[member(1, &sites[0].url)]);
    sites[0].host.wait_connected(2, true);
    sites[1].host.wait_connected(1, true);
}

#[test]
fn one_who_is_in_no_list_yet_is_answered_through_the_pipeline() {
    let sites = [Site::start(1), Site::start(2)];
    // Two has learned of one; one knows of two only what two tells with its posts.
    sites[1].transport.add_remote(1, vec![sites[0].url.clone()]);
    sites[1].transport.send(vec![of_type(MessageType::MsgAppResp, 2, 1)]);
    sites[0].host.wait("the post", |seen| (!seen.messages.is_empty()).then_some(()));
    sites[0].transport.send(vec![of_type(MessageType::MsgApp, 1, 2)]);
    sites[1].host.wait("the answer", |seen| (!seen.messages.is_empty()).then_some(()));
    sites[0].host.look(|seen| assert!(seen.activity.is_empty(), "activity is told of members only"));
    assert_eq!(sites[0].transport.status(), []);
    Site::introduce(&sites);
    sites[0].host.wait_connected(2, true);
}

#[test]
fn a_full_receiver_loses_messages_and_nothing_else() {
    let sites = Site::cluster(&[1, 2]);
    sites[1].host.refuses.store(usize::MAX, std::sync::atomic::Ordering::Relaxed);
    sites[0].transport.send(vec![of_type(MessageType::MsgVote, 1, 2), of_type(MessageType::MsgProp, 1, 2)]);
    sites[1].host.wait("the proposal", |seen| (!seen.proposals.is_empty()).then_some(()));
    sites[1].host.refuses.store(0, std::sync::atomic::Ordering::Relaxed);
    sites[0].transport.send(vec![of_type(MessageType::MsgPreVote, 1, 2)]);
    let kinds = sites[1].host.wait("the next message", |seen| {
        let kinds: Vec<i32> = seen.messages.iter().filter(|m| m.term == 2).map(|m| m.msg_type).collect();
        (!kinds.is_empty()).then_some(kinds)
    });
    assert_eq!(kinds, [MessageType::MsgPreVote as i32]);
}

/// Opens a stream at a site by hand and leaves it with whoever asks.
fn open_stream(site: &Site, kind: &str, from: u64) -> TcpStream {
    let mut stream = TcpStream::connect(site.address()).unwrap();
    let id = site.id;
    write!(
        stream,
        "GET /raft/stream/{kind}/{from:x} HTTP/1.1\r\nHost: x\r\nX-Server-From: {from:x}\r\nX-Server-Version: 3.5.1\r\n\
         X-Min-Cluster-Version: 3.0.0\r\nX-Etcd-Cluster-ID: {CLUSTER:x}\r\nX-Raft-To: {id:x}\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

#[test]
fn a_stalled_peer_holds_bounded_memory_and_is_cut() {
    let site = Site::start_with(1, CLUSTER, |config| config.limits.stream_bytes_max = 8 << 20);
    let (_held, nobody) = listen();
    site.transport.set_members(&[member(1, &site.url), member(2, &nobody)]);
    site.settled();
    let stalled = open_stream(&site, "msgapp", 2);
    site.host.wait_connected(2, true);
    // Far more than the queue and the kernel's buffers take; the reader takes nothing.
    let value = vec![1; 1 << 20];
    for index in 0..64 {
        site.transport.send(vec![append(1, 2, index, &[&value])]);
    }
    site.host.wait("the queue to be full", |seen| seen.sent_failures.contains_key(&2).then_some(()));
    site.host.wait_connected(2, false);
    drop(stalled);
}

#[test]
fn a_new_stream_of_the_same_kind_takes_the_place() {
    let site = Site::start(1);
    let (_held, nobody) = listen();
    site.transport.set_members(&[member(1, &site.url), member(2, &nobody)]);
    site.settled();
    let mut first = open_stream(&site, "msgapp", 2);
    let mut second = open_stream(&site, "msgapp", 2);
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the older one ends properly");
    site.transport.send(vec![append(1, 2, 5, &[b"hello"])]);
    let mut chunk = [0; 4];
    second.read_exact(&mut chunk).unwrap();
    site.host.look(|seen| assert_eq!(seen.activity.get(&2), Some(&true)));
}

#[test]
fn streams_show_signs_of_life() {
    let site = Site::start(1);
    let (_held, nobody) = listen();
    site.transport.set_members(&[member(1, &site.url), member(2, &nobody)]);
    site.settled();
    let mut streams = [open_stream(&site, "msgapp", 2), open_stream(&site, "message", 2)];
    let signs: [&[u8]; 2] = [b"1\r\n\0\r\n", b"A\r\n\0\0\0\0\0\0\0\x02\x08\x08\r\n"];
    for (stream, sign) in streams.iter_mut().zip(signs) {
        // More than once, so that the other end's deadline of five seconds is met for ever.
        for _ in 0..2 {
            let mut read = vec![0; sign.len()];
            stream.read_exact(&mut read).unwrap();
            assert_eq!(read, sign);
        }
    }
}
