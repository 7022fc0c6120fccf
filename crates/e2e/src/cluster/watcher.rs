//! Watchers that come back again and again, to whichever member, and go on where they were: they must be told every change
//! once and in order.

use super::access::Access;
use super::history::{Change, FIRST, ToldPrefix};
use super::load::{Shared, decode};
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use proto::mvccpb::Event;
use proto::mvccpb::event::EventType;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How long a member may take to create a watch before another one is tried.
const CREATE: Duration = Duration::from_secs(2);
/// How long watchers have at the end to be told of everything.
const LAST: Duration = Duration::from_secs(60);

/// What a watcher watches and how.
#[derive(Clone, Debug)]
pub struct Kind {
    pub name: String,
    /// Everything if `None`.
    pub prefix: Option<&'static str>,
    /// The longest it stays with one member.
    pub stays_ms: u64,
    /// Whether it asks for progress now and then.
    pub asks_progress: bool,
}

/// One watcher with what it was told.
struct Watcher {
    kind: Kind,
    shared: Shared,
    random: StdRng,
    /// The first revision that it was not told of yet.
    next: i64,
    /// Everything up to here was told, says the server.
    progress: i64,
    told: BTreeMap<i64, Vec<Change>>,
    /// Something was compacted before it was told.
    missed: bool,
}

/// Watches until the load has stopped and everything was told.
pub async fn watch(members: Vec<Access>, shared: Shared, kind: Kind, seed: u64) {
    let random = StdRng::seed_from_u64(seed);
    let mut watcher = Watcher { kind, shared, random, next: FIRST, progress: 0, told: BTreeMap::new(), missed: false };
    let mut deadline = None;
    loop {
        if watcher.shared.is_silent() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + LAST);
            if watcher.is_done() {
                break;
            }
            if Instant::now() > deadline {
                let (name, next) = (&watcher.kind.name, watcher.next);
                let text = format!("{name} is not told of revision {next} and later");
                watcher.shared.history().violation(text);
                break;
            }
        }
        let member = watcher.random.random_range(0..members.len());
        // A member that is down or cut off: the next turn takes another.
        if watcher.stay(&members[member]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        watcher.shared.history().reconnects += 1;
    }
    if let (Some(prefix), false) = (watcher.kind.prefix, watcher.missed) {
        let Watcher { kind, shared, next, told, .. } = watcher;
        shared.history().told_prefix(ToldPrefix { watcher: kind.name, prefix, told, next });
    }
}

impl Watcher {
    /// Whether all that was answered to anybody was told to it.
    fn is_done(&self) -> bool {
        let highest = self.shared.history().highest();
        match self.kind.prefix {
            None => self.next > highest,
            Some(_) => self.progress >= highest || self.next > highest,
        }
    }

    /// Stays with a member for a while.
    async fn stay(&mut self, member: &Access) -> Result<(), super::Failure> {
        let (requests, outbound) = mpsc::channel(4);
        let (key, range_end) = match self.kind.prefix {
            None => ("\0".to_owned(), "\0".to_owned()),
            // Prefixes end with a slash, and a zero follows it.
            Some(prefix) => (prefix.to_owned(), prefix.replace('/', "0")),
        };
        let create = WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            start_revision: self.next,
            ..Default::default()
        };
        requests.send(WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }).await?;
        let mut watch = member.watch();
        let opened = tokio::time::timeout(CREATE, watch.watch(ReceiverStream::new(outbound))).await??;
        let mut answers = opened.into_inner();
        let created = tokio::time::timeout(CREATE, answers.message()).await??;
        if !created.is_some_and(|answer| answer.created && !answer.canceled) {
            return Err("not created".into());
        }
        self.progress = 0;
        let leaves = Instant::now() + Duration::from_millis(self.random.random_range(200..=self.kind.stays_ms));
        let asks = self.kind.asks_progress || (self.kind.prefix.is_some() && self.shared.is_silent());
        while Instant::now() < leaves && !(self.shared.is_silent() && self.is_done()) {
            if asks && (self.shared.is_silent() || self.random.random_ratio(1, 20)) {
                let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
                requests.send(WatchRequest { request_union: Some(ask) }).await?;
            }
            let patience = (leaves - Instant::now().min(leaves)).min(Duration::from_millis(500));
            match tokio::time::timeout(patience, answers.message()).await {
                Err(_) => {}
                Ok(answer) => self.answer(answer?.ok_or("the stream ended")?)?,
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: WatchResponse) -> Result<(), super::Failure> {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if answer.canceled {
            let compacted = answer.compact_revision;
            if compacted > 0 && (compacted > self.shared.compacted() || compacted < self.next) {
                let (name, next) = (&self.kind.name, self.next);
                let text = format!("{name} cannot go on at {next}: compacted at {compacted}");
                self.shared.history().violation(text);
            }
            // What it missed is gone for it; the others were told.
            self.next = self.next.max(compacted);
            self.missed |= compacted > 0;
            return Err("canceled".into());
        }
        if answer.events.is_empty() {
            self.progress = self.progress.max(revision);
            return Ok(());
        }
        let mut events = answer.events.as_slice();
        while let Some(first) = events.first() {
            let at = revision_of(first);
            let count = events.iter().take_while(|event| revision_of(event) == at).count();
            self.revision(at, events[..count].iter().map(change).collect());
            events = &events[count..];
        }
        Ok(())
    }

    /// All changes of one revision.
    fn revision(&mut self, at: i64, changes: Vec<Change>) {
        let (name, next) = (&self.kind.name, self.next);
        let mut history = self.shared.history();
        if at < next {
            history.violation(format!("{name} was told of revision {at} again or out of order, {next} was next"));
            return;
        }
        if at <= self.progress {
            history.violation(format!("{name} was told of revision {at} after progress {}", self.progress));
        }
        if self.kind.prefix.is_none() && at != next {
            history.violation(format!("{name} was told of revision {at}, {next} was next"));
        }
        match self.kind.prefix {
            None => history.told(name, at, changes),
            Some(_) => drop(self.told.insert(at, changes)),
        }
        drop(history);
        self.next = at + 1;
    }
}

fn revision_of(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

fn change(event: &Event) -> Change {
    let kv = event.kv.clone().unwrap_or_default();
    let value = if event.event_type == EventType::Put as i32 { decode(&kv.value) } else { None };
    Change { key: String::from_utf8_lossy(&kv.key).into_owned(), value }
}
