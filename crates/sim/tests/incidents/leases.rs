//! Leases that ended too early or never.

use std::time::Duration;

use node::Outcome;
use sim::Lab;

const TTL: i64 = 5;

/// Keeps the lease alive at a member for a while.
fn keep_alive(lab: &mut Lab, member: usize, rounds: u32) {
    for _ in 0..rounds {
        assert_eq!(lab.keep_alive(member, 7), Outcome::LeaseRenewed { ttl_secs: Some(TTL) });
        lab.pass(Duration::from_secs(1));
        assert!(lab.has_lease(7), "the lease was revoked although it is kept alive");
    }
}

/// A leader whose disk or process hung came back after others had elected a new one, found all leases at their end by its
/// own clock, and had the new leader revoke what clients had kept alive there.
#[test]
fn a_lease_is_revoked_by_an_old_leader() {
    for hangs in ["process", "disk", "network"] {
        let mut lab = Lab::new(3, |_| {});
        let old = lab.leader();
        lab.grant(old, 7, TTL);
        lab.put(old, "key-00", "leased", 7);
        let length = Duration::from_secs(9);
        match hangs {
            "process" => lab.pause(old, length),
            "disk" => {
                lab.hang_disk(old, length);
                let new = (0..3).find(|member| *member != old).expect("three members");
                lab.move_leader(new);
            }
            _ => lab.isolate(old),
        }
        lab.until("the others have a leader", |lab| (0..3).any(|member| member != old && lab.leads(member)));
        let new = (0..3).find(|member| *member != old && lab.leads(*member)).expect("just found");
        keep_alive(&mut lab, new, 9);
        lab.heal();
        keep_alive(&mut lab, new, 8);
        assert_eq!(lab.read(new).kvs.len(), 1);
        lab.until("the lease ends once nobody keeps it alive", |lab| !lab.has_lease(7));
        lab.judge();
    }
}

/// Each new leader gave every lease its whole time again, so that in a cluster that changed its leader often enough no
/// lease ever ended. The remaining times are recorded, and the next leader goes on from there.
#[test]
fn the_ttl_restarts_on_a_leader_change() {
    let mut lab = Lab::new(3, |options| options.lease_checkpoints = Some(Duration::from_secs(2)));
    let leader = lab.leader();
    lab.grant(leader, 7, 40);
    let granted = lab.now();
    // Four changes of leader; each may cost what came since the last record, and an election timeout.
    for _ in 0..4 {
        lab.pass(Duration::from_secs(9));
        assert!(lab.has_lease(7), "the lease ended before its time");
        let next = lab.follower();
        lab.move_leader(next);
    }
    lab.until("the lease has ended", |lab| !lab.has_lease(7));
    let lived = lab.now() - granted;
    assert!(lived >= Duration::from_secs(40), "the lease of 40 s lived for {lived:?}");
    assert!(lived <= Duration::from_secs(40 + 4 * 3 + 4), "the lease of 40 s lived for {lived:?}");
    lab.judge();
}
