//! Random clients against a list of everything that ever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use proto::mvccpb::Event;
use rand::prelude::*;

use super::world::{Op, World};
use crate::View;
use crate::watch::{HubConfig, OutputKind, StreamId};

/// What a client knows about one of its watchers.
struct Watcher {
    request: WatchCreateRequest,
    /// The first revision that it is still to be told.
    next: i64,
    /// Events of an answer of which more fragments follow.
    fragments: Vec<Event>,
    ended: bool,
}

struct Client {
    stream: StreamId,
    /// Requests to create that are not answered yet, in order.
    asked: Vec<WatchCreateRequest>,
    watchers: BTreeMap<i64, Watcher>,
    canceled: BTreeSet<i64>,
    slow: bool,
}

struct Run {
    rng: SmallRng,
    world: World,
    /// Every event, by revision; the events of one revision in order.
    history: Vec<(i64, Event)>,
    /// The values of all keys, as events tell them.
    now: BTreeMap<Bytes, proto::mvccpb::KeyValue>,
    clients: Vec<Client>,
    old_view: View,
    seconds: u64,
    delivered: usize,
}

fn seeds() -> u64 {
    std::env::var("QUORATE_SEEDS").map_or(30, |seeds| seeds.parse().expect("QUORATE_SEEDS is a number"))
}

