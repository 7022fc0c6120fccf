//! Members that come, change and go, the right way and the wrong way.

use super::{Site, healthy, refused};
use crate::common::{free_ports, http, until};
use proto::etcdserverpb::*;
use tonic::Code;

#[tokio::test]
async fn members_come_are_promoted_and_go() {
    let mut site = Site::form("members", &[]).await;
    let leader = site.leader().await;
    let (follower, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let bad_urls = "etcdserver: given member URLs are invalid";
    for urls in [&[][..], &["127.0.0.1:1"], &["http://127.0.0.1:1/path"], &["http://127.0.0.1"]] {
        refused(site.add(follower, urls, false).await, Code::InvalidArgument, bad_urls);
    }
    let taken = site.peer_url(0);
    let refusal = healthy(async || match site.add(follower, &[&taken], true).await {
        Err(status) if status.message() == "etcdserver: unhealthy cluster" => Err(status),
        answer => Ok(answer),
    });
    refused(refusal.await, Code::FailedPrecondition, "etcdserver: Peer URLs already exists");

    updates(&site, follower, other).await;
    let id = learner(&mut site, follower).await;
    refused(site.promote(follower, 7).await, Code::NotFound, "etcdserver: member not found");
    let not_learner = "etcdserver: can only promote a learner member";
    let voter = site.id(0).await;
    refused(site.promote(follower, voter).await, Code::FailedPrecondition, not_learner);
    let promoted = until("the learner is ready", async || match site.promote(follower, id).await {
        Ok(promoted) => Some(promoted),
        Err(status) if status.message().ends_with("in sync with leader") => None,
        Err(status) => panic!("{status}"),
    })
    .await;
    assert!(promoted.members.len() == 4 && promoted.members.iter().all(|member| !member.is_learner));
    let header = promoted.header.expect("a header");
    assert_eq!((header.revision, header.member_id), (0, site.id(follower).await));
    refused(site.promote(follower, id).await, Code::FailedPrecondition, not_learner);
    let page = http(site.ports[site.leader().await], "GET", "/metrics").1;
    assert!(page.contains("etcd_server_learner_promote_successes 1\n"), "{page}");
    assert!(page.contains(&format!("etcd_server_learner_promote_failures{{Reason=\"{not_learner}\"}} 2\n")), "{page}");
    until("the new voter knows", async || (!site.status(3).await.is_learner).then_some(())).await;
    site.put(3, "by the new voter", "1").await.expect("put");

    // Sent to the member itself, which answers before it goes.
    let left = healthy(async || site.remove(3, id).await).await;
    assert!(left.len() == 3 && left.iter().all(|member| member.id != id));
    let cluster = site.names(4);
    for round in 1..3 {
        let mut gone = site.take(3);
        assert_eq!(gone.ended().await.code(), Some(0), "{}", gone.log());
        let log = gone.log();
        for line in ["\"server error\"", "data-dir used by this member must be removed"] {
            assert_eq!(log.matches(line).count(), round, "{line} in {log}");
        }
        site.start(3, "existing", &cluster);
    }
    refused(site.remove(follower, id).await, Code::NotFound, "etcdserver: member not found");
    assert_eq!(site.members(follower).await.members.len(), 3);
    site.put(follower, "b", "1").await.expect("put");
}

/// New URLs of a member, and the same again.
async fn updates(site: &Site, at: usize, of: usize) {
    let (id, url) = (site.id(of).await, site.peer_url(of));
    let same = site.update(at, id, &[&url]).await.expect("updated");
    assert_eq!(same, site.members(at).await.members);
    let second = "http://127.0.0.1:9".to_owned();
    let members = site.update(at, id, &[&url, &second]).await.expect("updated");
    let urls = |members: &[Member]| {
        members.iter().find(|member| member.id == id).map(|member| member.peer_urls.clone()).expect("it is there")
    };
    assert_eq!(urls(&members), [url.clone(), second], "in the order given");
    assert_eq!(urls(&site.update(at, id, &[&url]).await.expect("updated")), std::slice::from_ref(&url));
    let taken = site.peer_url(at);
    refused(site.update(at, id, &[&taken]).await, Code::FailedPrecondition, "etcdserver: Peer URLs already exists");
    refused(site.update(at, 7, &["http://127.0.0.1:9"]).await, Code::NotFound, "etcdserver: member not found");
    let bad_urls = "etcdserver: given member URLs are invalid";
    refused(site.update(at, id, &["nowhere"]).await, Code::InvalidArgument, bad_urls);
}

/// Adds a fourth member as learner, starts it the wrong way first, and looks at what it answers; its id.
async fn learner(site: &mut Site, at: usize) -> u64 {
    site.ports.push(free_ports());
    site.servers.push(None);
    let url = site.peer_url(3);
    let added = healthy(async || site.add(at, &[&url], true).await).await;
    let (member, header) = (added.member.expect("the member"), added.header.expect("a header"));
    assert!(member.is_learner && member.peer_urls == [url] && added.members.len() == 4);
    assert_eq!((header.revision, header.member_id), (0, site.id(at).await));
    let too_many = healthy(async || match site.add(at, &["http://127.0.0.1:9"], true).await {
        Err(status) if status.message() == "etcdserver: unhealthy cluster" => Err(status),
        answer => Ok(answer),
    });
    refused(too_many.await, Code::FailedPrecondition, "etcdserver: too many learner members in cluster");

    let incomplete = format!("{},m3={}", site.names(1), site.peer_url(3));
    site.start(3, "existing", &incomplete);
    let mut wrong = site.take(3);
    assert_eq!(wrong.ended().await.code(), Some(1), "{}", wrong.log());
    assert!(wrong.log().contains("error validating peerURLs"), "{}", wrong.log());
    assert!(wrong.log().contains("member count is unequal"), "{}", wrong.log());

    site.start(3, "existing", &site.names(4));
    site.serves(3).await;
    assert!(site.status(3).await.is_learner);
    let not_here = "etcdserver: rpc not supported for learner";
    let mut kv = site.server(3).kv().await;
    let read = |serializable| RangeRequest { key: "a".into(), serializable, ..Default::default() };
    kv.range(read(true)).await.expect("a local read");
    refused(kv.range(read(false)).await, Code::FailedPrecondition, not_here);
    refused(site.put(3, "a", "1").await, Code::FailedPrecondition, not_here);
    let list = site.cluster(3).await.member_list(MemberListRequest { linearizable: false }).await;
    refused(list, Code::FailedPrecondition, not_here);
    member.id
}

#[tokio::test]
async fn a_member_that_lost_its_data_is_not_let_in_as_a_new_one() {
    let mut site = Site::form("wiped", &[]).await;
    // No leader: what is forwarded to one that dies is lost.
    let leader = site.leader().await;
    let (wiped, other) = ((leader + 1) % 3, (leader + 2) % 3);
    site.take(wiped).kill();
    std::fs::remove_dir_all(site.data(wiped)).expect("wiped");
    site.start(wiped, "new", &site.names(3));
    let mut refused = site.take(wiped);
    assert_eq!(refused.ended().await.code(), Some(1), "{}", refused.log());
    assert!(refused.log().contains("has already been bootstrapped"), "{}", refused.log());
    site.put(leader, "a", "1").await.expect("the others go on");
    assert_eq!(site.get(other, "a").await.expect("a value"), "1");
}
