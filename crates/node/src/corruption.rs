//! Do the members hold the same data? What follows from hashes that others have fetched (facts: peer-protocol, 10).
//!
//! Nothing is asked here. Hashes are only compared where they cover the same: the same revision, since the same compaction.

use std::collections::BTreeMap;

use mvcc::HashKv;

/// What a member was asked for its HashKV, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerHash {
    pub member: u64,
    pub answer: Answer,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Hash {
        hash: u32,
        /// The compaction since which the hash counts.
        compact_revision: i64,
        /// The current revision of the member.
        revision: i64,
    },
    /// The member has compacted the revision already.
    Compacted,
    /// The member has not come that far.
    Future,
    /// It did not answer, or not usefully.
    Nothing,
}

/// The data of this member are not those of the others: it must not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member:x} found data inconsistency with peers")]
pub struct Inconsistent {
    pub member: u64,
}

/// The check before a member serves: `own` is its hash at its current revision, the others were asked for the same.
pub fn initial(member: u64, own: &HashKv, peers: &[PeerHash]) -> Result<(), Inconsistent> {
    let differs = |peer: &PeerHash| match peer.answer {
        Answer::Hash { hash, compact_revision, .. } => compact_revision == own.compact_revision && hash != own.hash,
        // Whoever is ahead or behind can't be compared with.
        Answer::Compacted | Answer::Future | Answer::Nothing => false,
    };
    if peers.iter().any(differs) { Err(Inconsistent { member }) } else { Ok(()) }
}

/// The leader's check from time to time. `first` is its hash at its current revision, for which the others were asked then;
/// `second` the same after a linearizable read. Gives the member for which the alarm is due: one a round.
pub fn periodic(leader: u64, first: &HashKv, second: &HashKv, peers: &[PeerHash]) -> Option<u64> {
    let same_moment = first.hash_revision == second.hash_revision && first.compact_revision == second.compact_revision;
    if same_moment && first.hash != second.hash {
        return Some(leader);
    }
    let differs = |peer: &&PeerHash| match peer.answer {
        Answer::Hash { hash, compact_revision, revision } => {
            revision > second.current_revision
                || compact_revision > second.compact_revision
                || (compact_revision == first.compact_revision && hash != first.hash)
        }
        Answer::Compacted | Answer::Future | Answer::Nothing => false,
    };
    peers.iter().find(differs).map(|peer| peer.member)
}

/// The verdict about one compaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All members have the same hash.
    Equal,
    /// Those that could be compared have the same hash; others did not answer, or count from another compaction.
    Incomplete,
    /// These differ from the quorum; `[0]` where no hash has a quorum.
    Differ(Vec<u64>),
}

/// Compares the leader's hash of a compaction with those of all other members.
pub fn compaction(leader: u64, own: &HashKv, peers: &[PeerHash]) -> Verdict {
    let mut groups = BTreeMap::from([(own.hash, vec![leader])]);
    let mut compared = 0;
    for peer in peers {
        if let Answer::Hash { hash, compact_revision, .. } = peer.answer
            && compact_revision == own.compact_revision
        {
            compared += 1;
            groups.entry(hash).or_default().push(peer.member);
        }
    }
    if groups.len() == 1 {
        return if compared == peers.len() { Verdict::Equal } else { Verdict::Incomplete };
    }
    let members = peers.len() + 1;
    let quorum = members / 2 + 1;
    match groups.iter().find(|(_, members)| members.len() >= quorum).map(|(hash, _)| *hash) {
        Some(right) => {
            groups.remove(&right);
            Verdict::Differ(groups.into_values().flatten().collect())
        }
        None => Verdict::Differ(vec![0]),
    }
}

/// Which compactions the leader has yet to compare with the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompactionChecks {
    checked: i64,
}

impl CompactionChecks {
    /// The hashes to be compared, newest first, out of those remembered ([`mvcc::Image::compaction_hashes`]). The caller
    /// takes them in turn until [`CompactionChecks::judge`] says that it is done.
    pub fn due(&self, remembered: &[HashKv]) -> Vec<HashKv> {
        let mut due: Vec<HashKv> =
            remembered.iter().copied().filter(|hash| hash.hash_revision > self.checked).collect();
        due.sort_by_key(|hash| std::cmp::Reverse(hash.hash_revision));
        due
    }

