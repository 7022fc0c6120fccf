//! Settings that are read but that nothing obeys yet: refused here rather than ignored.

use crate::config::{Config, Gate, InitialCluster, PEER_TIMEOUT_MIN};
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

/// Refuses a first start with other members, or as one that joins others.
pub fn check_members(config: &Config, cluster: &InitialCluster) -> Result<(), String> {
    let text = match (cluster.len(), config.join_existing) {
        (0 | 1, false) => return Ok(()),
        // There is nobody else to ask.
        (0 | 1, true) => {
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs"
        }
        (_, true) => "--initial-cluster-state=existing is not supported by this build yet: peer connections",
        (_, false) => "--initial-cluster with other members is not supported by this build yet: peer connections",
    };
    Err(text.into())
}
