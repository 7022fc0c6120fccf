//! What the members hold: the version that decides its form, the database for one far behind, the search for differences.

use super::{Site, refused};
use crate::common::{http, until};
use prost::Message;
use proto::etcdserverpb::downgrade_request::DowngradeAction;
use proto::etcdserverpb::*;
use proto::mvccpb::KeyValue;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use tonic::Code;

#[tokio::test]
async fn a_downgrade_is_offered_begun_and_called_off() {
    let site = Site::form("downgrade", &[]).await;
    let follower = (site.leader().await + 1) % 3;
    site.is_at(follower, "3.7.0").await;
    use DowngradeAction::{Cancel, Enable, Validate};
    let invalid = "etcdserver: invalid downgrade target version";
    refused(site.downgrade(follower, Validate, "3.5").await, Code::InvalidArgument, invalid);
    let malformed = "etcdserver: wrong downgrade target version format";
    refused(site.downgrade(follower, Validate, "x").await, Code::InvalidArgument, malformed);
    assert_eq!(site.downgrade(follower, Validate, "3.6.0").await.expect("possible"), "3.7");
    assert_eq!(site.downgrade(follower, Enable, "3.6.0").await.expect("begun"), "3.7");
    let under_way = "etcdserver: cluster has a downgrade job in progress";
    for place in 0..3 {
        site.is_at(place, "3.6.0").await;
        assert_eq!(http(site.ports[place] + 1, "GET", "/downgrade/enabled"), (200, "true".to_owned()));
    }
    let again = site.downgrade(follower, Enable, "3.5.0").await;
    refused(again, Code::FailedPrecondition, under_way);
    assert_eq!(site.downgrade(follower, Cancel, "").await.expect("called off"), "3.6");
    for place in 0..3 {
        site.is_at(place, "3.7.0").await;
        assert_eq!(http(site.ports[place] + 1, "GET", "/downgrade/enabled"), (200, "false".to_owned()));
    }
}

#[tokio::test]
async fn a_member_far_behind_gets_the_database() {
    let mut site = Site::form("snapshot", &["--snapshot-count", "20", "--snapshot-catchup-entries", "5"]).await;
    let grant = LeaseGrantRequest { ttl: 600, id: 5 };
    site.leases(0).await.lease_grant(grant).await.expect("granted");
    // No leader: what was forwarded to one that dies is lost.
    let leader = site.leader().await;
    let behind = (leader + 1) % 3;
    site.take(behind).kill();
    let mut revision = 0;
    for n in 0..60 {
        let request = PutRequest { key: format!("k{n}").into(), value: "v".into(), lease: 5, ..Default::default() };
        let done = site.server(leader).kv().await.put(request).await.expect("put").into_inner();
        revision = done.header.expect("a header").revision;
    }
    site.restart(behind).await;
    assert_eq!(site.get(behind, "k59").await.expect("a value"), "v");
    site.agrees_at(revision).await;
    assert!(
        site.server(behind).log().contains("received and saved database snapshot"),
        "{}",
        site.server(behind).log()
    );
    let page = http(site.ports[behind], "GET", "/metrics").1;
    assert!(page.contains("etcd_network_snapshot_receive_success{From="), "{page}");
    assert!(page.contains("etcd_server_snapshot_apply_in_progress_total 0\n"), "{page}");
    let ask = LeaseTimeToLiveRequest { id: 5, keys: true };
    let time = site.leases(behind).await.lease_time_to_live(ask).await.expect("known").into_inner();
    assert_eq!(time.keys.len(), 60);
    // It writes on from there.
    site.put(behind, "after", "1").await.expect("put");
    let page = http(site.ports[site.leader().await], "GET", "/metrics").1;
    assert!(page.contains("etcd_network_snapshot_send_success{To="), "{page}");
    site.take(behind).stop();
    site.restart(behind).await;
    site.agrees_at(revision + 1).await;
}

/// Changes the value of a key in the database of a member that does not run.
fn falsify(data: &std::path::Path, key: &str) {
    let (disk, path) = (Arc::new(disk::RealDisk), data.join("member/snap/db"));
    let db = bolt::Db::open(disk, &path, bolt::Options::default()).expect("a database");
    let mut write = db.write().expect("a transaction");
    let mut cursor = write.cursor(b"key").expect("the bucket of keys");
    let mut next = cursor.first().expect("read");
    let (at, mut value) = loop {
        let (at, bytes) = next.expect("the key is there");
        let value = KeyValue::decode(bytes).expect("a key and its value");
        if value.key == key {
            break (at, value);
        }
        next = cursor.next().expect("read");
    };
    drop(cursor);
    value.value = "another".into();
    write.put(b"key", at, value.encode_to_vec().into()).expect("put");
    write.commit().expect("written");
}

#[tokio::test]
async fn a_member_with_other_data_is_found() {
    let gate = "--feature-gates=InitialCorruptCheck=true";
    let mut site = Site::form("corrupt", &["--corrupt-check-time", "300ms"]).await;
    site.put(0, "a", "1").await.expect("put");
    let done = site.put(0, "b", "1").await.expect("put");
    let culprit = (site.leader().await + 1) % 3;
    let (id, witness) = (site.id(culprit).await, (culprit + 1) % 3);
    assert_eq!(site.get(culprit, "b").await.expect("a value"), "1");
    site.agrees_at(done.header.expect("a header").revision).await;
    site.take(culprit).stop();
    // While all are equal, all may start.
    site.start_with(culprit, "new", &site.names(3), &[gate]);
    site.serves(culprit).await;
    assert!(site.server(culprit).log().contains("initial corruption checking passed; no corruption"));
    site.take(culprit).stop();
    falsify(&site.data(culprit), "a");

    site.start_with(culprit, "new", &site.names(3), &[gate]);
    let mut refuses = site.take(culprit);
    assert_eq!(refuses.ended().await.code(), Some(1), "{}", refuses.log());
    let text = format!("{id:x} found data inconsistency with peers");
    assert!(refuses.log().contains(&text), "{}", refuses.log());

    site.restart(culprit).await;
    let request = AlarmRequest { action: alarm_request::AlarmAction::Get as i32, ..Default::default() };
    let alarms = until("the alarm", async || {
        let mut maintenance = site.server(witness).maintenance().await;
        let alarms = maintenance.alarm(request).await.expect("alarms").into_inner().alarms;
        Some(alarms).filter(|alarms| !alarms.is_empty())
    })
    .await;
    assert_eq!(alarms, [AlarmMember { member_id: id, alarm: AlarmType::Corrupt as i32 }]);
    refused(site.put(witness, "c", "1").await, Code::DataLoss, "etcdserver: corrupt cluster");
    assert_eq!(site.get(witness, "a").await.expect("a value"), "1", "reads go on");
    assert!(http(site.ports[witness], "GET", "/metrics").1.contains("alarm_type=\"CORRUPT\""));
    // It ends as any other.
    let mut last = site.take(culprit);
    last.signal("-TERM");
    assert_eq!(last.ended().await.signal(), Some(15));
}