    /// Takes note of a verdict: the members to raise the alarm for, and whether the round is done. Where there are no
    /// others, nothing is known.
    pub fn judge(&mut self, leader: u64, own: &HashKv, peers: &[PeerHash]) -> (Vec<u64>, bool) {
        if peers.is_empty() {
            return (Vec::new(), false);
        }
        match compaction(leader, own, peers) {
            Verdict::Equal => {
                self.checked = self.checked.max(own.hash_revision);
                (Vec::new(), true)
            }
            Verdict::Incomplete => (Vec::new(), false),
            Verdict::Differ(members) => (members, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(hash: u32) -> HashKv {
        HashKv { hash, hash_revision: 10, compact_revision: 5, current_revision: 10 }
    }

    fn peer(member: u64, hash: u32, compact_revision: i64) -> PeerHash {
        PeerHash { member, answer: Answer::Hash { hash, compact_revision, revision: 10 } }
    }

    fn silent(member: u64, answer: Answer) -> PeerHash {
        PeerHash { member, answer }
    }

    #[test]
    fn a_start_is_refused_only_over_what_can_be_compared() {
        let text = initial(0xab, &own(1), &[peer(2, 1, 5), peer(3, 9, 5)]).unwrap_err().to_string();
        assert_eq!(text, "ab found data inconsistency with peers");
        assert_eq!(initial(1, &own(1), &[peer(2, 1, 5), peer(3, 9, 4)]), Ok(()), "another compaction");
        let others = [silent(2, Answer::Future), silent(3, Answer::Compacted), silent(4, Answer::Nothing)];
        assert_eq!(initial(1, &own(1), &others), Ok(()));
    }

    #[test]
    fn the_periodic_check_names_one_member() {
        assert_eq!(periodic(1, &own(1), &own(1), &[peer(2, 1, 5), silent(3, Answer::Nothing)]), None);
        assert_eq!(periodic(1, &own(1), &own(2), &[peer(2, 7, 5)]), Some(1), "the leader's own changed under it");
        let moved = HashKv { hash_revision: 11, current_revision: 11, ..own(2) };
        assert_eq!(periodic(1, &own(1), &moved, &[peer(2, 1, 5)]), None);
        assert_eq!(periodic(1, &own(1), &moved, &[peer(2, 1, 5), peer(3, 7, 5), peer(4, 8, 5)]), Some(3));
        assert_eq!(periodic(1, &own(1), &moved, &[peer(2, 7, 4)]), None, "not compacted yet");
        assert_eq!(periodic(1, &own(1), &moved, &[peer(2, 7, 6)]), Some(2), "compacted ahead of the leader");
        let ahead = Answer::Hash { hash: 1, compact_revision: 5, revision: 12 };
        assert_eq!(periodic(1, &own(1), &moved, &[silent(2, ahead)]), Some(2), "ahead of the leader");
    }

    #[test]
    fn the_largest_group_with_a_quorum_is_right() {
        assert_eq!(compaction(1, &own(1), &[peer(2, 1, 5), peer(3, 1, 5)]), Verdict::Equal);
        assert_eq!(compaction(1, &own(1), &[peer(2, 1, 5), peer(3, 9, 4)]), Verdict::Incomplete);
        assert_eq!(compaction(1, &own(1), &[peer(2, 1, 5), peer(3, 9, 5)]), Verdict::Differ(vec![3]));
        assert_eq!(
            compaction(1, &own(1), &[peer(2, 9, 5), peer(3, 9, 5)]),
            Verdict::Differ(vec![1]),
            "the leader itself"
        );
        assert_eq!(
            compaction(1, &own(1), &[peer(2, 2, 5), peer(3, 3, 5)]),
            Verdict::Differ(vec![0]),
            "nobody knows whose"
        );
        let four = [peer(2, 1, 5), peer(3, 2, 5), silent(4, Answer::Nothing), peer(5, 1, 5)];
        assert_eq!(compaction(1, &own(1), &four), Verdict::Differ(vec![3]));
        assert_eq!(compaction(1, &own(1), &[peer(2, 9, 5), silent(3, Answer::Nothing)]), Verdict::Differ(vec![0]));
    }

    #[test]
    fn what_was_equal_everywhere_is_not_asked_for_again() {
        let at = |hash_revision| HashKv { hash_revision, ..own(1) };
        let remembered = [at(5), at(8), at(10)];
        let mut checks = CompactionChecks::default();
        let revisions = |checks: &CompactionChecks| -> Vec<i64> {
            checks.due(&remembered).iter().map(|hash| hash.hash_revision).collect()
        };
        assert_eq!(revisions(&checks), [10, 8, 5]);
        assert_eq!(checks.judge(1, &at(10), &[peer(2, 1, 5), silent(3, Answer::Future)]), (vec![], false));
        assert_eq!(checks.judge(1, &at(8), &[peer(2, 1, 5), peer(3, 1, 5)]), (vec![], true));
        assert_eq!(revisions(&checks), [10]);
        assert_eq!(checks.judge(1, &at(10), &[peer(2, 1, 5), peer(3, 2, 5)]), (vec![3], true));
        assert_eq!(revisions(&checks), [10], "asked again until the alarm is dealt with");
        assert_eq!(checks.judge(1, &at(10), &[]), (vec![], false));
    }
}
