//! Clients: one request at a time, each answer judged; a request without an answer has an unknown fate.

mod answers;
mod op;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use node::{Event, Proposal, ProposalKind};
use prost::Message as _;
use proto::etcdserverpb::{InternalRaftRequest, RangeRequest, RequestHeader};

use crate::check::Invocation;
use crate::options::Planted;
use crate::rng::Rng;
use crate::world::{Happening, Waiter, World};

pub use self::op::Op;

/// A request that gets no answer is given up after this time.
const PATIENCE: Duration = Duration::from_secs(9);
const KEYS: u64 = 12;
const LEASES: u64 = 6;
const USERS: [&str; 2] = ["ann", "bob"];

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
    /// By its number; the ticket changes where another member takes over.
    op_number: u64,
    op: Op,
    invocation: Invocation,
}

fn key(n: u64) -> Bytes {
    Bytes::from(format!("key-{n:02}"))
}

impl Client {
    pub fn new(number: usize, rng: Rng) -> Self {
        Self { number, rng, ops: 0, doing: None, seen: BTreeMap::new(), answered: 0 }
    }

    fn choose(&mut self, revision: i64, compacted: i64) -> Op {
        let value = Bytes::from(format!("{}-{}-{}", self.number, self.ops, "v".repeat(self.rng.index(100))));
        let key = key(self.rng.below(KEYS));
        let id = self.rng.between(1, LEASES) as i64;
        match self.rng.below(100) {
            0..24 => Op::Range(RangeRequest { key, ..RangeRequest::default() }),
            24..34 => Op::Range(self.long_range(revision, compacted)),
            34..60 => {
                let lease = if self.rng.permille(200) { id } else { 0 };
                Op::Put { key, value, lease }
            }
            60..70 => Op::Delete { key },
            70..84 => Op::Swap { seen: self.seen.get(&key).copied().unwrap_or(0), key, value },
            84..87 => Op::Compact { revision: revision - self.rng.below(30) as i64 },
            87..91 => Op::Grant { id, ttl_secs: self.rng.between(1, 10) as i64 },
            91..93 => Op::Revoke { id },
            93..98 => Op::KeepAlive { id },
            98 => Op::AddUser { name: USERS[self.rng.index(USERS.len())] },
            _ => Op::DeleteUser { name: USERS[self.rng.index(USERS.len())] },
        }
    }

    /// All keys: of now, as this member has them, or as they once were.
    fn long_range(&mut self, revision: i64, compacted: i64) -> RangeRequest {
        let range = RangeRequest { key: "key-".into(), range_end: "key.".into(), ..RangeRequest::default() };
        match self.rng.below(4) {
            0 => RangeRequest { serializable: true, ..range },
            1 => {
                let oldest = compacted.max(1);
                let revision = oldest + self.rng.below((revision - oldest + 1).max(1) as u64) as i64;
                RangeRequest { revision, ..range }
            }
            _ => range,
        }
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
        if self.slots[member].running.is_none() || self.clients[number].doing.is_some() {
            return self.schedule.after(later, Happening::Client { client: number });
        }
        let model = &self.consensus.model;
        let client = &mut self.clients[number];
        client.ops += 1;
        let op = client.choose(model.revision, model.compacted);
        let op_number = client.ops;
        client.doing = Some(Doing { op_number, op: op.clone(), invocation: self.history.invoke() });
        self.schedule.after(PATIENCE, Happening::ClientGivesUp { client: number, op: op_number });
        self.ask(number, op_number, member, &op);
    }

    fn ask(&mut self, client: usize, op_number: u64, member: usize, op: &Op) {
        // What is sent to a paused member is lost, or waits for it to wake up.
        if self.slots[member].is_paused(self.schedule.now()) {
            return;
        }
        let waiter = match op {
            Op::KeepAlive { id } => Waiter::Keeper { client, op: op_number, lease: *id },
            _ => Waiter::Client { client, op: op_number },
        };
        let Some(running) = self.slots[member].running.as_mut() else { return };
        let ticket = running.booted.ids.next();
        running.waiting.insert(ticket, waiter);
        match op {
            Op::Range(request) if request.serializable || self.options.planted == Some(Planted::ReadWithoutAsking) => {
                self.read(member, ticket);
            }
            Op::Range(_) => self.hand(member, Event::ReadIndex { ticket }),
            Op::KeepAlive { id } if self.options.planted == Some(Planted::KeepAliveIgnored) => {
                let ttl_secs = self.consensus.model.leases.get(id).map(|lease| lease.ttl_secs);
                self.node_replied(member, ticket, &node::Outcome::LeaseRenewed { ttl_secs });
            }
            Op::KeepAlive { id } => self.hand(member, Event::LeaseKeepAlive { ticket, lease: *id }),
            _ => {
                if matches!(op, Op::Revoke { .. }) {
                    self.leases.client_revokes(ticket);
                }
                self.propose(member, ticket, op.request());
            }
        }
    }

    /// Proposes a request under a ticket.
    pub fn propose(&mut self, member: usize, ticket: u64, request: InternalRaftRequest) {
        let header = Some(RequestHeader { id: ticket, ..request.header.clone().unwrap_or_default() });
        let data = Bytes::from(InternalRaftRequest { header, ..request }.encode_to_vec());
        self.hand(member, Event::Propose(Proposal { ticket, data, kind: ProposalKind::Client }));
    }

    /// A keep-alive that another member passed on reaches the one it takes for the leader.
    pub fn keep_alive_arrives(&mut self, client: usize, op_number: u64, member: usize, lease: i64) {
        self.ask(client, op_number, member, &Op::KeepAlive { id: lease });
    }

    /// No answer will come, or it is not waited for any longer.
    pub fn client_lost(&mut self, number: usize, op: u64) {
        if self.clients[number].doing.take_if(|doing| doing.op_number == op).is_some() {
            self.rest(number);
        }
    }

    fn rest(&mut self, number: usize) {
        let pause = Duration::from_millis(self.clients[number].rng.between(1, 40));
        self.schedule.after(pause, Happening::Client { client: number });
    }
}
