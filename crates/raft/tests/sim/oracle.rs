//! What must hold in every run, whatever happens.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};
use raft::{MemoryStorage, RawNode, RoleName, Storage};

/// The history as it is known from outside: what was applied by anybody is committed, and stays.
pub struct Oracle {
    /// Who was seen to lead a term.
    leaders: BTreeMap<u64, u64>,
    /// For whom a member voted in a term.
    votes: BTreeMap<(u64, u64), u64>,
    /// The committed entries from index 1 on, each with the hash of all up to it.
    committed: Vec<(Entry, u64)>,
}

/// The state after an entry.
fn chain(before: u64, entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    (before, entry.index, entry.term, entry.entry_type, &entry.data).hash(&mut hasher);
    hasher.finish()
}

impl Oracle {
    /// Nothing has happened but the entry 1 that founds the cluster.
    pub fn new() -> Self {
        let founding = Entry { term: 1, index: 1, ..Default::default() };
        let state = chain(0, &founding);
        Self { leaders: BTreeMap::new(), votes: BTreeMap::new(), committed: vec![(founding, state)] }
    }

    /// What the founding members start from. Whoever joins later is given a snapshot, and so the configuration.
    pub fn founding_snapshot(&self, voters: Vec<u64>) -> Snapshot {
        let (entry, state) = &self.committed[0];
        let conf_state = Some(ConfState { voters, ..Default::default() });
        let metadata = SnapshotMetadata { conf_state, index: entry.index, term: entry.term };
        Snapshot { data: Bytes::copy_from_slice(&state.to_be_bytes()), metadata: Some(metadata) }
    }

    /// State machine safety: at each index, everybody applies the same entry, in order. Returns the state after it.
    pub fn applied(&mut self, member: u64, entry: &Entry, state: u64) -> u64 {
        let after = chain(state, entry);
        let position = entry.index as usize - 1;
        match self.committed.get(position) {
            Some((known, hash)) => {
                assert_eq!(known, entry, "member {member} applies something else at {}", entry.index);
                assert_eq!(*hash, after, "member {member} comes to another state at {}", entry.index);
            }
            None => {
                assert_eq!(position, self.committed.len(), "member {member} leaves out entries");
                self.committed.push((entry.clone(), after));
            }
        }
        after
    }

    /// A snapshot holds the state after its last entry.
    pub fn snapshot(&self, member: u64, index: u64, data: &Bytes) {
        let (_, hash) = self.committed.get(index as usize - 1).expect("a snapshot of what was applied");
        assert_eq!(data.as_ref(), hash.to_be_bytes(), "member {member} has another snapshot at {index}");
    }

    /// The last index that anybody applied.
    pub fn last(&self) -> u64 {
        self.committed.len() as u64
    }

    /// Election safety: one leader a term. Leader completeness: it has all that is committed.
    pub fn role(&mut self, raw: &RawNode<MemoryStorage>) {
        let status = raw.basic_status();
        if status.soft_state.role != RoleName::Leader {
            return;
        }
        let (id, term) = (status.id, status.hard_state.term);
        if let Some(&known) = self.leaders.get(&term) {
            assert_eq!(known, id, "two leaders in term {term}");
            return;
        }
        self.leaders.insert(term, id);
        for (entry, _) in &self.committed {
            if entry.index >= raw.storage().first_index() {
                let own = raw.term_at(entry.index);
                assert_eq!(own, Some(entry.term), "leader {id} of term {term} lacks committed {}", entry.index);
            }
        }
    }

    /// One vote a term, also over restarts.
    pub fn sent(&mut self, message: &Message) {
        if message.msg_type() == MessageType::MsgVoteResp && !message.reject {
            let known = *self.votes.entry((message.from, message.term)).or_insert(message.to);
            assert_eq!(known, message.to, "member {} votes twice in term {}", message.from, message.term);
        }
    }

    /// Log matching: where two logs have the same term at an index, they are the same up to it.
    pub fn logs(logs: &[&MemoryStorage]) {
        for (position, first) in logs.iter().enumerate() {
            for second in &logs[position + 1..] {
                compare(first, second);
            }
        }
    }
}

fn compare(first: &MemoryStorage, second: &MemoryStorage) {
    let from = first.first_index().max(second.first_index());
    let to = first.last_index().min(second.last_index());
    if from > to {
        return;
    }
    let read = |log: &MemoryStorage| log.entries(from..to + 1, u64::MAX).expect("entries within the log");
    let pairs: Vec<_> = read(first).into_iter().zip(read(second)).collect();
    let agree = pairs.iter().rposition(|(one, other)| one.term == other.term);
    for (one, other) in &pairs[..agree.map_or(0, |position| position + 1)] {
        assert_eq!(one, other, "logs that agree later differ at {}", one.index);
    }
}
