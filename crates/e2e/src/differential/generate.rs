//! Requests from a seed, valid and invalid, over few keys and leases so that they meet.

use bytes::Bytes;
use proto::etcdserverpb::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// One step of a run.
#[derive(Clone, Debug)]
pub enum Op {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    Grant(LeaseGrantRequest),
    Revoke(LeaseRevokeRequest),
    TimeToLive(LeaseTimeToLiveRequest),
    Leases,
    KeepAlive(i64),
    HashKv(HashKvRequest),
    Alarms,
    Watch { stream: usize, create: WatchCreateRequest },
    CancelWatch { stream: usize, id: i64 },
}

/// The source of requests. It learns the current and the compacted revision, to ask near them.
pub struct Generator {
    random: StdRng,
    pub current: i64,
    pub compacted: i64,
}

const KEYS: [&str; 12] = ["a", "a/1", "a/2", "a/3", "b", "b/1", "b/2", "c", "d", "dd", "e", "zz"];
const ENDS: [&str; 8] = ["", "", "\0", "a/2", "a0", "b0", "c", "zzz"];
/// How many streams of watches run beside the requests.
pub const STREAMS: usize = 3;

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator { random: StdRng::seed_from_u64(seed), current: 1, compacted: 0 }
    }

    pub fn next_op(&mut self) -> Op {
        match self.random.random_range(0..1000) {
            0..300 => Op::Put(self.put()),
            300..540 => Op::Range(self.range()),
            540..640 => Op::Delete(self.delete()),
            640..800 => {
                let large = self.chance(40);
                Op::Txn(if large { self.large_txn() } else { self.txn(2) })
            }
            800..806 => Op::Compact(CompactionRequest { revision: self.revision(), physical: true }),
            806..840 => Op::Grant(LeaseGrantRequest { id: self.lease(), ttl: self.ttl() }),
            840..860 => Op::Revoke(LeaseRevokeRequest { id: self.lease() }),
            860..890 => Op::TimeToLive(LeaseTimeToLiveRequest { id: self.lease(), keys: self.chance(2) }),
            890..900 => Op::Leases,
            900..930 => Op::KeepAlive(self.lease()),
            930..960 => Op::HashKv(HashKvRequest { revision: self.revision() }),
            960..970 => Op::Alarms,
            970..994 => Op::Watch { stream: self.random.random_range(0..STREAMS), create: self.watch() },
            _ => Op::CancelWatch { stream: self.random.random_range(0..STREAMS), id: self.random.random_range(0..40) },
        }
    }

    /// True once in `n` times.
    fn chance(&mut self, n: u32) -> bool {
        self.random.random_ratio(1, n)
    }

    fn key(&mut self) -> Bytes {
        if self.chance(50) {
            return Bytes::new();
        }
        Bytes::from_static(KEYS.choose(&mut self.random).copied().unwrap_or("a").as_bytes())
    }

    fn end(&mut self) -> Bytes {
        Bytes::from_static(ENDS.choose(&mut self.random).copied().unwrap_or("").as_bytes())
    }

    fn value(&mut self) -> Bytes {
        match self.random.random_range(0..100) {
            0..5 => Bytes::new(),
            5..10 => Bytes::from_static(&[0, 255, 10, 34]),
            _ => Bytes::from(self.random.random_range(0..20).to_string()),
        }
    }

    /// Mostly none, sometimes near the current or the compacted one, sometimes absurd.
    fn revision(&mut self) -> i64 {
        match self.random.random_range(0..20) {
            0 => -1,
            1 => self.current + self.random.random_range(1..3),
            2 => i64::MAX,
            3 => self.compacted,
            4 => self.compacted - 1,
            5 => self.compacted + 1,
            6..12 => self.random.random_range(self.compacted.max(1)..=self.current.max(2)),
            _ => 0,
        }
    }

    fn lease(&mut self) -> i64 {
        match self.random.random_range(0..50) {
            0 => -7,
            _ => self.random.random_range(1..12),
        }
    }

    /// Long enough that no lease runs out during a run.
    fn ttl(&mut self) -> i64 {
        match self.random.random_range(0..20) {
            0 => 9_000_000_000,
            1 => 9_000_000_001,
            2 => i64::MAX,
            _ => self.random.random_range(5_000..9_000),
        }
    }

    fn range(&mut self) -> RangeRequest {
        let mut request = RangeRequest { key: self.key(), range_end: self.end(), ..Default::default() };
        request.revision = self.revision();
        request.serializable = self.chance(3);
        if self.chance(3) {
            request.limit = self.random.random_range(-1..5);
        }
        if self.chance(3) {
            request.sort_order = self.random.random_range(0..3);
            request.sort_target = self.random.random_range(0..5);
        }
        if self.chance(100) {
            // An unknown target would crash the releases that serve as reference.
            request.sort_order = 9;
            request.sort_target = 0;
        }
        request.keys_only = self.chance(8);
        request.count_only = self.chance(8);
        let near = |g: &mut Generator| (g.current - g.random.random_range(0..30)).max(0);
        if self.chance(10) {
            request.min_mod_revision = near(self);
        }
        if self.chance(10) {
            request.max_mod_revision = near(self);
        }
        if self.chance(10) {
            request.min_create_revision = near(self);
        }
        if self.chance(10) {
            request.max_create_revision = near(self);
        }
        request
    }

    /// A range with options that all releases know: up to 3.5 a transaction with others is carried out, and from then on
    /// the histories differ.
    fn known_range(&mut self) -> RangeRequest {
        let range = self.range();
        RangeRequest { sort_order: range.sort_order % 3, ..range }
    }

    fn put(&mut self) -> PutRequest {
        let mut request = PutRequest { key: self.key(), value: self.value(), ..Default::default() };
        request.prev_kv = self.chance(3);
        if self.chance(4) {
            request.lease = self.lease();
        }
        if self.chance(15) {
            request.ignore_value = true;
            if !self.chance(5) {
                request.value = Bytes::new();
            }
        }
        if self.chance(15) {
            request.ignore_lease = true;
            if !self.chance(5) {
                request.lease = 0;
            }
        }
        request
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let range_end = if self.chance(6) { self.end() } else { Bytes::new() };
        DeleteRangeRequest { key: self.key(), range_end, prev_kv: self.chance(3) }
    }

    fn compare(&mut self) -> Compare {
        use compare::TargetUnion;
        let mut compare = Compare { key: self.key(), ..Default::default() };
        compare.result = self.random.random_range(0..4);
        compare.target = self.random.random_range(0..5);
        if self.chance(8) {
            compare.range_end = self.end();
        }
        let small = self.random.random_range(0..3);
        let revision = (self.current - self.random.random_range(0..10)).max(0);
        let kind = if self.chance(30) { self.random.random_range(0..5) } else { compare.target };
        compare.target_union = Some(match kind {
            0 => TargetUnion::Version(small),
            1 => TargetUnion::CreateRevision(revision),
            2 => TargetUnion::ModRevision(revision),
            3 => TargetUnion::Value(self.value()),
            _ => TargetUnion::Lease(self.lease()),
        });
        compare
    }

    fn txn(&mut self, depth: u32) -> TxnRequest {
        let compares = self.random.random_range(0..3);
        TxnRequest {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.branch(depth),
            failure: self.branch(depth),
        }
    }

    fn branch(&mut self, depth: u32) -> Vec<RequestOp> {
        let ops = self.random.random_range(0..4);
        (0..ops).map(|_| self.request_op(depth)).collect()
    }

    fn request_op(&mut self, depth: u32) -> RequestOp {
        use request_op::Request;
        let request = match self.random.random_range(0..100) {
            0..35 => Some(Request::RequestPut(self.put())),
            35..65 => Some(Request::RequestRange(self.known_range())),
            65..85 => Some(Request::RequestDeleteRange(self.delete())),
            85..99 if depth > 0 => Some(Request::RequestTxn(self.txn(depth - 1))),
            99 => None,
            _ => Some(Request::RequestRange(self.known_range())),
        };
        RequestOp { request }
    }

    /// Around the limit of 128 operations.
    fn large_txn(&mut self) -> TxnRequest {
        let ops = self.random.random_range(126..131);
        let put = |i: i32| {
            request_op::Request::RequestPut(PutRequest {
                key: Bytes::from(format!("many/{i:03}")),
                ..Default::default()
            })
        };
        TxnRequest { success: (0..ops).map(|i| RequestOp { request: Some(put(i)) }).collect(), ..Default::default() }
    }

    fn watch(&mut self) -> WatchCreateRequest {
        let mut request = WatchCreateRequest { key: self.key(), range_end: self.end(), ..Default::default() };
        request.start_revision = match self.random.random_range(0..6) {
            // Below zero the releases that serve as reference end the stream.
            0 => (self.compacted - 1).max(0),
            1 => self.current + 5,
            2 | 3 => (self.current - self.random.random_range(0..40)).max(self.compacted + 1),
            _ => 0,
        };
        request.prev_kv = self.chance(2);
        request.fragment = self.chance(4);
        if self.chance(5) {
            request.filters = vec![self.random.random_range(0..2)];
        }
        if self.chance(10) {
            request.watch_id = self.random.random_range(1..40);
        }
        request
    }
}
