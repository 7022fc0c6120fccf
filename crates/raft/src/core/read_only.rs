//! Reads that wait until the leader knows that it still leads.
//!
//! Each request gets a number, which heartbeats carry as their context and followers echo. A leader that hears number
//! `n` from a quorum was leader when request `n` arrived, and so for all requests before it: one round confirms
//! everything that was waiting when it started.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proto::raftpb::Message;

use crate::quorum::JointConfig;

/// A read index request, and the commit index at its arrival.
#[derive(Debug)]
pub(super) struct PendingRead {
    number: u64,
    pub(super) index: u64,
    pub(super) request: Message,
}

#[derive(Debug, Default)]
pub(super) struct ReadOnly {
    /// The number of the newest request.
    newest: u64,
    queue: VecDeque<PendingRead>,
    /// The highest number that each member echoed.
    echoed: BTreeMap<u64, u64>,
}

impl ReadOnly {
    pub(super) fn add(&mut self, request: Message, index: u64) {
        self.newest += 1;
        self.queue.push_back(PendingRead { number: self.newest, index, request });
    }

    /// The context of a heartbeat sent now; empty where nothing waits.
    pub(super) fn context(&self) -> Bytes {
        match self.queue.back() {
            Some(newest) => Bytes::copy_from_slice(&newest.number.to_le_bytes()),
            None => Bytes::new(),
        }
    }

    /// A member echoed a context. Whatever isn't one of ours is ignored.
    pub(super) fn echo(&mut self, from: u64, context: &[u8]) {
        let Ok(bytes) = context.try_into() else { return };
        let number = u64::from_le_bytes(bytes);
        if number <= self.newest {
            let echoed = self.echoed.entry(from).or_default();
            *echoed = number.max(*echoed);
        }
    }

    /// The leader itself knows of all requests.
    pub(super) fn echo_self(&mut self, id: u64) {
        self.echoed.insert(id, self.newest);
    }

    /// Takes out the requests that a quorum confirmed, the oldest first.
    pub(super) fn take_confirmed(&mut self, voters: &JointConfig) -> Vec<PendingRead> {
        let confirmed = voters.committed_index(|id| self.echoed.get(&id).copied());
        let count = self.queue.iter().take_while(|read| read.number <= confirmed).count();
        self.queue.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(ids: &[u64]) -> JointConfig {
        JointConfig { incoming: ids.iter().copied().collect(), ..Default::default() }
    }

    fn indexes(reads: Vec<PendingRead>) -> Vec<u64> {
        reads.into_iter().map(|read| read.index).collect()
    }

    #[test]
    fn one_round_confirms_all_that_waited() {
        let mut reads = ReadOnly::default();
        assert!(reads.context().is_empty());
        reads.add(Message::default(), 10);
        reads.add(Message::default(), 11);
        reads.echo_self(1);
        let context = reads.context();
        reads.add(Message::default(), 12);
        reads.echo_self(1);
        let voters = voters(&[1, 2, 3]);
        assert!(reads.take_confirmed(&voters).is_empty());
        reads.echo(2, &context);
        assert_eq!(indexes(reads.take_confirmed(&voters)), [10, 11]);
        assert!(reads.take_confirmed(&voters).is_empty());
        let context = reads.context();
        reads.echo(3, &context);
        assert_eq!(indexes(reads.take_confirmed(&voters)), [12]);
    }

    #[test]
    fn echoes_of_something_else_count_for_nothing() {
        let mut reads = ReadOnly::default();
        reads.add(Message::default(), 10);
        reads.echo_self(1);
        for context in [&b""[..], b"1234567", b"\x02\0\0\0\0\0\0\0", b"\x01\0\0\0\0\0\0\0\0"] {
            reads.echo(2, context);
        }
        assert!(reads.take_confirmed(&voters(&[1, 2, 3])).is_empty());
    }
}
