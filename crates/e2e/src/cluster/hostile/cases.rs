//! The single requests: what is sent to the peer port, and whether a reference survives being asked the same.

use super::http;
use bytes::Bytes;
use prost::Message as _;
use proto::raftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// What is known of the member that is asked.
#[derive(Clone, Debug)]
pub struct Facts {
    pub cluster: u64,
    pub target: u64,
    pub leader: u64,
    /// All voters.
    pub voters: Vec<u64>,
    /// A member that was removed.
    pub removed: u64,
    pub term: u64,
    /// The last entry of the log, as far as it is known.
    pub index: u64,
    /// A database as the member would send it.
    pub database: Vec<u8>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Whether the sending side ends after the bytes.
    pub ends: bool,
    /// Whether the reference is asked as well: it would not survive some of them, nor would its data.
    pub beside: bool,
    /// Whether bodies are compared: some tell ids and versions.
    pub bodies: bool,
}

/// An id that no member has.
const NOBODY: u64 = 0xbad;

struct Cases<'a> {
    facts: &'a Facts,
    cases: Vec<Case>,
}

/// All cases for a member.
pub fn all(facts: &Facts, rounds: u32) -> Vec<Case> {
    let mut cases = Cases { facts, cases: vec![] };
    cases.paths();
    cases.checks();
    cases.messages();
    cases.streams();
    cases.snapshots();
    cases.others();
    cases.noise(rounds);
    cases.poison();
    cases.cases
}

