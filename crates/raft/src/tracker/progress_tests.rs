use super::*;

fn progress(state: ProgressState, matched: u64, next: u64) -> Progress {
    let mut progress = Progress::new(next, Inflights::new(2, u64::MAX), false);
    progress.matched = matched;
    progress.state = state;
    progress
}

#[test]
fn probing_starts_behind_what_is_known() {
    let pending = |pending| ProgressState::Snapshot { pending };
    for (state, next) in [(ProgressState::Replicate, 2), (ProgressState::Probe, 2), (pending(10), 11), (pending(0), 2)]
    {
        let mut member = progress(state, 1, 5);
        member.sent_commit = 20;
        member.become_probe();
        assert_eq!((member.state, member.matched, member.next), (ProgressState::Probe, 1, next), "{state:?}");
        assert_eq!(member.sent_commit, next - 1);
    }
}

#[test]
fn sending_ahead_moves_next_and_fills_the_window() {
    let mut member = progress(ProgressState::Replicate, 1, 2);
    member.sent_entries(3, 10);
    assert_eq!((member.next, member.is_paused()), (5, false));
    member.sent_entries(0, 0);
    assert_eq!((member.next, member.inflights.len()), (5, 1));
    member.sent_entries(1, 10);
    assert!(member.is_paused());
    assert!(member.maybe_update(4));
    member.inflights.free_to(4);
    assert_eq!((member.matched, member.next, member.is_paused()), (4, 6, false));
    assert!(!member.maybe_update(4));
    assert!(!member.maybe_update(3));
}

#[test]
fn a_probe_goes_alone() {
    let mut member = progress(ProgressState::Probe, 1, 5);
    member.sent_entries(0, 0);
    assert!(!member.is_paused());
    member.sent_entries(2, 10);
    assert_eq!((member.next, member.is_paused()), (5, true));
}

#[test]
fn refusals_step_back_once() {
    // Sending ahead: whatever lies beyond what is known to match may be missing.
    let mut member = progress(ProgressState::Replicate, 5, 10);
    assert!(!member.maybe_decrease(5, 5));
    assert!(member.maybe_decrease(9, 0));
    assert_eq!(member.next, 6);

    for (rejected, hint, next) in
        [(9, 9, Some(9)), (9, 2, Some(3)), (9, 0, Some(2)), (9, u64::MAX, Some(9)), (8, 2, None)]
    {
        let mut member = progress(ProgressState::Probe, 1, 10);
        member.append_paused = true;
        assert_eq!(member.maybe_decrease(rejected, hint), next.is_some(), "{rejected} {hint}");
        assert_eq!((member.next, member.append_paused), (next.unwrap_or(10), next.is_none()), "{rejected} {hint}");
    }
}

#[test]
fn commit_news_are_worth_sending_only_where_they_can_be_used() {
    let mut member = progress(ProgressState::Replicate, 5, 8);
    assert!(member.can_bump_commit(3));
    member.sent_commit(3);
    assert!(!member.can_bump_commit(3));
    assert!(member.can_bump_commit(9));
    // It was told to commit all it has.
    member.sent_commit(7);
    assert!(!member.can_bump_commit(9));
}

#[test]
fn says_what_it_is() {
    let mut member = progress(ProgressState::Snapshot { pending: 7 }, 1, 8);
    member.is_learner = true;
    assert_eq!(member.to_string(), "StateSnapshot match=1 next=8 learner paused pendingSnap=7 inactive");
    member.become_probe();
    member.become_replicate();
    member.recent_active = true;
    member.sent_entries(1, 1);
    member.sent_entries(1, 1);
    assert_eq!(member.to_string(), "StateReplicate match=1 next=4 learner paused inflight=2[full]");
}