#[test]
fn watchers_are_told_everything_once_and_in_order() {
    let mut delivered = 0;
    for seed in 0..seeds() {
        let mut run = Run::new(seed);
        for _ in 0..600 {
            run.step();
        }
        run.finish();
        delivered += run.delivered;
    }
    assert!(delivered > 0, "the test delivers nothing");
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = SmallRng::seed_from_u64(seed);
        let config = HubConfig {
            stream_bytes_max: rng.random_range(200..3000),
            response_bytes: rng.random_range(1..500),
            fragment_bytes: rng.random_range(50..300),
            slice_revisions: rng.random_range(1..20),
            slice_bytes: rng.random_range(1..1000),
            ..HubConfig::default()
        };
        let world = World::new(config);
        let (history, now, clients) = (Vec::new(), BTreeMap::new(), Vec::new());
        let old_view = world.view();
        Run { rng, world, history, now, clients, old_view, seconds: 0, delivered: 0 }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..35 => self.change(),
            35..47 => self.world.publish(),
            47..57 => self.world.feed(),
            57..64 => self.create(),
            64..66 => self.cancel(),
            66..80 => self.sync(),
            80..92 => self.read(),
            92 => self.open_or_close(),
            93 => {
                self.compact();
            }
            94 => self.world.on_the_way.clear(),
            95 => {
                self.world.publish();
                self.world.on_the_way.clear();
                self.world.hub.reset(&self.world.store.reader().view());
            }
            96 | 97 => {
                self.seconds += 1;
                self.world.hub.tick(Duration::from_secs(self.seconds));
            }
            _ => self.request_progress(),
        }
        assert!(self.world.hub.next_tick().is_none_or(|at| at > Duration::from_secs(self.seconds)));
    }

    fn change(&mut self) {
        let mut ops = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let key = random_key(&mut self.rng);
            ops.push(if self.rng.random_bool(0.7) {
                let length = self.rng.random_range(0..60);
                Op::Put(key, vec![b'v'; length].into())
            } else if self.rng.random_bool(0.5) {
                Op::Delete(key, Bytes::new())
            } else {
                Op::Delete(key.clone().min(random_key(&mut self.rng)), Bytes::from_static(b"\0"))
            });
        }
        // A key may be put once in a transaction, and not also deleted.
        let mut puts = BTreeSet::new();
        ops.retain(|op| !matches!(op, Op::Put(key, _) if !puts.insert(key.clone())));
        if !puts.is_empty() {
            ops.retain(|op| matches!(op, Op::Put(..)));
        }
        let before = self.world.store.image().revision();
        self.world.apply(&ops);
        let revision = self.world.store.image().revision();
        if revision > before {
            ops.iter().for_each(|op| self.record(revision, op));
        }
    }

    fn record(&mut self, revision: i64, op: &Op) {
        match op {
            Op::Put(key, value) => {
                let prev = self.now.get(key).cloned();
                let kv = proto::mvccpb::KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: prev.as_ref().map_or(revision, |p| p.create_revision),
                    mod_revision: revision,
                    version: prev.as_ref().map_or(1, |p| p.version + 1),
                    lease: 0,
                };
                self.now.insert(key.clone(), kv.clone());
                self.history.push((revision, Event { event_type: 0, kv: Some(kv), prev_kv: prev }));
            }
            Op::Delete(key, end) => {
                let gone: Vec<Bytes> = match &end[..] {
                    [] => self.now.contains_key(key).then(|| key.clone()).into_iter().collect(),
                    _ => self.now.range(key.clone()..).map(|(key, _)| key.clone()).collect(),
                };
                for key in gone {
                    let prev_kv = self.now.remove(&key);
                    let kv = proto::mvccpb::KeyValue { key, mod_revision: revision, ..Default::default() };
                    self.history.push((revision, Event { event_type: 1, kv: Some(kv), prev_kv }));
                }
            }
        }
    }

    fn open_or_close(&mut self) {
        if self.clients.len() > 1 && self.rng.random_bool(0.3) {
            let at = self.rng.random_range(0..self.clients.len());
            self.world.hub.close_stream(self.clients.swap_remove(at).stream);
            return;
        }
        let every = Duration::from_secs(self.rng.random_range(1..5));
        let stream = self.world.hub.open_stream(Duration::from_secs(self.seconds), every);
        let slow = self.rng.random_bool(0.3);
        let (asked, watchers, canceled) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        self.clients.push(Client { stream, asked, watchers, canceled, slow });
    }

    fn create(&mut self) {
        let published = self.world.published();
        let Some(client) = self.clients.choose_mut(&mut self.rng) else {
            return;
        };
        let rng = &mut self.rng;
        let (key, other) = (random_key(rng), random_key(rng));
        // Half of them crowd on two keys and one range.
        let (key, range_end) = match rng.random_range(0..6) {
            0 => (Bytes::from_static(b"a"), Bytes::from_static(b"\0")),
            1 => (Bytes::from_static(b"b"), Bytes::new()),
            2 => (Bytes::from_static(b"c"), Bytes::new()),
            3 => (key, Bytes::new()),
            _ => (key.clone().min(other.clone()), key.max(other)),
        };
        let request = WatchCreateRequest {
            key,
            range_end,
            start_revision: if rng.random_bool(0.4) { 0 } else { rng.random_range(1..published + 10) },
            prev_kv: rng.random(),
            progress_notify: rng.random(),
            fragment: rng.random(),
            filters: [0, 1].into_iter().filter(|_| rng.random_bool(0.1)).collect(),
            watch_id: 0,
        };
        self.world.hub.create(client.stream, &request, published);
        client.asked.push(request);
    }

    fn cancel(&mut self) {
        let published = self.world.published();
        let Some(client) = self.clients.choose(&mut self.rng) else {
            return;
        };
        if let Some(id) = client.watchers.keys().choose(&mut self.rng) {
            self.world.hub.cancel(client.stream, *id, published);
        }
    }

    /// Serves history, at times from a view that is not the latest.
    fn sync(&mut self) {
        let old = std::mem::replace(&mut self.old_view, self.world.view());
        match old.revision() >= self.old_view.compact_revision() && self.rng.random_bool(0.3) {
            true => self.world.hub.sync(&old).unwrap(),
            false => self.world.sync(),
        }
    }

    fn request_progress(&mut self) {
        let published = self.world.published();
        if let Some(client) = self.clients.choose(&mut self.rng) {
            self.world.hub.request_progress(client.stream, published);
        }
    }

    fn compact(&mut self) {
        let revision = self.rng.random_range(1..self.world.store.image().revision() + 1);
        // Refused where it is compacted already.
        if self.world.compact(revision).is_ok() {
            self.world.publish();
        }
    }

    fn read(&mut self) {
        let ready = self.world.hub.take_ready();
        for at in 0..self.clients.len() {
            let client = &self.clients[at];
            if !ready.contains(&client.stream) && client.slow && self.rng.random_bool(0.8) {
                continue;
            }
            let count = if client.slow { self.rng.random_range(0..3) } else { usize::MAX };
            self.read_stream(at, count);
        }
    }

    fn read_stream(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            let stream = self.clients[at].stream;
            let Some((kind, response)) = self.world.next(stream) else {
                return;
            };
            self.check(at, kind, response);
        }
    }

    fn check(&mut self, at: usize, kind: OutputKind, r: WatchResponse) {
        let revision = r.header.unwrap().revision;
        let client = &mut self.clients[at];
        match kind {
            OutputKind::Refused => {
                let request = client.asked.remove(0);
                assert!(request.range_end <= request.key && !request.range_end.is_empty());
            }
            OutputKind::Created => {
                let request = client.asked.remove(0);
                let next = if request.start_revision == 0 { revision + 1 } else { request.start_revision };
                let watcher = Watcher { request, next, fragments: Vec::new(), ended: false };
                assert!(client.watchers.insert(r.watch_id, watcher).is_none(), "an id is given twice");
                client.canceled.remove(&r.watch_id);
            }
            OutputKind::Canceled => {
                assert!(client.watchers.remove(&r.watch_id).is_some(), "cancelled twice");
                client.canceled.insert(r.watch_id);
            }
            OutputKind::Compacted => {
                let watcher = client.watchers.get_mut(&r.watch_id).unwrap();
                assert!(!watcher.ended && revision == 0 && watcher.next < r.compact_revision);
                watcher.ended = true;
            }
            OutputKind::Progress => self.check_progress(at, r.watch_id, revision),
            OutputKind::Events => self.check_events(at, r),
        }
    }

    fn check_progress(&mut self, at: usize, watch_id: i64, revision: i64) {
        let history = &self.history;
        let client = &mut self.clients[at];
        let whole_stream = watch_id == -1;
        for (id, watcher) in client.watchers.iter_mut().filter(|(id, _)| whole_stream || **id == watch_id) {
            assert!(!watcher.ended && watcher.fragments.is_empty());
            assert!(watcher.next <= revision + 1, "a watcher of the future stays silent");
            let missing = wanted(history, watcher).find(|(at, _)| *at <= revision);
            assert!(missing.is_none(), "watcher {id} hears of {revision}, but was not told {missing:?}");
            watcher.next = revision + 1;
        }
    }

    fn check_events(&mut self, at: usize, r: WatchResponse) {
        let compacted = self.world.view().compact_revision();
        let client = &mut self.clients[at];
        let watcher = client.watchers.get_mut(&r.watch_id).expect("events of a live watcher");
        assert!(!watcher.ended && !r.events.is_empty() && !r.canceled && !r.created);
        assert!(watcher.request.fragment || !r.fragment);
        watcher.fragments.extend(r.events);
        if r.fragment {
            return;
        }
        let told = std::mem::take(&mut watcher.fragments);
        let last = told.last().unwrap().kv.as_ref().unwrap().mod_revision;
        assert!(last <= r.header.unwrap().revision);
        let want: Vec<&(i64, Event)> = wanted(&self.history, watcher).take_while(|(at, _)| *at <= last).collect();
        let mut want = want.into_iter();
        for event in told {
            let revision = event.kv.as_ref().unwrap().mod_revision;
            let mut is_same = false;
            for (at, expected) in want.by_ref() {
                is_same = event.kv == expected.kv && event.event_type == expected.event_type;
                if is_same {
                    check_prev(&event, expected, watcher.request.prev_kv, compacted);
                    break;
                }
                // Compaction takes away what was replaced at the compacted revision itself.
                assert!(*at <= compacted, "not told {at} but {revision}, compacted {compacted}");
            }
            assert!(is_same, "told {event:?} again or without cause");
            self.delivered += 1;
        }
        assert!(want.all(|(at, _)| *at <= compacted), "a revision is split");
        watcher.next = last + 1;
    }

    /// Everyone reads until nothing is left; then all have been told everything.
    fn finish(&mut self) {
        self.world.publish();
        self.world.feed();
        let revision = self.world.published();
        self.world.hub.reset(&self.world.view());
        loop {
            for at in 0..self.clients.len() {
                self.read_stream(at, usize::MAX);
            }
            if !self.world.hub.needs_sync() {
                break;
            }
            self.world.sync();
        }
        assert_eq!((self.world.hub.stats().pending_events, self.world.hub.stats().slow_watchers), (0, 0));
        let compacted = self.world.view().compact_revision();
        for client in &self.clients {
            assert!(client.asked.is_empty());
            for (id, watcher) in client.watchers.iter().filter(|(_, w)| !w.ended) {
                let missing = wanted(&self.history, watcher).find(|(at, _)| *at <= revision && *at > compacted);
                assert!(missing.is_none(), "watcher {id} was not told {missing:?}");
            }
        }
    }
}

/// What a watcher is still to be told.
fn wanted<'a>(history: &'a [(i64, Event)], watcher: &Watcher) -> impl Iterator<Item = &'a (i64, Event)> + use<'a> {
    let (request, next) = (watcher.request.clone(), watcher.next);
    let from = history.partition_point(|(revision, _)| *revision < next);
    history[from..].iter().filter(move |(_, event)| {
        let key = &event.kv.as_ref().unwrap().key;
        let inside = match &request.range_end[..] {
            [] => *key == request.key,
            [0] => *key >= request.key,
            end => *key >= request.key && key[..] < *end,
        };
        inside && !request.filters.contains(&event.event_type)
    })
}

fn check_prev(event: &Event, expected: &Event, prev_kv: bool, compacted: i64) {
    if event.prev_kv.is_some() || (prev_kv && event.kv.as_ref().unwrap().mod_revision > compacted) {
        assert!(prev_kv);
        assert_eq!(event.prev_kv, expected.prev_kv);
    }
}

fn random_key(rng: &mut SmallRng) -> Bytes {
    let length = rng.random_range(1..3);
    Bytes::from((0..length).map(|_| rng.random_range(b'a'..b'e')).collect::<Vec<u8>>())
}