impl Cases<'_> {
    fn add(&mut self, name: &str, bytes: Vec<u8>) -> &mut Case {
        let case = Case { name: name.to_owned(), bytes, ends: false, beside: true, bodies: true };
        self.cases.push(case);
        let last = self.cases.len() - 1;
        &mut self.cases[last]
    }

    /// The headers of a member that is in order.
    fn headers(&self, from: u64) -> Vec<(&'static str, String)> {
        vec![
            ("X-Server-From", format!("{from:x}")),
            ("X-Server-Version", "3.5.0".to_owned()),
            ("X-Min-Cluster-Version", "3.0.0".to_owned()),
            ("X-Etcd-Cluster-ID", format!("{:x}", self.facts.cluster)),
            ("X-Raft-To", format!("{:x}", self.facts.target)),
            ("X-PeerURLs", "http://127.0.0.1:1".to_owned()),
        ]
    }

    fn with(&self, from: u64, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
        let mut headers = self.headers(from);
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value.to_owned()));
        headers
    }

    fn without(&self, name: &str) -> Vec<(&'static str, String)> {
        let mut headers = self.headers(self.facts.leader);
        headers.retain(|(known, _)| *known != name);
        headers
    }

    /// A harmless message: an answer to a heartbeat of the first term.
    fn message(&self, msg_type: i32) -> Message {
        let Facts { target, leader, .. } = *self.facts;
        let from = if leader == target { self.other() } else { leader };
        Message { msg_type, to: target, from, term: 1, ..Default::default() }
    }

    fn other(&self) -> u64 {
        self.facts.voters.iter().copied().find(|id| *id != self.facts.target).unwrap_or_default()
    }

    fn paths(&mut self) {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/raft/nothing"),
            ("GET", "/v2/keys"),
            ("GET", "/health"),
            ("GET", "/raft"),
            ("DELETE", "/raft"),
            ("POST", "/raft/stream/msgapp/1"),
            ("GET", "/raft/snapshot"),
            ("POST", "/members"),
            ("GET", "/members/promote/1"),
            ("GET", "/leases"),
            ("PUT", "/leases/internal"),
            ("POST", "/version"),
        ] {
            let headers = self.headers(self.facts.leader);
            self.add(&format!("{method} {path}"), http::request(method, path, &headers, b""));
        }
    }

    /// Version and cluster, for each of the three doors of raft.
    fn checks(&mut self) {
        let stream = format!("/raft/stream/message/{:x}", self.other());
        let body = self.message(MessageType::MsgHeartbeatResp as i32).encode_to_vec();
        for (method, path) in [("POST", "/raft"), ("GET", stream.as_str()), ("POST", "/raft/snapshot")] {
            let short = path.split("/message").next().unwrap_or(path);
            for (what, headers) in [
                ("another cluster", self.with(self.facts.leader, "X-Etcd-Cluster-ID", "123")),
                ("no cluster", self.without("X-Etcd-Cluster-ID")),
                ("an old server", self.with(self.facts.leader, "X-Server-Version", "2.3.0")),
                ("no server version", self.without("X-Server-Version")),
                ("a version to come", self.with(self.facts.leader, "X-Min-Cluster-Version", "9.0.0")),
                ("a version that is none", self.with(self.facts.leader, "X-Server-Version", "three")),
            ] {
                self.add(&format!("{method} {short}: {what}"), http::request(method, path, &headers, &body));
            }
        }
    }

    fn post(&mut self, name: &str, message: &Message) -> &mut Case {
        let headers = self.headers(message.from);
        let bytes = http::request("POST", "/raft", &headers, &message.encode_to_vec());
        self.add(name, bytes)
    }

    fn messages(&mut self) {
        let headers = self.headers(self.facts.leader);
        self.add("a message that is none", http::request("POST", "/raft", &headers, b"\x02\xff\xff"));
        let whole = self.message(MessageType::MsgHeartbeatResp as i32).encode_to_vec();
        let cut = &whole[..whole.len() - 1];
        self.add("a message cut short", http::request("POST", "/raft", &headers, cut));
        let fine = self.message(MessageType::MsgHeartbeatResp as i32);
        self.post("an old message", &fine);
        self.post("a message of a removed member", &Message { from: self.facts.removed, ..fine.clone() });
        self.post("a message of a stranger", &Message { from: NOBODY, ..fine.clone() });
        self.post("a message to somebody else", &Message { to: NOBODY, ..fine.clone() });
        self.post("a message to nobody", &Message { to: 0, ..fine });
        for local in [
            MessageType::MsgHup,
            MessageType::MsgBeat,
            MessageType::MsgUnreachable,
            MessageType::MsgSnapStatus,
            MessageType::MsgCheckQuorum,
            MessageType::MsgStorageAppend,
            MessageType::MsgStorageAppendResp,
            MessageType::MsgStorageApply,
            MessageType::MsgStorageApplyResp,
            MessageType::MsgForgetLeader,
        ] {
            let message = self.message(local as i32);
            // The newer ones are unknown to older releases, whose answers to them say nothing.
            let beside = local as i32 <= MessageType::MsgCheckQuorum as i32;
            self.post(&format!("local only: {local:?}"), &message).beside = beside;
        }
        let unknown = self.message(99);
        self.post("a message of no known type", &unknown).beside = false;
        let from = self.message(0).from;
        let far = self.facts.index + 1000;
        let gap = Message {
            msg_type: MessageType::MsgApp as i32,
            to: self.facts.target,
            from,
            term: 1,
            log_term: 1,
            index: far,
            entries: vec![entry(1, far + 1), entry(1, far + 3)],
            ..Default::default()
        };
        self.post("old entries with a gap", &gap);
    }

    fn streams(&mut self) {
        let (removed, other) = (self.facts.removed, self.other());
        let get = |path: String, headers: &[(&str, String)]| http::request("GET", &path, headers, b"");
        for kind in ["msgapp", "message"] {
            let headers = self.headers(NOBODY);
            self.add(&format!("{kind}: a stranger"), get(format!("/raft/stream/{kind}/{NOBODY:x}"), &headers));
            let headers = self.headers(removed);
            self.add(&format!("{kind}: a removed member"), get(format!("/raft/stream/{kind}/{removed:x}"), &headers));
            let headers = self.headers(other);
            self.add(&format!("{kind}: no id"), get(format!("/raft/stream/{kind}/xyz"), &headers));
            self.add(&format!("{kind}: an empty id"), get(format!("/raft/stream/{kind}/"), &headers));
            let headers = self.with(other, "X-Raft-To", "123");
            self.add(&format!("{kind}: to another"), get(format!("/raft/stream/{kind}/{other:x}"), &headers));
        }
        let headers = self.headers(other);
        self.add("a stream of no known type", get(format!("/raft/stream/other/{other:x}"), &headers));
    }

    fn snapshot(&self, term: u64, index: u64) -> Message {
        let conf_state = ConfState { voters: self.facts.voters.clone(), ..Default::default() };
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), index, term };
        let snapshot = Snapshot { data: Bytes::from_static(b"{}"), metadata: Some(metadata) };
        Message { term, snapshot: Some(snapshot), ..self.message(MessageType::MsgSnap as i32) }
    }

    fn envelope(message: &Message, database: &[u8]) -> Vec<u8> {
        let message = message.encode_to_vec();
        [&(message.len() as u64).to_be_bytes(), message.as_slice(), database].concat()
    }

    fn snapshots(&mut self) {
        let headers = self.headers(self.facts.leader);
        let post = |body: &[u8]| http::request("POST", "/raft/snapshot", &headers, body);
        self.add("a snapshot of nothing", post(b""));
        self.add("a snapshot whose message is cut short", post(&[0, 0, 0, 0, 0, 0, 0, 9, 8]));
        self.add("a snapshot whose message has no end", post(&[0xff; 64]));
        // What a decoder says about it is its own affair.
        self.add("a snapshot whose message is none", post(&[0, 0, 0, 0, 0, 0, 0, 2, 2, 2])).bodies = false;
        let wrong = Self::envelope(&self.message(MessageType::MsgHeartbeatResp as i32), b"");
        self.add("a snapshot of another type", post(&wrong));
        let snapshot = self.snapshot(1, 1);
        let (headers, body) = (self.headers(snapshot.from), Self::envelope(&snapshot, &self.facts.database));
        let whole = http::request("POST", "/raft/snapshot", &headers, &body);
        let cut = whole[..whole.len() - self.facts.database.len() / 2].to_vec();
        self.add("a snapshot whose connection ends", cut).ends = true;
    }

    fn others(&mut self) {
        let headers = self.headers(self.facts.leader);
        let post = |path: &str, body: &[u8]| http::request("POST", path, &headers, body);
        self.add("a promotion of no id", post("/members/promote/xyz", b""));
        self.add("a promotion of a stranger", post("/members/promote/2989", b""));
        let voter = format!("/members/promote/{}", self.other());
        self.add("a promotion of a voter", post(&voter, b""));
        self.add("a renewal that is none", post("/leases", b"\x02\xff"));
        self.add("a renewal of nothing", post("/leases", b"\x08\x07"));
        self.add("a time to live that is none", post("/leases/internal", b"\x02\xff"));
        self.add("a time to live of nothing", post("/leases/internal", b"\x0a\x02\x08\x07"));
        let get = |body: &[u8]| http::request("GET", "/members/hashkv", &headers, body);
        self.add("a hash of no revision", get(b"{\"revision\":")).bodies = false;
        self.add("a hash of a revision to come", get(b"{\"revision\":99999999}"));
        let other = self.with(self.facts.leader, "X-Etcd-Cluster-ID", "123");
        let foreign = http::request("GET", "/members/hashkv", &other, b"{\"revision\":0}");
        self.add("a hash for another cluster", foreign);
    }

    fn noise(&mut self, rounds: u32) {
        let mut random = StdRng::seed_from_u64(5);
        for number in 0..2 * rounds {
            let mut bytes = match number % 4 {
                0 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
                1 => b"POST /raft HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
                2 => b"GET /raft/stream/msgapp/".to_vec(),
                _ => Vec::new(),
            };
            let mut noise = vec![0; random.random_range(1..3000)];
            random.fill_bytes(&mut noise);
            bytes.extend(noise);
            let case = self.add("random bytes", bytes);
            (case.ends, case.beside) = (true, false);
        }
        for _ in 0..rounds {
            let mut body = vec![0; random.random_range(1..300)];
            random.fill_bytes(&mut body);
            // Not a valid field, or it might be a message after all.
            body.insert(0, 2);
            let headers = self.headers(self.facts.leader);
            self.add("random bytes as a message", http::request("POST", "/raft", &headers, &body));
            let snapshot = http::request("POST", "/raft/snapshot", &headers, &body);
            let case = self.add("random bytes as a snapshot", snapshot);
            (case.ends, case.beside) = (true, false);
        }
    }

    /// In the leader's name and of its term, which etcd would believe to its ruin.
    fn poison(&mut self) {
        let Facts { target, leader, term, index, .. } = *self.facts;
        if leader == target {
            return;
        }
        let forged = |msg_type: MessageType| Message { term, ..self.message(msg_type as i32) };
        let gap = Message {
            log_term: term,
            index,
            entries: vec![entry(term, index + 2), entry(term, index + 3)],
            ..forged(MessageType::MsgApp)
        };
        let back = Message { entries: vec![entry(term, index + 2), entry(term, index + 1)], ..gap.clone() };
        let half = &self.facts.database[..self.facts.database.len() / 2];
        let mut torn = self.facts.database.clone();
        // Both meta pages.
        for place in [20, 40, 4096 + 20, 4096 + 40] {
            if let Some(byte) = torn.get_mut(place) {
                *byte ^= 0xff;
            }
        }
        let snapshot = self.snapshot(term, index + 1000);
        let headers = self.headers(leader);
        let post =
            |database: &[u8]| http::request("POST", "/raft/snapshot", &headers, &Self::envelope(&snapshot, database));
        let snapshots = [
            ("a snapshot with half a database", post(half)),
            ("a snapshot with a corrupted database", post(&torn)),
            ("a snapshot with no database", post(b"")),
            ("a snapshot with noise for a database", post(&[0x5a; 40_000])),
        ];
        // A commit index beyond the log is not among them: it cannot be told from a log that was lost, at which a member
        // has to stop, as etcd's does.
        for (name, message) in [("entries with a gap", gap), ("entries backwards", back)] {
            self.post(&format!("{name}, in the leader's name"), &message).beside = false;
        }
        for (name, bytes) in snapshots {
            self.add(&format!("{name}, in the leader's name"), bytes).beside = false;
        }
    }
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { entry_type: EntryType::EntryNormal as i32, term, index, data: Bytes::new() }
}
