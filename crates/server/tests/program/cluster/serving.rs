//! Any member answers for all; leadership moves; a member alone refuses.

use super::{Site, member_id, refused};
use crate::common::{http, until};
use bytes::Bytes;
use proto::etcdserverpb::*;
use tonic::{Code, Request};

#[tokio::test]
async fn every_member_answers_for_the_cluster() {
    let mut site = Site::form("one", &[]).await;
    let leader = site.leader().await;
    let (follower, other) = ((leader + 1) % 3, (leader + 2) % 3);
    site.put(follower, "a", "1").await.expect("put");
    for place in 0..3 {
        assert_eq!(site.get(place, "a").await.expect("a value"), "1", "at {place}");
    }
    for place in 0..3 {
        let members = http(site.ports[place] + 1, "GET", "/members").1;
        assert_eq!(members.matches("\"clientURLs\"").count(), 3, "{members}");
        site.is_at(place, "3.7.0").await;
        assert!(http(site.ports[place] + 1, "GET", "/version").1.contains("\"etcdserver\":\"3.7.1\""));
    }
    leases(&site, leader, follower, other).await;
    let page = http(site.ports[follower], "GET", "/metrics").1;
    let (own, remote) = (site.id(follower).await, site.id(leader).await);
    let series = format!("etcd_network_active_peers{{Local=\"{own:x}\",Remote=\"{remote:x}\"}} 1");
    assert!(page.contains(&series), "{series} in {page}");
    assert!(page.contains("etcd_server_heartbeat_send_failures_total "));
    for place in 0..3 {
        site.take(place).stop();
    }
}

/// Whoever is asked about a lease, the leader knows.
async fn leases(site: &Site, leader: usize, follower: usize, other: usize) {
    let granted = site.leases(follower).await.lease_grant(LeaseGrantRequest { ttl: 600, id: 0 }).await;
    let granted = granted.expect("granted").into_inner();
    assert!(granted.id > 0 && granted.ttl == 600);
    let request = PutRequest { key: "leased".into(), lease: granted.id, ..Default::default() };
    let revision = site.server(leader).kv().await.put(request).await.expect("put").into_inner().header;
    let revision = revision.expect("a header").revision;
    for place in [leader, follower, other] {
        assert!(site.get(place, "leased").await.is_some());
        let ask = |id| LeaseTimeToLiveRequest { id, keys: true };
        let mut leases = site.leases(place).await;
        let time = leases.lease_time_to_live(ask(granted.id)).await.expect("known").into_inner();
        assert_eq!((time.granted_ttl, time.keys), (600, vec![Bytes::from("leased")]));
        assert!((1..=600).contains(&time.ttl), "{}", time.ttl);
        let header = time.header.expect("a header");
        assert_eq!((header.member_id, header.revision), (site.id(place).await, revision), "its own");
        assert_eq!(leases.lease_time_to_live(ask(7)).await.expect("unknown").into_inner().ttl, -1);
        for (id, ttl) in [(granted.id, 600), (7, 0)] {
            let requests = tokio_stream::iter([LeaseKeepAliveRequest { id }]);
            let mut answers = leases.lease_keep_alive(requests).await.expect("a stream").into_inner();
            let answer = answers.message().await.expect("an answer").expect("an answer");
            assert_eq!((answer.ttl, member_id(answer.header)), (ttl, header.member_id));
        }
        let listed = leases.lease_leases(LeaseLeasesRequest {}).await.expect("listed").into_inner().leases;
        assert_eq!(listed, [LeaseStatus { id: granted.id }]);
    }
    let revoked = site.leases(other).await.lease_revoke(LeaseRevokeRequest { id: granted.id }).await;
    assert_eq!(revoked.expect("revoked").into_inner().header.expect("a header").revision, revision + 1);
    for place in 0..3 {
        assert!(site.get(place, "leased").await.is_none());
    }
}

