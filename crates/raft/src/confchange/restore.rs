//! The way from a conf state, as snapshots carry it, back to a configuration.

use std::collections::BTreeSet;

use proto::raftpb::ConfState;

use super::{Changed, assert_consistent};
use crate::NONE;
use crate::error::ConfChangeError;
use crate::tracker::{Configuration, Inflights, Progress, ProgressMap};

/// The configuration that a conf state describes, with fresh progress for everyone. Conf states come from peers and
/// disks: errs with `Inconsistent` where the lists contradict each other. The empty one is the empty configuration.
pub fn restore(conf_state: &ConfState, last_index: u64, inflights: &Inflights) -> Result<Changed, ConfChangeError> {
    let config = read(conf_state)?;
    let members = config.voters.ids().into_iter().chain(config.learners.iter().copied());
    let progress: ProgressMap = members
        .map(|id| {
            let mut progress = Progress::new(last_index.max(1), inflights.clone(), config.learners.contains(&id));
            progress.recent_active = true;
            (id, progress)
        })
        .collect();
    assert_consistent(&config, &progress);
    Ok((config, progress))
}

fn read(conf_state: &ConfState) -> Result<Configuration, ConfChangeError> {
    let refuse = |reason| Err(ConfChangeError::Inconsistent(reason));
    let mut config = Configuration { auto_leave: conf_state.auto_leave, ..Default::default() };
    config.voters.incoming = conf_state.voters.iter().copied().collect();
    config.voters.outgoing = conf_state.voters_outgoing.iter().copied().collect();
    config.learners = conf_state.learners.iter().copied().collect();
    config.learners_next = conf_state.learners_next.iter().copied().collect();

    let voters = config.voters.ids();
    if voters.contains(&NONE) || config.learners.contains(&NONE) {
        return refuse("a member without an id");
    }
    if config.voters.incoming.is_empty() && (config.voters.is_joint() || !config.learners.is_empty()) {
        return refuse("members but no voters");
    }
    if !voters.is_disjoint(&config.learners) {
        return refuse("a voter is a learner");
    }
    let outgoing: BTreeSet<u64> = config.voters.outgoing.iter().collect();
    if !config.learners_next.is_subset(&outgoing) {
        return refuse("a coming learner is no outgoing voter");
    }
    if config.learners_next.iter().any(|&id| config.voters.incoming.contains(id)) {
        return refuse("a coming learner is an incoming voter");
    }
    if config.auto_leave && !config.voters.is_joint() {
        return refuse("auto leave without a joint configuration");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf_state(lists: [&[u64]; 4], auto_leave: bool) -> ConfState {
        let [voters, learners, voters_outgoing, learners_next] = lists.map(<[u64]>::to_vec);
        ConfState { voters, learners, voters_outgoing, learners_next, auto_leave }
    }

    fn restored(conf_state: &ConfState) -> Result<Changed, ConfChangeError> {
        restore(conf_state, 7, &Inflights::new(1, u64::MAX))
    }

    #[test]
    fn goes_there_and_back() {
        let joint: [&[u64]; 4] = [&[1, 2, 4], &[5], &[1, 2, 3], &[3]];
        for state in [
            ConfState::default(),
            conf_state([&[1], &[], &[], &[]], false),
            conf_state([&[1, 2, 3], &[4, 5], &[], &[]], false),
            conf_state(joint, false),
            conf_state(joint, true),
        ] {
            let (config, progress) = restored(&state).unwrap();
            assert_eq!(config.conf_state(), state);
            assert!(progress.values().all(|member| member.next == 7 && member.matched == 0));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let cases: [[&[u64]; 4]; 7] = [
            [&[0], &[], &[], &[]],
            [&[], &[1], &[], &[]],
            [&[], &[], &[1], &[]],
            [&[1, 2], &[2], &[], &[]],
            [&[1], &[2], &[1, 2], &[]],
            [&[1], &[], &[1], &[2]],
            [&[1, 2], &[], &[1, 2], &[2]],
        ];
        for lists in cases {
            assert!(matches!(restored(&conf_state(lists, false)), Err(ConfChangeError::Inconsistent(_))), "{lists:?}");
        }
        assert!(restored(&conf_state([&[1], &[], &[], &[]], true)).is_err());
    }
}
