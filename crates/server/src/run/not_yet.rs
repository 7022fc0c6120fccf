//! Settings that are read but that nothing obeys yet: refused here rather than ignored.

use crate::config::{Config, Gate, PEER_TIMEOUT_MIN};

/// Refuses settings that this build does not obey; to be asked before anything is opened.
pub fn check(config: &Config) -> Result<(), String> {
    let peers = "peer connections";
    let gate = |gate| config.gates.enabled(gate);
    let missing = [
        ("--raft-read-timeout", peers, config.raft_read_timeout != PEER_TIMEOUT_MIN),
        ("--raft-write-timeout", peers, config.raft_write_timeout != PEER_TIMEOUT_MIN),
        ("--feature-gates=SetMemberLocalAddr=true", peers, gate(Gate::SetMemberLocalAddr)),
    ];
    match missing.iter().find(|(_, _, set)| *set) {
        Some((flag, what, _)) => Err(format!("{flag} is not supported by this build yet: {what}")),
        None => Ok(()),
    }
}
