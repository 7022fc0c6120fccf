//! Clients: one request at a time, each answer judged; a request without an answer has an unknown fate.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use node::{Event, Outcome as NodeOutcome, Proposal, ProposalKind};
use prost::Message as _;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest, LeaseRevokeRequest,
    PutRequest, RangeRequest, RequestHeader, RequestOp, TxnRequest, compare, request_op,
};
use state::{ApplyError, Outcome};

use crate::check::{Answer, Invocation};
use crate::rng::Rng;
use crate::world::{Happening, World};

/// A request that gets no answer is given up after this time.
const PATIENCE: Duration = Duration::from_secs(9);
const KEYS: u64 = 12;

/// A client.
pub struct Client {
    pub number: usize,
    rng: Rng,
    ops: u64,
    doing: Option<Doing>,
    /// The newest modification revision seen of each key.
    seen: BTreeMap<Bytes, i64>,
    pub answered: u64,
}

/// A request under way.
struct Doing {
    ticket: u64,
    op: Op,
    invocation: Invocation,
}

#[derive(Clone, Debug)]
enum Op {
    Range(RangeRequest),
    Put {
        key: Bytes,
        value: Bytes,
    },
    Delete {
        key: Bytes,
    },
    /// Puts if the key is as it was seen.
    Swap {
        key: Bytes,
        value: Bytes,
        seen: i64,
    },
    Compact {
        revision: i64,
    },
    Grant {
        id: i64,
        ttl: i64,
    },
    Revoke {
        id: i64,
    },
}

fn key(n: u64) -> Bytes {
    Bytes::from(format!("key-{n:02}"))
}

impl Client {
    pub fn new(number: usize, rng: Rng) -> Self {
        Self { number, rng, ops: 0, doing: None, seen: BTreeMap::new(), answered: 0 }
    }

    fn choose(&mut self, revision: i64) -> Op {
        let value = Bytes::from(format!("{}-{}-{}", self.number, self.ops, "v".repeat(self.rng.index(100))));
        let key = key(self.rng.below(KEYS));
        match self.rng.below(100) {
            0..30 => Op::Range(RangeRequest { key, ..RangeRequest::default() }),
            30..40 => {
                Op::Range(RangeRequest { key: "key-".into(), range_end: "key.".into(), ..RangeRequest::default() })
            }
            40..65 => Op::Put { key, value },
            65..75 => Op::Delete { key },
            75..90 => Op::Swap { seen: self.seen.get(&key).copied().unwrap_or(0), key, value },
            90..93 => Op::Compact { revision: revision - 20 },
            93..97 => Op::Grant { id: self.rng.between(1, 5) as i64, ttl: self.rng.between(1, 10) as i64 },
            _ => Op::Revoke { id: self.rng.between(1, 5) as i64 },
        }
    }
}

impl Op {
    fn request(&self, lease: i64) -> InternalRaftRequest {
        let mut request = InternalRaftRequest::default();
        let put = |key: &Bytes, value: &Bytes, lease| PutRequest {
            key: key.clone(),
            value: value.clone(),
            lease,
            ..PutRequest::default()
        };
        match self {
            Op::Range(range) => request.range = Some(range.clone()),
            Op::Put { key, value } => request.put = Some(put(key, value, lease)),
            Op::Delete { key } => {
                request.delete_range = Some(DeleteRangeRequest { key: key.clone(), ..Default::default() })
            }
            Op::Swap { key, value, seen } => {
                let compare = Compare {
                    target: compare::CompareTarget::Mod as i32,
                    result: compare::CompareResult::Equal as i32,
                    key: key.clone(),
                    target_union: Some(compare::TargetUnion::ModRevision(*seen)),
                    ..Compare::default()
                };
                let put = request_op::Request::RequestPut(put(key, value, 0));
                let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
                let range = request_op::Request::RequestRange(range);
                request.txn = Some(TxnRequest {
                    compare: vec![compare],
                    success: vec![RequestOp { request: Some(put) }],
                    failure: vec![RequestOp { request: Some(range) }],
                });
            }
            Op::Compact { revision } => {
                request.compaction = Some(CompactionRequest { revision: *revision, physical: false });
            }
            Op::Grant { id, ttl } => request.lease_grant = Some(LeaseGrantRequest { id: *id, ttl: *ttl }),
            Op::Revoke { id } => request.lease_revoke = Some(LeaseRevokeRequest { id: *id }),
        }
        request
    }
}

