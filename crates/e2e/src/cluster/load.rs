//! Clients that read and write a few registers through any member, at a modest pace, and tell a [`History`] what they saw.

use super::access::Access;
use super::history::History;
use super::linear::{Action, Value};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{Compare, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest, compare};
use proto::mvccpb::KeyValue;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::Status;

/// Registers in use at a time.
const REGISTERS: usize = 5;
/// How long they are in use: the search for an order wants short histories.
const AGE_SECS: u64 = 8;
/// Bytes of a value beyond its number.
const PADDING: usize = 120;
/// How many writers a burst has.
const BURST_WRITERS: usize = 40;

/// What clients, watchers and faults share.
#[derive(Clone)]
pub struct Shared {
    history: Arc<Mutex<History>>,
    stopped: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    values: Arc<AtomicU64>,
    compacted: Arc<AtomicI64>,
    pub started: Instant,
}

impl Default for Shared {
    fn default() -> Shared {
        let values = Arc::new(AtomicU64::new(1));
        Shared {
            history: Arc::default(),
            stopped: Arc::default(),
            silent: Arc::default(),
            compacted: Arc::default(),
            values,
            started: Instant::now(),
        }
    }
}

impl Shared {
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells clients to end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Tells watchers that no client will be answered any more: they end when they were told of all there is.
    pub fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Remembers that everything before a revision may be compacted.
    pub fn compacting(&self, revision: i64) {
        self.compacted.fetch_max(revision, Ordering::Relaxed);
    }

    pub fn compacted(&self) -> i64 {
        self.compacted.load(Ordering::Relaxed)
    }

    /// A value that nobody else writes.
    pub fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }
}

/// A value as it is stored.
pub fn encode(value: u64) -> String {
    format!("{value}:{:>PADDING$}", "")
}

/// The number of a stored value.
pub fn decode(stored: &[u8]) -> Value {
    let digits = stored.split(|byte| *byte == b':').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn value_of(kvs: &[KeyValue]) -> Value {
    kvs.first().and_then(|kv| decode(&kv.value))
}

fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

/// One client; runs until it is stopped. `pace` is the mean time between its operations.
pub async fn client(members: Vec<Access>, shared: Shared, seed: u64, pace: Duration) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut member = random.random_range(0..members.len());
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    while !shared.is_stopped() {
        if random.random_ratio(1, 10) {
            member = random.random_range(0..members.len());
        }
        let age = shared.started.elapsed().as_secs() / AGE_SECS;
        let key = format!("r/{age:05}/{}", random.random_range(0..REGISTERS));
        let serializable = random.random_ratio(1, 20);
        let asked = match random.random_range(0..20) {
            0..8 => Asked::Read { serializable },
            8..15 => Asked::Put(shared.value()),
            15..19 => Asked::Swap { expected: known.get(&key).copied().flatten(), new: shared.value() },
            _ => Asked::Delete,
        };
        match ask(&members[member], &shared, &key, asked).await {
            Ok(seen) => drop(known.insert(key, seen)),
            // The next one may be better off.
            Err(_) => member = random.random_range(0..members.len()),
        }
        let pause = random.random_range(0..=2 * pace.as_micros() as u64);
        tokio::time::sleep(Duration::from_micros(pause)).await;
    }
}

/// The tasks on a cluster.
#[derive(Debug, Default)]
pub struct Tasks {
    pub clients: JoinSet<()>,
    pub watchers: JoinSet<()>,
}

impl Tasks {
    /// Ends clients, then watchers, within the time.
    pub async fn end(&mut self, shared: &Shared, limit: Duration) -> Result<(), super::Failure> {
        let ended = async {
            shared.stop();
            while let Some(task) = self.clients.join_next().await {
                task?;
            }
            shared.silence();
            while let Some(task) = self.watchers.join_next().await {
                task?;
            }
            Ok(())
        };
        tokio::time::timeout(limit, ended).await.map_err(|_| "clients and watchers do not end")?
    }
}

/// What a client asks for.
#[derive(Clone, Copy)]
enum Asked {
    Read { serializable: bool },
    Put(u64),
    Swap { expected: Value, new: u64 },
    Delete,
}

