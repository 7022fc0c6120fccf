//! What members ask each other, answered and asked by us.

use std::time::Duration;

use peer::*;
use proto::etcdserverpb::LeaseTimeToLiveRequest;
use state::Version;

use super::site::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn fetcher() -> Fetcher {
    Fetcher::new(Duration::from_secs(2))
}

#[test]
fn members_versions_and_downgrades_are_told() {
    let sites = Site::cluster(&[1, 0xff]);
    ask(async {
        let (fetcher, url) = (fetcher(), &sites[0].url);
        let fetched = fetcher.members(url, PATIENCE).await.unwrap();
        assert_eq!((fetched.cluster, &fetched.members), (CLUSTER, &*sites[0].host.members.lock().unwrap().clone()));
        let version = fetcher.version(url, PATIENCE).await.unwrap();
        assert_eq!((version.server.to_string(), version.cluster), ("3.7.1".to_owned(), Some(Version::V3_5)));
        assert!(!fetcher.downgrade_enabled(url, PATIENCE).await.unwrap());
        sites[0].host.downgrade.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(fetcher.downgrade_enabled(url, PATIENCE).await.unwrap());
    });
    let (sender, told) = std::sync::mpsc::channel();
    sites[0].transport.ask_versions(Box::new(move |versions| sender.send(versions).unwrap()));
    let versions = told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(versions, [(0xff, Some(Version { major: 3, minor: 7, patch: 1 }))]);
}

#[test]
fn a_member_that_passes_for_3_4_knows_no_downgrade() {
    let site = Site::start_with(1, CLUSTER, |config| config.identity.version = Version::V3_4);
    assert!(!ask(fetcher().downgrade_enabled(&site.url, PATIENCE)).unwrap());
}

#[test]
fn calls_for_the_leader_come_back_with_its_answer() {
    let site = Site::start(1);
    ask(async {
        let (fetcher, url) = (fetcher(), &site.url);
        let promote = async |id, token| match fetcher.promote(url, id, token, PATIENCE).await {
            Ok(members) => format!("{} members", members.len()),
            Err(error) => error.to_string(),
        };
        assert_eq!(promote(1, None).await, "membership: ID not found");
        assert_eq!(promote(2, None).await, "membership: can only promote a learner member");
        assert!(promote(3, None).await.starts_with("etcdserver: can only promote a learner member which is in sync"));
        assert_eq!(promote(4, None).await, "etcdserver: request timed out");
        assert_eq!(promote(5, Some("secret")).await, "0 members");
        assert!(promote(5, Some("guess")).await.ends_with("answered 500: who are you"));
        let renew = async |id| fetcher.lease_renew(url, id, PATIENCE).await.map_err(|error| error.to_string());
        assert_eq!(renew(7).await, Ok(70));
        assert_eq!(renew(1).await, Err("lease not found".to_owned()));
        assert!(renew(2).await.unwrap_err().contains("applied index"));
        assert_eq!(renew(3).await, Err("not a primary lessor".to_owned()));
        let left = async |id| {
            let request = LeaseTimeToLiveRequest { id, keys: true };
            let left = fetcher.lease_time_to_live(url, request, PATIENCE).await;
            left.map(|left| (left.ttl, left.granted_ttl)).map_err(|error| error.to_string())
        };
        assert_eq!(left(7).await, Ok((7, 9)));
        assert_eq!(left(1).await, Err("lease not found".to_owned()));
        assert!(left(3).await.unwrap_err().ends_with("answered 500: not a primary lessor"));
        let hash = async |cluster, revision| {
            fetcher.hash_kv(url, cluster, revision, PATIENCE).await.map_err(|error| error.to_string())
        };
        let good = HashKv { hash: 77, compact_revision: 1, hash_revision: 5, current_revision: 9 };
        assert_eq!(hash(CLUSTER, 5).await, Ok(good));
        assert_eq!(hash(CLUSTER, 1).await, Err(HashKvError::Compacted.to_string()));
        assert_eq!(hash(CLUSTER, 2).await, Err(HashKvError::FutureRevision.to_string()));
        assert_eq!(hash(CLUSTER + 1, 5).await, Err("cluster ID mismatch".to_owned()));
    });
}

#[test]
fn urls_that_lead_nowhere_are_told() {
    let (held, dead) = listen();
    drop(held);
    let failure = |url: &str| ask(fetcher().members(url, PATIENCE)).unwrap_err();
    assert!(matches!(failure(&dead), FetchError::Unreachable { .. }));
    assert!(matches!(failure("nonsense"), FetchError::BadUrl(_)));
    assert!(failure("https://127.0.0.1:1").to_string().contains("TLS"), "{}", failure("https://127.0.0.1:1"));
}
