//! What members answer, and whom it reaches.

use node::Outcome as NodeOutcome;
use proto::etcdserverpb::{ResponseHeader, TxnResponse, response_op};
use proto::mvccpb::KeyValue;
use state::{ApplyError, Outcome};

use super::{Doing, Op};
use crate::check::{Answer, Invocation};
use crate::lab::LabAnswer;
use crate::world::{Happening, Waiter, World};

fn revision(header: &Option<ResponseHeader>) -> i64 {
    header.as_ref().map_or(0, |header| header.revision)
}

/// What the only range of a transaction's other branch found.
fn found(txn: &TxnResponse) -> Vec<KeyValue> {
    let ranges = txn.responses.iter().filter_map(|response| match &response.response {
        Some(response_op::Response::ResponseRange(range)) => Some(range.kvs.clone()),
        _ => None,
    });
    ranges.flatten().collect()
}

impl World {
    fn waiter(&mut self, member: usize, ticket: u64) -> Option<Waiter> {
        self.slots[member].running.as_mut()?.waiting.remove(&ticket)
    }

    /// The client, and what it is doing, if it still waits for this.
    fn client_waits(&mut self, waiter: Waiter) -> Option<(usize, Doing)> {
        let (Waiter::Client { client, op } | Waiter::Keeper { client, op, .. }) = waiter else { return None };
        Some((client, self.clients[client].doing.take_if(|doing| doing.op_number == op)?))
    }

    /// The node answered by itself.
    pub fn node_replied(&mut self, member: usize, ticket: u64, outcome: &NodeOutcome) {
        let Some(waiter) = self.waiter(member, ticket) else { return };
        match waiter {
            Waiter::Operator => self.operator_told(outcome),
            Waiter::Lab => {
                self.lab_answers.insert(ticket, LabAnswer::Node(outcome.clone()));
            }
            Waiter::Client { client, op } => self.client_lost(client, op),
            Waiter::Keeper { client, op, lease } => self.keep_alive_answered(member, client, op, lease, outcome),
        }
    }

    fn keep_alive_answered(&mut self, member: usize, client: usize, op: u64, lease: i64, outcome: &NodeOutcome) {
        match outcome {
            NodeOutcome::LeaseRenewed { ttl_secs: Some(ttl_secs) } => {
                self.leases.kept_alive(lease, *ttl_secs, self.schedule.now());
            }
            NodeOutcome::AskLeader { leader } => {
                let leader = self.places.get(leader).copied().filter(|leader| *leader != member);
                if let Some(leader) = leader
                    && self.network.passes(member, leader)
                    && self.network.passes(leader, member)
                    && let Some(delay) = self.network.arrivals(&mut self.rng, false).pop()
                {
                    let passed_on = Happening::KeepAlive { client, op, member: leader, lease };
                    return self.schedule.after(delay, passed_on);
                }
            }
            _ => {}
        }
        self.client_lost(client, op);
    }

    /// A linearizable read may be served now.
    pub fn read(&mut self, member: usize, ticket: u64) {
        let Some(waiter) = self.waiter(member, ticket) else { return };
        if waiter == Waiter::Lab {
            self.lab_answers.insert(ticket, LabAnswer::ReadReady);
            return;
        }
        let Some((number, doing)) = self.client_waits(waiter) else { return };
        let Some(running) = &self.slots[member].running else { return };
        let Op::Range(request) = doing.op else { return };
        let answer = running.booted.reader.view().answer_range(&request).expect("a readable database");
        // Compacted in the meantime, or ahead of this member.
        let Ok(answer) = answer else { return self.rest(number) };
        let client = &mut self.clients[number];
        for kv in &answer.kvs {
            client.seen.insert(kv.key.clone(), kv.mod_revision);
        }
        if answer.kvs.is_empty() {
            client.seen.remove(&request.key);
        }
        let revision = revision(&answer.header);
        let answer = Answer::Range { request, kvs: answer.kvs, revision };
        self.answered(number, &doing.invocation, &answer);
    }

    /// The applier answered.
    pub fn applier_replied(&mut self, member: usize, ticket: u64, reply: Result<Outcome, ApplyError>) {
        let Some(waiter) = self.waiter(member, ticket) else { return };
        if waiter == Waiter::Lab {
            self.lab_answers.insert(ticket, LabAnswer::Applied(reply));
            return;
        }
        let Some((number, doing)) = self.client_waits(waiter) else { return };
        let answer = match (doing.op, reply) {
            (Op::Put { key, value, .. }, Ok(Outcome::Put(put))) => {
                Some(Answer::Put { key, value, revision: revision(&put.header) })
            }
            (Op::Delete { key }, Ok(Outcome::DeleteRange(delete))) => {
                Some(Answer::Delete { key, deleted: delete.deleted, revision: revision(&delete.header) })
            }
            (Op::Swap { key, value, seen }, Ok(Outcome::Txn(txn))) => {
                let revision = revision(&txn.header);
                Some(match txn.succeeded {
                    true => Answer::Put { key, value, revision },
                    false => Answer::Refused { key, seen, found: found(&txn), revision },
                })
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