/// Asks, tells the history, and gives what the register holds now for all the client knows.
async fn ask(member: &Access, shared: &Shared, key: &str, asked: Asked) -> Result<Value, Status> {
    let begun = shared.history().begin();
    let (meant, answer) = match asked {
        Asked::Read { serializable } => {
            let answer = member.get(key, serializable).await;
            let answer = answer.map(|a| (Action::Read(value_of(&a.kvs)), revision(a.header.as_ref())));
            (Action::Read(None), answer)
        }
        Asked::Put(new) => {
            let meant = Action::Write(Some(new));
            (meant, member.put(key, encode(new)).await.map(|a| (meant, revision(a.header.as_ref()))))
        }
        Asked::Delete => {
            let meant = Action::Write(None);
            (meant, member.delete(key).await.map(|a| (meant, revision(a.header.as_ref()))))
        }
        Asked::Swap { expected, new } => {
            let meant = Action::Swap { expected, new, answered: false };
            (meant, swap(member, key, expected, new).await)
        }
    };
    let linearizable = !matches!(asked, Asked::Read { serializable: true });
    match answer {
        Ok((action, revision)) => {
            shared.history().answer(begun, key, action, revision, linearizable);
            Ok(match action {
                Action::Read(value) | Action::Write(value) => value,
                Action::Swap { new, .. } => Some(new),
            })
        }
        Err(status) => {
            shared.history().no_answer(begun, key, meant);
            Err(status)
        }
    }
}

/// Puts `new` if the key holds `expected`, and reads it otherwise.
async fn swap(member: &Access, key: &str, expected: Value, new: u64) -> Result<(Action, i64), Status> {
    let key = bytes::Bytes::from(key.to_owned());
    let (target, union) = match expected {
        Some(value) => (compare::CompareTarget::Value, compare::TargetUnion::Value(encode(value).into())),
        None => (compare::CompareTarget::Version, compare::TargetUnion::Version(0)),
    };
    let holds = Compare {
        result: compare::CompareResult::Equal as i32,
        target: target as i32,
        key: key.clone(),
        target_union: Some(union),
        ..Default::default()
    };
    let put = PutRequest { key: key.clone(), value: encode(new).into(), ..Default::default() };
    let range = RangeRequest { key, ..Default::default() };
    let op = |request| vec![RequestOp { request: Some(request) }];
    let txn = TxnRequest {
        compare: vec![holds],
        success: op(Request::RequestPut(put)),
        failure: op(Request::RequestRange(range)),
    };
    let answer = member.txn(txn).await?;
    let revision = revision(answer.header.as_ref());
    if answer.succeeded {
        return Ok((Action::Swap { expected, new, answered: true }, revision));
    }
    use proto::etcdserverpb::response_op::Response;
    let found = answer.responses.into_iter().find_map(|response| match response.response {
        Some(Response::ResponseRange(range)) => Some(value_of(&range.kvs)),
        _ => None,
    });
    Ok((Action::Read(found.flatten()), revision))
}

/// Writes of a burst.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    pub writes: usize,
    /// Values have so many bytes more than others.
    pub bytes: usize,
    /// The number of keys; with none given, each write has a key of its own.
    pub keys: Option<u64>,
}

/// Writes as fast as the cluster takes it, through the members of `members`.
pub async fn burst(members: Vec<Access>, shared: &Shared, burst: Burst) {
    let left = Arc::new(AtomicU64::new(burst.writes as u64));
    let mut writers = JoinSet::new();
    for writer in 0..BURST_WRITERS {
        let (left, shared, members) = (Arc::clone(&left), shared.clone(), members.clone());
        writers.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            let padding = " ".repeat(burst.bytes);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let value = shared.value();
                let key = format!("bulk/{}", burst.keys.map_or(value, |keys| value % keys));
                let stored = format!("{}{padding}", encode(value));
                match members[writer % members.len()].put(&key, stored).await {
                    Ok(answer) => shared.history().bulk(key, revision(answer.header.as_ref())),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
    }
    while writers.join_next().await.is_some() {}
}

/// Holds a lease with a key through any member, whatever happens; it may not get lost while it is renewed in time.
pub async fn keeper(members: Vec<Access>, shared: Shared, ttl_secs: i64) {
    let mut turn = 0usize;
    let mut next = || {
        turn += 1;
        members[turn % members.len()].clone()
    };
    let lease = loop {
        match next().grant(ttl_secs).await {
            Ok(answer) => break answer.id,
            Err(_) if shared.is_stopped() => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let mut renewed = Instant::now();
    loop {
        let value = encode(shared.value());
        let attach = PutRequest { key: "held".into(), value: value.into(), lease, ..Default::default() };
        match next().put_with(attach).await {
            Ok(_) => break,
            Err(_) if shared.is_stopped() => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    while !shared.is_stopped() {
        let began = Instant::now();
        match next().keep_alive(lease).await {
            Ok(ttl) if ttl > 0 => renewed = began,
            Ok(_) if renewed.elapsed().as_secs_f64() < ttl_secs as f64 => {
                shared.history().violation(format!("the lease is gone {:?} after it was renewed", renewed.elapsed()));
                return;
            }
            Ok(_) => {
                println!("    the lease ran out: no member renewed it for {:?}", renewed.elapsed());
                return;
            }
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    match next().get("held", false).await {
        Ok(answer) if answer.kvs.is_empty() => {
            shared.history().violation("the key of the lease is gone, the lease is not".to_owned());
        }
        _ => {}
    }
}
