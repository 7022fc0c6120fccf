//! Databases on their way.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use bytes::Bytes;
use peer::SnapshotSource;
use prost::Message as _;
use proto::raftpb::{ConfState, Message, MessageType, Snapshot, SnapshotMetadata};

use super::site::*;

struct Parts(Vec<io::Result<Option<Bytes>>>);

impl SnapshotSource for Parts {
    fn next_part(&mut self) -> io::Result<Option<Bytes>> {
        if self.0.is_empty() { Ok(None) } else { self.0.remove(0) }
    }
}

fn snapshot(from: u64, to: u64) -> Message {
    let conf_state = Some(ConfState { voters: vec![1, 2], ..ConfState::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index: 163, term: 4 });
    let snapshot = Some(Snapshot { data: Bytes::from_static(b"{}"), metadata });
    Message { msg_type: MessageType::MsgSnap.into(), from, to, term: 4, snapshot, ..Message::default() }
}

#[test]
fn a_database_arrives_whole_before_its_message() {
    let sites = Site::cluster(&[1, 2]);
    let parts: Vec<Bytes> = (0..100u8).map(|n| Bytes::from(vec![n; 70_001])).collect();
    let whole: Vec<u8> = parts.iter().flatten().copied().collect();
    let mut source: Vec<_> = parts.into_iter().map(|part| Ok(Some(part))).collect();
    source.insert(3, Ok(Some(Bytes::new())));
    sites[0].transport.send_snapshot(snapshot(1, 2), Box::new(Parts(source)));
    sites[0].host.wait("the report", |seen| (seen.reports == [(2, false)]).then_some(()));
    sites[1].host.look(|seen| {
        assert!(seen.saved == [whole]);
        assert_eq!(seen.messages.last(), Some(&snapshot(1, 2)));
    });
}

#[test]
fn a_database_that_cannot_be_read_to_its_end_is_given_up() {
    let sites = Site::cluster(&[1, 2]);
    // More than any buffer on the way holds, so that the receiver has begun.
    let source = vec![Ok(Some(Bytes::from(vec![1; 64 << 20]))), Err(io::Error::other("a bad page"))];
    sites[0].transport.send_snapshot(snapshot(1, 2), Box::new(Parts(source)));
    sites[0].host.wait("the report", |seen| (seen.reports == [(2, true)]).then_some(()));
    sites[1].host.wait("the end of the file", |seen| (seen.given_up == 1).then_some(()));
    sites[1].host.look(|seen| assert!(seen.saved.is_empty() && seen.messages.iter().all(|m| m.term != 4)));
}

#[test]
fn a_receiver_that_cannot_write_refuses() {
    let sites = Site::cluster(&[1, 2]);
    let source = vec![Ok(Some(Bytes::from_static(b"disk full"))), Ok(Some(Bytes::from(vec![1; 4 << 20])))];
    sites[0].transport.send_snapshot(snapshot(1, 2), Box::new(Parts(source)));
    sites[0].host.wait("the report", |seen| (seen.reports == [(2, true)]).then_some(()));
    sites[1].host.look(|seen| assert!(seen.saved.is_empty() && seen.given_up == 1));
}

#[test]
fn snapshots_that_cannot_be_sent_are_reported() {
    let sites = Site::cluster(&[1, 2]);
    let none = || Box::new(Parts(Vec::new()));
    sites[0].transport.send_snapshot(snapshot(1, 9), none());
    sites[0].host.wait("the report", |seen| (seen.reports == [(9, true)]).then_some(()));
    // Without its database, a snapshot is not sent at all.
    sites[0].transport.send(vec![snapshot(1, 2)]);
    sites[0].host.wait("the report", |seen| (seen.reports.last() == Some(&(2, true))).then_some(()));
    sites[1].host.removed.lock().unwrap().insert(1);
    sites[0].transport.send_snapshot(snapshot(1, 2), none());
    sites[0].host.wait("the third report", |seen| (seen.reports.len() == 3).then_some(()));
    sites[0].host.look(|seen| assert_eq!(seen.reports.last(), Some(&(2, true))));
}

/// Blocks until it is released.
struct Held(mpsc::Receiver<()>);

impl SnapshotSource for Held {
    fn next_part(&mut self) -> io::Result<Option<Bytes>> {
        // Released by the end of the other side.
        let _released = self.0.recv();
        Ok(None)
    }
}

