//! Settings that are read but that nothing obeys yet: refused here rather than ignored.

use crate::config::{Config, Gate, PEER_TIMEOUT_MIN};
use std::time::Duration;

/// What etcd does without being told.
const DOWNGRADE_CHECK_TIME: Duration = Duration::from_secs(5);

/// Refuses settings that this build does not obey; to be asked before anything is opened.
pub fn check(config: &Config) -> Result<(), String> {
    let peers = "peer connections";
    let corruption = "corruption checks between members";
    let gate = |gate| config.gates.enabled(gate);
    let missing = [
        ("--raft-read-timeout", peers, config.raft_read_timeout != PEER_TIMEOUT_MIN),
        ("--raft-write-timeout", peers, config.raft_write_timeout != PEER_TIMEOUT_MIN),
        ("--feature-gates=SetMemberLocalAddr=true", peers, gate(Gate::SetMemberLocalAddr)),
        ("--max-learners", "learners", config.max_learners != 1),
        ("--downgrade-check-time", "downgrades", config.downgrade_check_time != Some(DOWNGRADE_CHECK_TIME)),
        ("--corrupt-check-time", corruption, config.corrupt_check_time.is_some()),
        ("--feature-gates=InitialCorruptCheck=true", corruption, gate(Gate::InitialCorruptCheck)),
        ("--feature-gates=CompactHashCheck=true", corruption, gate(Gate::CompactHashCheck)),
    ];
    match missing.iter().find(|(_, _, set)| *set) {
        Some((flag, what, _)) => Err(format!("{flag} is not supported by this build yet: {what}")),
        None => Ok(()),
    }
}
