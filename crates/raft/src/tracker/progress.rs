//! How far one member is, as its leader sees it.

use std::collections::BTreeMap;
use std::fmt;

use super::Inflights;

/// All members of the configuration, in ascending order.
pub type ProgressMap = BTreeMap<u64, Progress>;

/// How a leader sends to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// Where the logs agree is unknown: one append at a time until it is found.
    Probe,
    /// The logs are known to agree: appends are sent ahead, up to the window.
    Replicate,
    /// The peer needs a snapshot with this index, which is on its way: no appends.
    Snapshot { pending: u64 },
}

impl fmt::Display for ProgressState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "StateProbe",
            Self::Replicate => "StateReplicate",
            Self::Snapshot { .. } => "StateSnapshot",
        })
    }
}

/// A member in the eyes of the leader. Invariant: `matched < next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The highest index known to be durable in the member's log and equal to ours.
    pub matched: u64,
    /// The next index to send. In `Replicate` everything in `matched + 1..next` is under way.
    pub next: u64,
    pub state: ProgressState,
    /// The highest commit index that was sent in a message the member will accept if it gets it.
    pub sent_commit: u64,
    /// Whether it was heard from since the last check of the quorum.
    pub recent_active: bool,
    /// Nothing is sent until the next sign of life: a probe is under way, or the window is full.
    pub append_paused: bool,
    /// Appends under way; only used in `Replicate`.
    pub inflights: Inflights,
    pub is_learner: bool,
}

impl Progress {
    /// A member of which nothing is known.
    pub fn new(next: u64, inflights: Inflights, is_learner: bool) -> Self {
        assert!(next > 0, "there is no entry 0 to send");
        Self {
            matched: 0,
            next,
            state: ProgressState::Probe,
            sent_commit: 0,
            recent_active: false,
            append_paused: false,
            inflights,
            is_learner,
        }
    }

    fn enter(&mut self, state: ProgressState) {
        self.append_paused = false;
        self.state = state;
        self.inflights.clear();
    }

    /// Stops sending ahead; after a snapshot, appends start behind it, whether or not it is known to have arrived.
    pub fn become_probe(&mut self) {
        self.next = match self.state {
            ProgressState::Snapshot { pending } => (self.matched + 1).max(pending + 1),
            ProgressState::Probe | ProgressState::Replicate => self.matched + 1,
        };
        self.enter(ProgressState::Probe);
        self.sent_commit = self.sent_commit.min(self.next - 1);
    }

    /// Starts to send ahead, from what is known to match.
    pub fn become_replicate(&mut self) {
        self.enter(ProgressState::Replicate);
        self.next = self.matched + 1;
    }

    /// Stops appends until the snapshot with this index has arrived, or has not.
    pub fn become_snapshot(&mut self, index: u64) {
        self.enter(ProgressState::Snapshot { pending: index });
        self.next = index + 1;
        self.sent_commit = index;
    }

    /// Takes note of an append just sent.
    pub fn sent_entries(&mut self, count: usize, bytes: u64) {
        match self.state {
            ProgressState::Replicate => {
                if count > 0 {
                    self.next += count as u64;
                    self.inflights.add(self.next - 1, bytes);
                }
                // A full window lets through empty appends once the member was heard from, one at a time.
                self.append_paused = self.inflights.is_full();
            }
            ProgressState::Probe => {
                if count > 0 {
                    self.append_paused = true;
                }
            }
            ProgressState::Snapshot { .. } => unreachable!("appends are not sent to a member that gets a snapshot"),
        }
    }

    /// Takes note of a commit index just sent.
    pub fn sent_commit(&mut self, commit: u64) {
        self.sent_commit = commit;
    }

    /// Whether an empty append with this commit index would tell the member anything new that it can use: beyond the
    /// entries sent to it, it can't commit.
    pub fn can_bump_commit(&self, commit: u64) -> bool {
        commit > self.sent_commit && self.sent_commit < self.next - 1
    }

    /// The member has everything up to `index`. Whether that is news.
    pub fn maybe_update(&mut self, index: u64) -> bool {
        if index <= self.matched {
            return false;
        }
        self.matched = index;
        self.next = self.next.max(index + 1);
        self.append_paused = false;
        true
    }

    /// The member refused an append that followed entry `rejected`, and supposes that the logs agree at `hint` at most.
    /// Steps back accordingly; `false` for a refusal that is out of date.
    pub fn maybe_decrease(&mut self, rejected: u64, hint: u64) -> bool {
        if self.state == ProgressState::Replicate {
            if rejected <= self.matched {
                return false;
            }
            self.next = self.matched + 1;
        } else {
            // Probes go one at a time: only the answer to the last one counts.
            if self.next - 1 != rejected {
                return false;
            }
            self.next = rejected.min(hint.saturating_add(1)).max(self.matched + 1);
            self.append_paused = false;
        }
        self.sent_commit = self.sent_commit.min(self.next - 1);
        true
    }

    /// Whether nothing may be sent now.
    pub fn is_paused(&self) -> bool {
        match self.state {
            ProgressState::Probe | ProgressState::Replicate => self.append_paused,
            ProgressState::Snapshot { .. } => true,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} match={} next={}", self.state, self.matched, self.next)?;
        if self.is_learner {
            f.write_str(" learner")?;
        }
        if self.is_paused() {
            f.write_str(" paused")?;
        }
        if let ProgressState::Snapshot { pending } = self.state {
            write!(f, " pendingSnap={pending}")?;
        }
        if !self.recent_active {
            f.write_str(" inactive")?;
        }
        if !self.inflights.is_empty() {
            write!(f, " inflight={}", self.inflights.len())?;
            if self.inflights.is_full() {
                f.write_str("[full]")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
