//! One set of voters that decides by majority.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::VoteResult;

/// Sets up to this size are counted without an allocation.
const INLINE_VOTERS: usize = 7;

/// A set of voters. The empty set agrees with everything, so that it is neutral within a joint quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MajorityConfig {
    voters: BTreeSet<u64>,
}

impl MajorityConfig {
    pub fn contains(&self, id: u64) -> bool {
        self.voters.contains(&id)
    }

    pub fn insert(&mut self, id: u64) -> bool {
        self.voters.insert(id)
    }

    pub fn remove(&mut self, id: u64) -> bool {
        self.voters.remove(&id)
    }

    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    pub fn len(&self) -> usize {
        self.voters.len()
    }

    pub fn clear(&mut self) {
        self.voters.clear();
    }

    /// The voters in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.voters.iter().copied()
    }

    /// The highest index that a majority has acknowledged; `u64::MAX` for the empty set. `None` from `acked` counts as 0.
    pub fn committed_index(&self, acked: impl Fn(u64) -> Option<u64>) -> u64 {
        let count = self.voters.len();
        if count == 0 {
            return u64::MAX;
        }
        let mut inline = [0; INLINE_VOTERS];
        let mut heap = Vec::new();
        let indexes = if count <= INLINE_VOTERS {
            &mut inline[..count]
        } else {
            heap.resize(count, 0);
            &mut heap[..]
        };
        for (slot, &voter) in indexes.iter_mut().zip(&self.voters) {
            *slot = acked(voter).unwrap_or(0);
        }
        indexes.sort_unstable();
        // Everyone from this position on has acknowledged at least the index found there.
        indexes[count - (count / 2 + 1)]
    }

    /// What the votes cast so far amount to. The empty set has won.
    pub fn vote_result(&self, votes: &BTreeMap<u64, bool>) -> VoteResult {
        if self.voters.is_empty() {
            return VoteResult::Won;
        }
        let cast = |wanted| self.voters.iter().filter(|voter| votes.get(voter) == Some(&wanted)).count();
        let (yes, no) = (cast(true), cast(false));
        let quorum = self.voters.len() / 2 + 1;
        if yes >= quorum {
            VoteResult::Won
        } else if self.voters.len() - no >= quorum {
            VoteResult::Pending
        } else {
            VoteResult::Lost
        }
    }

    /// Draws what each voter has acknowledged: the further right the arrow, the more voters are behind.
    pub fn describe(&self, acked: impl Fn(u64) -> Option<u64>) -> String {
        if self.voters.is_empty() {
            return "<empty majority quorum>".into();
        }
        let count = self.voters.len();
        let mut table = format!("{}    idx\n", " ".repeat(count));
        for id in self.iter() {
            let own = acked(id);
            let bar = match own {
                None => format!("?{}", " ".repeat(count)),
                Some(index) => {
                    let behind = self.iter().filter(|&other| acked(other).unwrap_or(0) < index).count();
                    format!("{}>{}", "x".repeat(behind), " ".repeat(count - behind))
                }
            };
            table.push_str(&format!("{bar} {:5}    (id={id})\n", own.unwrap_or(0)));
        }
        table
    }
}

impl FromIterator<u64> for MajorityConfig {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        Self { voters: ids.into_iter().collect() }
    }
}

impl fmt::Display for MajorityConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (position, id) in self.voters.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{id}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_sets_of_any_size() {
        for count in 1..20_u64 {
            let config: MajorityConfig = (1..=count).collect();
            // Voter n has acknowledged n: the upper majority has at least this.
            assert_eq!(config.committed_index(Some), count - count / 2, "{count}");
            let half: BTreeMap<_, _> = (1..=count / 2).map(|id| (id, true)).collect();
            assert_eq!(config.vote_result(&half), VoteResult::Pending, "{count}");
            let more: BTreeMap<_, _> = (1..=count / 2 + 1).map(|id| (id, true)).collect();
            assert_eq!(config.vote_result(&more), VoteResult::Won, "{count}");
            let strangers: BTreeMap<_, _> = (100..200).map(|id| (id, true)).collect();
            assert_eq!(config.vote_result(&strangers), VoteResult::Pending, "{count}");
        }
    }
}
