//! Runs the scripts in `scripts/`, whose outputs were recorded from etcd 3.4.23 over HTTP, and those in `scripts-3.5/`,
//! recorded from 3.5.1, where that does differently.
//!
//! A directive is the method, the path and the parameters of a request to `/v2/keys`; `WATCH name path …` begins a
//! watch and `JOIN name` prints what it has got; `SLEEP seconds` lets time pass; `STATS` prints the counters of
//! changes. The tree begins as that of a fresh member alone: three internal changes. Moments and seconds left are
//! masked, because the recorder cannot repeat them.

use std::collections::BTreeMap;

use proto::etcdserverpb::V2Request;
use testkit::datadriven::{self, Case};

use crate::members::{Attributes, RaftAttributes};
use crate::v2::{Event, Listing, Polled, Reply, Tree, V2Error, WatchId};
use crate::versions::Version;

const SECOND: i64 = 1_000_000_000;

#[test]
fn scripts() {
    for (dir, version) in [("scripts", Version::V3_4), ("scripts-3.5", Version::V3_5)] {
        for path in datadriven::scripts(format!("{}/src/v2/tests/{dir}", env!("CARGO_MANIFEST_DIR"))) {
            let mut door = Door::new(version);
            datadriven::run(&path, |case| door.execute(case));
        }
    }
}

struct Door {
    tree: Tree,
    now: i64,
    watches: BTreeMap<String, WatchId>,
}

impl Door {
    fn new(version: Version) -> Door {
        let mut tree = Tree::new();
        tree.set_clock(1_800_000_000 * SECOND);
        tree.add_member(7, &RaftAttributes::default()).unwrap();
        assert!(tree.set_member_attributes(7, &Attributes::default()));
        assert!(tree.set_cluster_version(version));
        Door { tree, now: 1_800_000_000 * SECOND, watches: BTreeMap::new() }
    }

    fn execute(&mut self, case: &Case) -> String {
        self.now += SECOND / 1000;
        self.tree.set_clock(self.now);
        let words: Vec<&str> = case.words().collect();
        match case.command.as_str() {
            "SLEEP" => {
                // The leader sweeps twice a second.
                for _ in 0..2 * words[0].parse::<i64>().unwrap() {
                    self.now += SECOND / 2;
                    let request = V2Request { method: "SYNC".into(), time: self.now, ..V2Request::default() };
                    assert!(matches!(self.tree.apply(&request), Ok(Reply::Expired(_))));
                }
                String::new()
            }
            "STATS" => self.stats(),
            "WATCH" => self.watch(case, words[0], words[1]),
            "JOIN" => self.join(words[0]),
            "GET" => {
                let listing = Listing { recursive: flag(case, "recursive").unwrap_or(false) };
                let found = self.tree.view().get(&inner(words[0]), listing, self.now);
                show(&found)
            }
            method => self.change(case, method, words[0]),
        }
    }

    fn change(&mut self, case: &Case, method: &str, path: &str) -> String {
        let ttl: Option<i64> = case.parsed("ttl");
        let request = V2Request {
            method: method.to_owned(),
            path: inner(path),
            val: case.value("value").unwrap_or("").to_owned(),
            dir: flag(case, "dir").unwrap_or(false),
            prev_value: case.value("prevValue").unwrap_or("").to_owned(),
            prev_index: case.parsed("prevIndex").unwrap_or(0),
            prev_exist: flag(case, "prevExist"),
            expiration: ttl.map_or(0, |ttl| self.now.wrapping_add(ttl.wrapping_mul(SECOND))),
            recursive: flag(case, "recursive").unwrap_or(false),
            refresh: flag(case, "refresh"),
            ..V2Request::default()
        };
        match self.tree.apply(&request) {
            Ok(Reply::Event(event)) => show(&Ok((*event).clone())),
            Err(refusal) => show(&Err(refusal)),
            Ok(other) => panic!("line {}: {other:?}", case.line),
        }
    }

    fn watch(&mut self, case: &Case, name: &str, path: &str) -> String {
        let flag = |name| flag(case, name).unwrap_or(false);
        let since = case.parsed("waitIndex").unwrap_or(0);
        match self.tree.watch(&inner(path), flag("recursive"), flag("stream"), since) {
            Ok(watching) => {
                self.watches.insert(name.to_owned(), watching.id);
                format!("200 {}", watching.index)
            }
            Err(refusal) => show(&Err(refusal)),
        }
    }

    fn join(&mut self, name: &str) -> String {
        let id = self.watches[name];
        let mut out = String::new();
        loop {
            match self.tree.poll_watch(id) {
                Polled::Event(event) => out += &format!("{}\n", text(event.to_json("/1", None))),
                Polled::Pending => {
                    // A client that has heard enough leaves.
                    self.tree.unwatch(id);
                    return out + "open";
                }
                Polled::Ended => return out + "ended",
            }
        }
    }

    fn stats(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.tree.view().stats_json()).unwrap();
        let shown = json.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with("gets"));
        let mut shown: Vec<String> = shown.map(|(name, n)| format!("{name}={n}")).collect();
        shown.sort();
        shown.join("\n")
    }
}

fn inner(path: &str) -> String {
    format!("/1{path}")
}

fn flag(case: &Case, name: &str) -> Option<bool> {
    case.parsed(name)
}

fn show(result: &Result<Event, V2Error>) -> String {
    match result {
        Ok(event) => {
            let status = if event.is_created() { 201 } else { 200 };
            format!("{status} {} {}", event.etcd_index, text(event.to_json("/1", None)))
        }
        Err(e) => format!("{} {} {}", e.code.http_status(), e.index, text(e.to_json("/1"))),
    }
}

/// Masks moments, and the seconds left where there are some.
fn text(json: Vec<u8>) -> String {
    let mut rest = &*String::from_utf8(json).unwrap();
    let mut out = String::new();
    while let Some(at) = rest.find("\"expiration\":\"") {
        let (head, tail) = rest.split_at(at);
        out += head;
        out += "\"expiration\":T";
        rest = tail.splitn(4, '"').nth(3).unwrap();
        rest = &rest[rest.find('"').unwrap() + 1..];
        if let Some(left) = rest.strip_prefix(",\"ttl\":") {
            out += ",\"ttl\":N";
            rest = left.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit());
        }
    }
    out + rest
}
