//! Runs the scripts in `scripts/`.
//!
//! `apply` and `compact` publish and feed the hub; with `hold` what is published stays on the way until `feed` or
//! `lose`. `sync` serves slices until nobody is behind, `slice` one. `read` prints what a stream has to say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use testkit::datadriven::{self, Case};

use super::world::{Op, World};
use crate::watch::{HubConfig, StreamId};

#[test]
fn scripts() {
    for path in datadriven::scripts(concat!(env!("CARGO_MANIFEST_DIR"), "/src/watch/tests/scripts")) {
        let mut run = Run { world: World::new(HubConfig::default()), streams: BTreeMap::new() };
        datadriven::run(&path, |case| run.execute(case));
    }
}

struct Run {
    world: World,
    streams: BTreeMap<String, StreamId>,
}

impl Run {
    fn execute(&mut self, case: &Case) -> String {
        let hold = case.words().any(|w| w == "hold");
        match case.command.as_str() {
            "new" => *self = Run::new(case),
            "open" => return self.open(case),
            "close" => self.world.hub.close_stream(self.stream(case)),
            "apply" => {
                for line in case.input.lines() {
                    self.world.apply(&line.split("; ").map(op).collect::<Vec<_>>());
                }
                self.world.publish();
            }
            "compact" => {
                if let Err(error) = self.world.compact(case.parsed("rev").unwrap()) {
                    return error.to_string();
                }
            }
            "feed" => {}
            "lose" => self.world.on_the_way.clear(),
            "reset" => self.world.hub.reset(&self.world.store.reader().view()),
            "sync" => {
                while self.world.hub.needs_sync() {
                    self.world.sync();
                }
                return String::new();
            }
            "slice" => self.world.sync(),
            "create" => {
                let (stream, request) = (self.stream(case), request(case));
                self.world.hub.create(stream, &request, self.world.published());
                return String::new();
            }
            "refuse" => self.world.hub.refuse(self.stream(case), case.input.trim_end(), self.world.published()),
            "cancel" => {
                let id = case.parsed("id").unwrap();
                self.world.hub.cancel(self.stream(case), id, self.world.published());
            }
            "progress" => {
                self.world.hub.request_progress(self.stream(case), self.world.published());
                return String::new();
            }
            "tick" => self.world.hub.tick(Duration::from_secs(case.parsed("at").unwrap())),
            "ready" => return self.ready(),
            "read" => return self.read(case),
            "stats" => return format!("{:?}", self.world.hub.stats()),
            other => panic!("line {}: unknown command {other}", case.line),
        }
        if !hold {
            self.world.feed();
        }
        String::new()
    }

    fn new(case: &Case) -> Run {
        let default = HubConfig::default();
        let size = |name: &str, or: usize| case.parsed(name).unwrap_or(or);
        let config = HubConfig {
            cluster_id: case.parsed("cluster").unwrap_or(0),
            member_id: case.parsed("member").unwrap_or(0),
            stream_bytes_max: size("stream_bytes", default.stream_bytes_max),
            response_bytes: size("response_bytes", default.response_bytes),
            fragment_bytes: size("fragment_bytes", default.fragment_bytes),
            slice_revisions: size("slice_revisions", default.slice_revisions),
            slice_bytes: size("slice_bytes", default.slice_bytes),
        };
        let mut run = Run { world: World::new(config), streams: BTreeMap::new() };
        run.world.hub.set_raft_term(case.parsed("term").unwrap_or(0));
        run
    }

    fn open(&mut self, case: &Case) -> String {
        let every = Duration::from_secs(case.parsed("every").unwrap_or(600));
        let id = self.world.hub.open_stream(Duration::ZERO, every);
        self.streams.insert(case.words().next().unwrap().to_owned(), id);
        String::new()
    }

    fn stream(&self, case: &Case) -> StreamId {
        self.streams[case.words().next().unwrap()]
    }

    fn ready(&mut self) -> String {
        let ready = self.world.hub.take_ready();
        let names = self.streams.iter().filter(|(_, id)| ready.contains(id)).map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(" ")
    }

    fn read(&mut self, case: &Case) -> String {
        let count = case.parsed("count").unwrap_or(usize::MAX);
        let stream = self.stream(case);
        let mut out = String::new();
        for _ in 0..count {
            let Some((kind, response)) = self.world.next(stream) else {
                break;
            };
            writeln!(out, "{kind:?}{}", show(&response, case.words().any(|w| w == "header"))).unwrap();
        }
        out
    }
}

fn op(text: &str) -> Op {
    let words: Vec<Bytes> = text.split(' ').map(|w| Bytes::copy_from_slice(w.as_bytes())).collect();
    match (&words[0][..], &words[1..]) {
        (b"put", [key, value]) => Op::Put(key.clone(), value.clone()),
        (b"put", [key]) => Op::Put(key.clone(), Bytes::new()),
        (b"fill", [key, length]) => {
            let length = std::str::from_utf8(length).unwrap().parse().unwrap();
            Op::Put(key.clone(), vec![b'x'; length].into())
        }
        (b"del", [key]) => Op::Delete(key.clone(), Bytes::new()),
        (b"del", [key, end]) => Op::Delete(key.clone(), end.clone()),
        _ => panic!("no change: {text}"),
    }
}

fn request(case: &Case) -> WatchCreateRequest {
    let bytes = |name: &str| match case.value(name) {
        Some("\\0") => Bytes::from_static(b"\0"),
        other => Bytes::copy_from_slice(other.unwrap_or("").as_bytes()),
    };
    let word = |name: &str| case.words().any(|w| w == name);
    let filters = [("noput", 0), ("nodelete", 1)].into_iter().filter(|(name, _)| word(name)).map(|(_, f)| f);
    WatchCreateRequest {
        key: bytes("key"),
        range_end: bytes("end"),
        start_revision: case.parsed("rev").unwrap_or(0),
        watch_id: case.parsed("id").unwrap_or(0),
        progress_notify: word("notify"),
        prev_kv: word("prev"),
        fragment: word("fragment"),
        filters: filters.collect(),
    }
}

fn show(r: &WatchResponse, with_header: bool) -> String {
    let header = r.header.unwrap();
    let mut out = format!(" id={} rev={}", r.watch_id, header.revision);
    if with_header {
        write!(out, " cluster={} member={} term={}", header.cluster_id, header.member_id, header.raft_term).unwrap();
    }
    for (flag, name) in [(r.created, "created"), (r.canceled, "canceled"), (r.fragment, "fragment")] {
        if flag {
            write!(out, " {name}").unwrap();
        }
    }
    if r.compact_revision != 0 {
        write!(out, " compact={}", r.compact_revision).unwrap();
    }
    if !r.cancel_reason.is_empty() {
        write!(out, " reason={:?}", r.cancel_reason).unwrap();
    }
    for event in &r.events {
        let kv = event.kv.as_ref().unwrap();
        let text = |b: &Bytes| if b.len() > 40 { format!("({})", b.len()) } else { String::from_utf8_lossy(b).into() };
        write!(out, "\n  {} {} {:?}", ["PUT", "DELETE"][event.event_type as usize], text(&kv.key), text(&kv.value))
            .unwrap();
        write!(out, " create={} mod={} version={}", kv.create_revision, kv.mod_revision, kv.version).unwrap();
        if let Some(prev) = &event.prev_kv {
            write!(out, " prev={:?}@{}", text(&prev.value), prev.mod_revision).unwrap();
        }
    }
    out
}