#[test]
fn a_snapshot_to_a_member_that_is_removed_meanwhile_is_reported() {
    let sites = Site::cluster(&[1, 2]);
    let (release, held) = mpsc::channel();
    sites[0].transport.send_snapshot(snapshot(1, 2), Box::new(Held(held)));
    sites[0].transport.set_members(&[member(1, &sites[0].url)]);
    sites[0].host.wait("the report", |seen| (seen.reports == [(2, true)]).then_some(()));
    drop(release);
}

#[test]
fn only_so_many_snapshots_are_under_way() {
    let site = Site::start_with(1, CLUSTER, |config| config.limits.snapshots_max = 1);
    let other = Site::start(2);
    site.transport.set_members(&[member(2, &other.url)]);
    let (release, held) = mpsc::channel();
    site.transport.send_snapshot(snapshot(1, 2), Box::new(Held(held)));
    site.transport.send_snapshot(snapshot(1, 2), Box::new(Parts(Vec::new())));
    site.host.wait("the report", |seen| (seen.reports == [(2, true)]).then_some(()));
    drop(release);
    site.host.wait("the other report", |seen| (seen.reports.len() == 2).then_some(()));
}

fn head(site: &Site, from: u64, len: usize) -> String {
    let _ = site;
    format!(
        "POST /raft/snapshot HTTP/1.1\r\nHost: x\r\nX-Server-From: {from:x}\r\nX-Server-Version: 3.5.1\r\n\
         X-Min-Cluster-Version: 3.0.0\r\nX-Etcd-Cluster-ID: {CLUSTER:x}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
    )
}

fn post(site: &Site, from: u64, len: usize, body: &[u8]) -> String {
    let mut bytes = head(site, from, len).into_bytes();
    bytes.extend_from_slice(body);
    site.raw(&bytes)
}

fn framed(message: &Message) -> Vec<u8> {
    let encoded = message.encode_to_vec();
    let mut bytes = (encoded.len() as u64).to_be_bytes().to_vec();
    bytes.extend_from_slice(&encoded);
    bytes
}

#[test]
fn bad_snapshots_are_refused_with_etcds_answers() {
    let site = Site::start(1);
    let refused = |answer: String, status: &str, text: &str| {
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(text),
            "{status} {text}: {answer}"
        );
    };
    let whole = framed(&snapshot(2, 1));
    refused(post(&site, 2, 8, &u64::MAX.to_be_bytes()), "400", "failed to decode raft message (");
    refused(post(&site, 2, 8, &(65u64 << 20).to_be_bytes()), "400", "failed to decode raft message (");
    refused(post(&site, 2, 5, &whole[..5]), "400", "failed to decode raft message (unexpected EOF)");
    refused(post(&site, 2, 11, b"\0\0\0\0\0\0\0\x03\xff\xff\xff"), "400", "failed to decode raft message (");
    let vote = framed(&Message { msg_type: MessageType::MsgVote.into(), ..snapshot(2, 1) });
    refused(post(&site, 2, vote.len(), &vote), "400", "wrong raft message type");
    let empty = framed(&Message { snapshot: None, ..snapshot(2, 1) });
    refused(post(&site, 2, empty.len(), &empty), "400", "failed to decode raft message (");
    let other = framed(&snapshot(2, 7));
    refused(post(&site, 2, other.len(), &other), "500", "failed to process raft message (");
    refused(post(&site, 3, whole.len(), &whole), "500", "failed to process raft message (");
    site.host.removed.lock().unwrap().insert(2);
    refused(post(&site, 2, whole.len(), &whole), "500", "failed to process raft message (");
    site.host.look(|seen| assert!(seen.saved.is_empty() && seen.messages.is_empty() && seen.given_up == 0));
}

#[test]
fn a_snapshot_cut_short_leaves_nothing() {
    let site = Site::start(1);
    let whole = framed(&snapshot(2, 1));
    let mut stream = TcpStream::connect(site.address()).unwrap();
    stream.write_all(head(&site, 2, whole.len() + 1000).as_bytes()).unwrap();
    stream.write_all(&whole).unwrap();
    stream.write_all(&[7; 500]).unwrap();
    drop(stream);
    site.host.wait("the end of the file", |seen| (seen.given_up == 1).then_some(()));
    site.host.look(|seen| assert!(seen.saved.is_empty() && seen.messages.is_empty()));
}
