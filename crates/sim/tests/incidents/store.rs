//! Compactions that damaged history, and reads of a state that was gone.

use std::time::Duration;

use sim::{Change, Lab, LabAnswer, Wants};

/// etcd found its revision in the newest record of the file. Where the newest ones were tombstones and a compaction had
/// swept them when the member crashed, it came back with a lower revision and gave numbers out twice. The power goes after
/// every change of the disk from the compaction on.
#[test]
fn the_revision_goes_back_after_a_crash_in_compaction() {
    let mut crashes = 0;
    for (operations, seed) in (0..18).flat_map(|operations| [1, 2, 3].map(|seed| (operations, seed))) {
        let mut lab = Lab::new(1, |options| options.seed = seed);
        for n in 0..40 {
            lab.put(0, &format!("key-{:02}", n % 12), "v", 0);
        }
        let newest = (0..12).map(|n| lab.delete(0, &format!("key-{n:02}"))).max().expect("deletions");
        // What is deleted is committed before; so the sweep is all that the crash can cut short.
        lab.pass(Duration::from_millis(300));
        let starts = lab.starts(0);
        lab.cut_power_after(0, operations);
        lab.compact_without_waiting(0, newest);
        lab.pass(Duration::from_secs(2));
        lab.until("the member runs", |lab| lab.running(0));
        crashes += u32::from(lab.starts(0) > starts);
        lab.until("the member has its revision", |lab| lab.running(0) && lab.view(0).revision() >= newest);
        lab.cut_power_after(0, u64::MAX / 2);
        lab.until("the member leads", |lab| lab.leads(0));
        let next = lab.put(0, "key-00", "next", 0);
        assert_eq!(next, newest + 1, "with the power cut after {operations} changes");
        lab.judge();
    }
    assert!(crashes >= 30, "the power went {crashes} times only");
}

/// Compaction at the revision of a deletion: etcd lost the event for watchers that began at that very revision, or told it
/// twice, depending on whether the sweep had passed. Watchers begin there before and after the sweep, after restarts, and
/// on a member that came by snapshot.
#[test]
fn a_delete_event_at_a_compaction_revision_is_missing_or_doubled() {
    let mut lab = Lab::new(3, |options| options.snapshot_count = 20);
    let leader = lab.leader();
    for _ in 0..40 {
        lab.put(leader, "key-00", "v", 0);
        lab.put(leader, "key-01", "v", 0);
    }
    let deleted = lab.delete(leader, "key-00");
    lab.put(leader, "key-01", "w", 0);
    lab.compact(leader, deleted);
    let look = |lab: &mut Lab| {
        let members: Vec<usize> = (0..lab.places()).filter(|member| lab.running(*member)).collect();
        for member in members {
            let watcher = lab.watcher(Wants::everything(), deleted);
            lab.attach(watcher, member);
            assert_eq!(lab.drain_all(watcher), 2, "the deletion and the put behind it");
        }
    };
    look(&mut lab);
    lab.pass(Duration::from_secs(3));
    look(&mut lab);
    for member in 0..3 {
        lab.crash(member, true, Duration::from_millis(100));
        lab.until("the member is back", |lab| lab.running(member));
    }
    let leader = lab.leader();
    lab.change(leader, &Change::Add { peer_url: "http://m9:2380".into(), as_learner: true });
    lab.until("a new member has a snapshot", |lab| {
        lab.snapshots_installed() > 0 && lab.running(3) && lab.view(3).revision() == lab.revision()
    });
    look(&mut lab);
    lab.judge();
}

/// A leader that had been stopped for longer than an election went on to serve linearizable reads by its old lease of
/// leadership, from a state that others had left behind.
#[test]
fn a_read_after_a_pause_is_stale() {
    for after_pause in [0, 5, 50, 300] {
        let mut lab = Lab::new(3, |_| {});
        let old = lab.leader();
        lab.put(old, "key-00", "old", 0);
        let asked_before = lab.ask_read(old);
        lab.pause(old, Duration::from_secs(6));
        lab.until("the others have a leader", |lab| (0..3).any(|member| member != old && lab.leads(member)));
        let new = (0..3).find(|member| *member != old && lab.leads(*member)).expect("just found");
        let revision = lab.put(new, "key-00", "new", 0);
        lab.until("the pause is over", |lab| !lab.is_paused(old));
        lab.pass(Duration::from_millis(after_pause));
        let believed = lab.leads(old);
        assert!(believed || after_pause > 0, "it does not know yet that others lead");
        let asked_after = lab.ask_read(old);
        for (call, sees) in [(asked_before, 2), (asked_after, revision)] {
            if lab.wait(call) == LabAnswer::ReadReady {
                let answer = lab.read_now(old);
                let header = answer.header.expect("a header");
                assert!(header.revision >= sees, "a read at {} after a write at {sees}", header.revision);
            }
        }
        assert_eq!(lab.read(new).kvs[0].value, "new");
        lab.judge();
    }
}
