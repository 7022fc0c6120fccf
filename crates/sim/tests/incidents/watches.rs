//! Watchers that missed events, heard of progress too early, or went back in time.

use std::time::Duration;

use sim::{Lab, Wants};

/// etcd served watchers of one connection and one round in an order that let some of them wait without end while others
/// got all the attention; events were late for minutes, or dropped where buffers ran over. Here many watchers are behind
/// at once, most of them read nothing for long, and each must hear of everything in the end, exactly once.
#[test]
fn a_watch_is_lost_on_starvation() {
    let mut lab = Lab::new(3, |_| {});
    let leader = lab.leader();
    for n in 0..200 {
        lab.put(leader, &format!("key-{:02}", n % 12), &"v".repeat(100), 0);
    }
    let member = lab.follower();
    let prev = Wants { prev_kv: true, ..Wants::everything() };
    let starved: Vec<usize> = (0..60).map(|_| lab.watcher(prev.clone(), 2)).collect();
    starved.iter().for_each(|watcher| lab.attach(*watcher, member));
    let fed = lab.watcher(Wants::everything(), 2);
    lab.attach(fed, member);
    for n in 0..200 {
        lab.put(leader, &format!("key-{:02}", n % 12), &"w".repeat(100), 0);
        lab.drain(fed);
        // Half of the others read now and then, and share what is read for them with those who don't.
        lab.drain(starved[n % 30]);
    }
    let all = lab.drain_all(fed);
    assert!(all >= 400, "{all} events");
    for watcher in starved {
        assert_eq!(lab.drain_all(watcher), all);
    }
    lab.judge();
}

/// etcd sent a progress notice with the store's revision while events up to it still waited behind a slow watcher: a client
/// that trusted it skipped them. Every notice is held against what the watcher was told before it.
#[test]
fn progress_is_ahead_of_events() {
    let mut lab = Lab::new(3, |_| {});
    let (leader, member) = (lab.leader(), lab.follower());
    let watchers: Vec<usize> = (0..4).map(|_| lab.watcher(Wants::everything(), 2)).collect();
    watchers.iter().for_each(|watcher| lab.attach(*watcher, member));
    for round in 0..40 {
        for n in 0..20 {
            lab.put(leader, &format!("key-{:02}", n % 12), &"v".repeat(100), 0);
            // Asked for while the stream is full, while the watcher reads history, while nothing is left.
            lab.ask_progress(watchers[n % 4]);
        }
        lab.drain(watchers[round % 4]);
    }
    for watcher in watchers {
        lab.drain_all(watcher);
        let (_, before) = lab.drain(watcher);
        lab.ask_progress(watcher);
        lab.pass(Duration::from_millis(50));
        let (_, after) = lab.drain(watcher);
        assert!(after > before, "a watcher that has heard of everything is told so");
    }
    lab.judge();
}

/// A client whose member was cut off reconnected to one that was still behind, which later caught up by a snapshot; etcd
/// then replayed events from before the watch's start revision.
#[test]
fn a_watch_goes_back_in_time_after_a_partition() {
    let mut lab = Lab::new(3, |_| {});
    let (leader, behind) = (lab.leader(), lab.follower());
    lab.put(leader, "key-00", "before", 0);
    lab.isolate(behind);
    for n in 0..300 {
        lab.put(leader, &format!("key-{:02}", n % 12), "meanwhile", 0);
    }
    let watcher = lab.watcher(Wants::everything(), 2);
    lab.attach(watcher, leader);
    let told = lab.drain_all(watcher);
    // The watcher now wants what the member behind will only know much later.
    lab.attach(watcher, behind);
    assert!(lab.view(behind).revision() < lab.revision());
    assert_eq!(lab.drain(watcher).0, told);
    lab.heal();
    lab.until("the member behind has caught up by a snapshot", |lab| {
        lab.snapshots_installed() > 0 && lab.view(behind).revision() == lab.revision()
    });
    assert_eq!(lab.drain(watcher).0, told, "nothing happened that it does not know");
    lab.put(leader, "key-00", "after", 0);
    assert_eq!(lab.drain_all(watcher), told + 1);
    lab.judge();
}
