//! What a node is told when it starts.

use crate::error::Error;
use crate::{LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE};

/// A size limit that limits nothing.
pub const NO_LIMIT: u64 = u64::MAX;

/// How a leader makes sure that it still leads before it serves a linearizable read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadOnlyOption {
    /// A round of heartbeats to a quorum. Needs no clock.
    #[default]
    Safe,
    /// The leader lease of check quorum; stale reads are possible where clocks drift without bound.
    LeaseBased,
}

/// The settings of one [`crate::RawNode`]. The defaults are those that etcd runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member's id; not 0 and not one of the two local thread ids.
    pub id: u64,
    /// Ticks without a leader after which a follower campaigns; the actual timeout is drawn anew for each term from
    /// `election_ticks..2 * election_ticks`. More than `heartbeat_ticks`.
    pub election_ticks: usize,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: usize,
    /// The last index applied before the start; entries up to it are not handed out again. 0 means the storage's
    /// first index - 1.
    pub applied: u64,
    /// Whether entries, hard state and snapshots are handed out as messages; see the crate's documentation.
    pub async_storage_writes: bool,
    /// Bytes of entries in one append to a peer; one entry goes whatever its size. 0 means one entry a message.
    pub max_size_per_message: u64,
    /// Bytes of entries that are handed out for application and not yet reported as applied. 0 means as
    /// `max_size_per_message`.
    pub max_committed_size_per_ready: u64,
    /// Bytes of proposals that a leader holds uncommitted before it drops new ones. 0 means no limit.
    pub max_uncommitted_size: u64,
    /// Appends that may be under way to one peer.
    pub max_inflight_messages: usize,
    /// Bytes of entries that may be under way to one peer; at least `max_size_per_message`. 0 means no limit.
    pub max_inflight_bytes: u64,
    /// Whether a leader steps down that has not heard from a quorum for an election timeout, and followers protect it.
    pub check_quorum: bool,
    /// Whether a candidate asks a quorum for its chances before it disturbs the term.
    pub pre_vote: bool,
    /// How linearizable reads are confirmed.
    pub read_only_option: ReadOnlyOption,
    /// Whether followers refuse proposals instead of handing them to the leader.
    pub disable_proposal_forwarding: bool,
    /// Whether conf changes enter the log unchecked, so that the appliers have to refuse those that don't fit.
    pub disable_conf_change_validation: bool,
    /// Whether a leader steps down when it applies its own removal or demotion.
    pub step_down_on_removal: bool,
    /// Seeds the election timeouts. Members of one cluster should have different ones; the id is mixed in.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: NONE,
            election_ticks: 10,
            heartbeat_ticks: 1,
            applied: 0,
            async_storage_writes: false,
            max_size_per_message: 1024 * 1024,
            max_committed_size_per_ready: 0,
            max_uncommitted_size: 0,
            max_inflight_messages: 512,
            max_inflight_bytes: 0,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            disable_proposal_forwarding: false,
            disable_conf_change_validation: false,
            step_down_on_removal: false,
            seed: 0,
        }
    }
}

impl Config {
    /// Checks the settings against each other and puts the meant limits where 0 stands for one.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::Config(reason));
        if self.id == NONE {
            return refuse("cannot use none as id");
        }
        if self.id == LOCAL_APPEND_THREAD || self.id == LOCAL_APPLY_THREAD {
            return refuse("cannot use local target as id");
        }
        if self.heartbeat_ticks == 0 {
            return refuse("heartbeat tick must be greater than 0");
        }
        if self.election_ticks <= self.heartbeat_ticks {
            return refuse("election tick must be greater than heartbeat tick");
        }
        if self.max_inflight_messages == 0 {
            return refuse("max inflight messages must be greater than 0");
        }
        if self.max_uncommitted_size == 0 {
            self.max_uncommitted_size = NO_LIMIT;
        }
        if self.max_committed_size_per_ready == 0 {
            // A budget of 0 would hand out nothing, ever; one byte hands out one entry at a time.
            self.max_committed_size_per_ready = self.max_size_per_message.max(1);
        }
        if self.max_inflight_bytes == 0 {
            self.max_inflight_bytes = NO_LIMIT;
        } else if self.max_inflight_bytes < self.max_size_per_message {
            return refuse("max inflight bytes must be >= max message size");
        }
        if self.read_only_option == ReadOnlyOption::LeaseBased && !self.check_quorum {
            return refuse("CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased");
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl Fn(&mut Config)) -> Result<Config, Error> {
        let mut config = Config { id: 1, ..Config::default() };
        change(&mut config);
        config.checked()
    }

    #[test]
    fn zero_limits_stand_for_others() {
        let config = checked(|config| config.max_size_per_message = 0).unwrap();
        assert_eq!((config.max_uncommitted_size, config.max_inflight_bytes), (NO_LIMIT, NO_LIMIT));
        assert_eq!(config.max_committed_size_per_ready, 1);
        assert_eq!(checked(|_| {}).unwrap().max_committed_size_per_ready, 1024 * 1024);
    }

    #[test]
    fn contradictions_are_refused() {
        let refused: [fn(&mut Config); 8] = [
            |config| config.id = NONE,
            |config| config.id = LOCAL_APPEND_THREAD,
            |config| config.id = LOCAL_APPLY_THREAD,
            |config| config.heartbeat_ticks = 0,
            |config| config.election_ticks = config.heartbeat_ticks,
            |config| config.max_inflight_messages = 0,
            |config| config.max_inflight_bytes = config.max_size_per_message - 1,
            |config| {
                config.check_quorum = false;
                config.read_only_option = ReadOnlyOption::LeaseBased;
            },
        ];
        for (number, change) in refused.iter().enumerate() {
            assert!(matches!(checked(change), Err(Error::Config(_))), "case {number}");
        }
    }
}