impl World {
    /// The client begins a request at some member.
    pub fn client_turn(&mut self, number: usize) {
        if self.closing {
            return;
        }
        let member = self.rng.index(self.slots.len());
        let later = Duration::from_millis(self.rng.between(10, 200));
        let Some(running) = self.slots[member].running.as_mut().filter(|_| self.clients[number].doing.is_none()) else {
            return self.schedule.after(later, Happening::Client { client: number });
        };
        let client = &mut self.clients[number];
        client.ops += 1;
        let op = client.choose(self.consensus.model.revision);
        let ticket = running.booted.ids.next();
        running.waiting.insert(ticket, number);
        client.doing = Some(Doing { ticket, op: op.clone(), invocation: self.history.invoke() });
        self.schedule.after(PATIENCE, Happening::ClientGivesUp { client: number, op: client.ops });
        if matches!(op, Op::Range(_)) {
            return self.hand_unless_paused(member, Event::ReadIndex { ticket });
        }
        let lease = if self.rng.permille(200) { self.rng.between(1, 5) as i64 } else { 0 };
        let header = Some(RequestHeader { id: ticket, ..RequestHeader::default() });
        let data = Bytes::from(InternalRaftRequest { header, ..op.request(lease) }.encode_to_vec());
        self.hand_unless_paused(member, Event::Propose(Proposal { ticket, data, kind: ProposalKind::Client }));
    }

    /// What is sent to a paused member is lost.
    fn hand_unless_paused(&mut self, member: usize, event: Event) {
        if !self.slots[member].is_paused(self.schedule.now()) {
            self.hand(member, event);
        }
    }

    pub fn client_gives_up(&mut self, number: usize, op: u64) {
        if self.clients[number].ops == op && self.clients[number].doing.is_some() {
            self.client_lost(number);
        }
    }

    /// No answer will come.
    pub fn client_lost(&mut self, number: usize) {
        if self.clients[number].doing.take().is_some() {
            self.rest(number);
        }
    }

    fn rest(&mut self, number: usize) {
        let pause = Duration::from_millis(self.clients[number].rng.between(1, 40));
        self.schedule.after(pause, Happening::Client { client: number });
    }

    /// The client that waits for the ticket, and what it is doing, if it still is.
    fn waiter(&mut self, member: usize, ticket: u64) -> Option<(usize, Doing)> {
        let number = self.slots[member].running.as_mut()?.waiting.remove(&ticket)?;
        let doing = self.clients[number].doing.take_if(|doing| doing.ticket == ticket)?;
        Some((number, doing))
    }

    /// The node refused, or gave up; either way nothing is promised.
    pub fn node_replied(&mut self, member: usize, ticket: u64, outcome: &NodeOutcome) {
        debug_assert!(matches!(outcome, NodeOutcome::Failed(_)), "the clients here ask nothing else of the node");
        if let Some((number, _)) = self.waiter(member, ticket) {
            self.rest(number);
        }
    }

    /// A linearizable read may be served now.
    pub fn read(&mut self, member: usize, ticket: u64) {
        let Some((number, doing)) = self.waiter(member, ticket) else { return };
        let Some(running) = &self.slots[member].running else { return };
        let Op::Range(request) = doing.op else { return };
        let answer = running.booted.reader.view().answer_range(&request).expect("readable").expect("a valid range");
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        let client = &mut self.clients[number];
        for kv in &answer.kvs {
            client.seen.insert(kv.key.clone(), kv.mod_revision);
        }
        if answer.kvs.is_empty() {
            client.seen.remove(&request.key);
        }
        let answer = Answer::Range { request, kvs: answer.kvs, revision };
        self.answered(number, &doing.invocation, &answer);
    }

    /// The applier answered.
    pub fn applier_replied(&mut self, member: usize, ticket: u64, reply: Result<Outcome, ApplyError>) {
        let Some((number, doing)) = self.waiter(member, ticket) else { return };
        let revision = |header: &Option<proto::etcdserverpb::ResponseHeader>| header.as_ref().map_or(0, |h| h.revision);
        let answer = match (doing.op, reply) {
            (Op::Put { key, value }, Ok(Outcome::Put(put))) => {
                Some(Answer::Put { key, value, revision: revision(&put.header) })
            }
            (Op::Delete { key }, Ok(Outcome::DeleteRange(delete))) => {
                Some(Answer::Delete { key, deleted: delete.deleted, revision: revision(&delete.header) })
            }
            (Op::Swap { key, value, .. }, Ok(Outcome::Txn(txn))) => {
                let revision = revision(&txn.header);
                Some(if txn.succeeded { Answer::Put { key, value, revision } } else { Answer::Refused { revision } })
            }
            _ => None,
        };
        match answer {
            Some(answer) => self.answered(number, &doing.invocation, &answer),
            None => self.rest(number),
        }
    }

    fn answered(&mut self, number: usize, invocation: &Invocation, answer: &Answer) {
        if let Answer::Put { key, revision, .. } = answer {
            self.clients[number].seen.insert(key.clone(), *revision);
        }
        self.history.answer(invocation, answer, &self.consensus.model);
        self.clients[number].answered += 1;
        self.rest(number);
    }
}
