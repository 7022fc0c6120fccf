//! Snapshots that met a defragmentation, or forgot something.

use std::time::Duration;

use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb::{
    AuthEnableRequest, AuthRoleAddRequest, AuthRoleGrantPermissionRequest, AuthUserAddRequest,
    AuthUserGrantRoleRequest, InternalRaftRequest, PutRequest, RequestHeader,
};
use sim::{Call, Change, Lab};

/// A member that was giving space back when a snapshot arrived went on with the file of the old state: handles, indexes
/// and data belonged to different files. The snapshot arrives at every stage of the work here.
#[test]
fn a_snapshot_is_applied_during_defragmentation() {
    let mut met = 0;
    for seed in 1..=3 {
        let mut lab = Lab::new(3, |options| options.seed = seed);
        let (leader, behind) = (lab.leader(), lab.follower());
        // Much to give back, so that it takes a while.
        let value = "v".repeat(100 << 10);
        for n in 0..60 {
            lab.put(leader, &format!("key-{n:03}"), &value, 0);
        }
        let revision = (0..60).map(|n| lab.delete(leader, &format!("key-{n:03}"))).max().expect("deletions");
        lab.until("the member behind has them", |lab| lab.view(behind).revision() == revision);
        lab.compact(leader, revision);
        lab.until("the member behind is to sweep", |lab| lab.view(behind).compact_revision() == revision);
        // It is stopped before it has given anything back.
        lab.isolate(behind);
        lab.pause(behind, Duration::from_secs(30));
        for n in 0..130 {
            lab.put(leader, &format!("key-{:02}", n % 12), "meanwhile", 0);
        }
        lab.heal();
        lab.pause(behind, Duration::ZERO);
        let mut calls: Vec<Call> = vec![lab.defragment(behind)];
        let mut is_busy = false;
        while lab.snapshots_installed() == 0 {
            is_busy = lab.is_committing(behind);
            if lab.answer(calls[calls.len() - 1]).is_some() {
                calls.push(lab.defragment(behind));
            }
            lab.pass(Duration::from_micros(100));
        }
        met += u32::from(is_busy);
        calls.iter().for_each(|call| drop(lab.wait(*call)));
        lab.put(leader, "key-00", "after", 0);
        lab.crash(behind, true, Duration::from_millis(100));
        lab.until("the member is back", |lab| lab.running(behind));
        lab.judge();
    }
    assert!(met >= 1, "the two met {met} times only");
}

fn as_root(lab: &Lab, member: usize, request: InternalRaftRequest) -> InternalRaftRequest {
    let auth_revision = lab.view(member).auth().revision();
    let header = Some(RequestHeader { username: "root".into(), auth_revision, ..RequestHeader::default() });
    InternalRaftRequest { header, ..request }
}

/// Two users with a role each, and authentication on.
fn enable_auth(lab: &mut Lab, member: usize) {
    let none = InternalRaftRequest::default();
    for name in ["root", "user"] {
        let options = Some(UserAddOptions { no_password: true });
        let user = AuthUserAddRequest { name: name.into(), options, ..AuthUserAddRequest::default() };
        lab.apply(member, InternalRaftRequest { auth_user_add: Some(user), ..none.clone() });
        let role = AuthRoleAddRequest { name: name.into() };
        lab.apply(member, InternalRaftRequest { auth_role_add: Some(role), ..none.clone() });
        let grant = AuthUserGrantRoleRequest { user: name.into(), role: name.into() };
        lab.apply(member, InternalRaftRequest { auth_user_grant_role: Some(grant), ..none.clone() });
    }
    let perm = Some(Permission { perm_type: 2, key: "key-05".into(), range_end: "key-06".into() });
    let grant = AuthRoleGrantPermissionRequest { name: "user".into(), perm };
    lab.apply(member, InternalRaftRequest { auth_role_grant_permission: Some(grant), ..none.clone() });
    lab.apply(member, InternalRaftRequest { auth_enable: Some(AuthEnableRequest {}), ..none });
}

/// A member that came by a snapshot had the keys, but took users, roles and the switch from what it had in memory before:
/// it let everybody in. Judged on a member that fell behind and on one that joined, before and after a restart.
#[test]
fn auth_is_lost_in_a_snapshot() {
    let mut lab = Lab::new(3, |_| {});
    let (leader, behind) = (lab.leader(), lab.follower());
    lab.isolate(behind);
    enable_auth(&mut lab, leader);
    for n in 0..200 {
        let key = format!("key-{:02}", n % 12);
        let put = PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() };
        let put = as_root(&lab, leader, InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() });
        lab.apply(leader, put);
    }
    lab.heal();
    lab.until("the member behind has caught up by a snapshot", |lab| lab.snapshots_installed() > 0);
    lab.change(leader, &Change::Add { peer_url: "http://m9:2380".into(), as_learner: true });
    lab.until("the new member has a snapshot", |lab| {
        lab.snapshots_installed() > 1 && lab.running(3) && lab.view(3).revision() == lab.revision()
    });
    let look = |lab: &Lab, member: usize| {
        let view = lab.view(member);
        let auth = view.auth();
        assert!(auth.is_enabled(), "m{member} lets everybody in");
        assert_eq!(auth.revision(), lab.view(leader).auth().revision());
        for name in ["root", "user"] {
            assert!(auth.user(name).is_some_and(|user| user.has_role(name)), "m{member} does not know {name}");
        }
        assert_eq!(auth.role("user").map(|role| role.key_permission.len()), Some(1));
    };
    for member in [behind, 3] {
        look(&lab, member);
        lab.crash(member, true, Duration::from_millis(100));
        lab.until("the member is back and knows what it knew", |lab| {
            lab.running(member) && lab.view(member).revision() == lab.revision()
        });
        look(&lab, member);
    }
    lab.judge();
}