#[tokio::test]
async fn leadership_moves_on_request_at_a_stop_and_at_a_crash() {
    let mut site = Site::form("leader", &[]).await;
    let first = site.leader().await;
    let (second, third) = ((first + 1) % 3, (first + 2) % 3);
    let target = site.id(second).await;
    refused(site.move_leader(third, target).await, Code::FailedPrecondition, "etcdserver: not leader");
    refused(site.move_leader(first, 7).await, Code::FailedPrecondition, "etcdserver: bad leader transferee");
    site.move_leader(first, site.id(first).await).await.expect("it leads already");
    site.move_leader(first, target).await.expect("moved");
    assert_eq!(site.leader().await, second);

    // Handed over: one term later somebody leads, without an election timeout.
    let term = site.status(second).await.raft_term;
    site.take(second).stop();
    let heir = site.leader().await;
    assert_eq!(site.status(heir).await.raft_term, term + 1);
    let last = site.put(heir, "a", "1").await.expect("put");
    site.restart(second).await;
    assert_eq!(site.get(second, "a").await.expect("a value"), "1");

    let before = site.leader().await;
    let survivors: Vec<usize> = (0..3).filter(|place| *place != before).collect();
    // A call that asks for a leader is cut off where there is none; here another follows in time.
    let mut renewing = site.leases(survivors[0]).await;
    renewing.lease_grant(LeaseGrantRequest { ttl: 600, id: 9 }).await.expect("granted");
    site.take(before).kill();
    let requests = tokio_stream::iter([LeaseKeepAliveRequest { id: 9 }]);
    let mut answers = renewing.lease_keep_alive(requests).await.expect("a stream").into_inner();
    assert_eq!(answers.message().await.expect("an answer").expect("an answer").ttl, 600, "by the next leader");
    let after = site.leader().await;
    assert_ne!(after, before);
    site.put(survivors[0], "a", "2").await.expect("put");
    site.restart(before).await;
    assert_eq!(site.get(before, "a").await.expect("a value"), "2");
    site.agrees_at(last.header.expect("a header").revision + 1).await;
    for place in 0..3 {
        site.take(place).stop();
    }
}

#[tokio::test]
async fn a_member_without_a_quorum_refuses_and_stops_all_the_same() {
    let mut site = Site::form("alone", &[]).await;
    site.put(0, "a", "1").await.expect("put");
    site.get(0, "a").await;
    let follower = (0..3).find(|place| *place != 0).expect("there are three");
    let leader = site.leader().await;
    let rest = if leader == 0 { follower } else { 0 };
    for place in (0..3).filter(|place| *place != rest) {
        site.take(place).kill();
    }
    let without = until("no leader", async || Some(site.status(rest).await).filter(|status| status.leader == 0)).await;
    assert!(without.errors.iter().any(|error| error == "etcdserver: no leader"), "{:?}", without.errors);
    let wanted = |key: &str| {
        let mut request =
            Request::new(RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..Default::default() });
        request.metadata_mut().insert("hasleader", "true".parse().expect("text"));
        request
    };
    let mut kv = site.server(rest).kv().await;
    refused(kv.range(wanted("a")).await, Code::Unavailable, "etcdserver: no leader");
    let local = RangeRequest { key: "a".into(), serializable: true, ..Default::default() };
    assert_eq!(kv.range(local).await.expect("local").into_inner().kvs.len(), 1);
    // The client library asks for a leader on these streams.
    let requests =
        tokio_stream::StreamExt::chain(tokio_stream::iter([LeaseKeepAliveRequest { id: 7 }]), tokio_stream::pending());
    let mut requests = Request::new(requests);
    requests.metadata_mut().insert("hasleader", "true".parse().expect("text"));
    let refusal = site.leases(rest).await.lease_keep_alive(requests).await.err();
    assert_eq!(refusal.expect("no stream").message(), "etcdserver: no leader");
    site.take(rest).stop();

    // Nor does one wait for the others that has never heard of them.
    site.start(rest, "new", &site.names(3));
    site.server(rest).writes("\"serving peer traffic\"").await;
    site.take(rest).stop();
}
