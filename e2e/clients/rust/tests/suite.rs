//! Runs the crate `etcd-client` against the server that QUORATE_ENDPOINT names.

use etcd_client::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

async fn connect() -> Client {
    let endpoint = std::env::var("QUORATE_ENDPOINT").expect("QUORATE_ENDPOINT names a server");
    Client::connect([endpoint], None).await.expect("connected")
}

fn prefix(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("rust/{name}/{}/", now.as_nanos())
}

#[tokio::test]
async fn put_get_delete() -> Result<(), Error> {
    let (mut client, p) = (connect().await, prefix("kv"));
    let key = format!("{p}a");
    client.put(key.as_str(), "1", None).await?;
    let again = client.put(key.as_str(), "2", Some(PutOptions::new().with_prev_key())).await?;
    assert_eq!(again.prev_key().expect("a previous pair").value(), b"1");
    let got = client.get(key.as_str(), None).await?;
    assert_eq!((got.kvs()[0].value(), got.kvs()[0].version()), (&b"2"[..], 2));
    assert_eq!(client.delete(key.as_str(), None).await?.deleted(), 1);
    assert_eq!(client.get(key.as_str(), None).await?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn ranges() -> Result<(), Error> {
    let (mut client, p) = (connect().await, prefix("ranges"));
    for i in 0..10 {
        client.put(format!("{p}{i}"), format!("{}", 9 - i), None).await?;
    }
    let options = GetOptions::new().with_prefix().with_sort(SortTarget::Value, SortOrder::Ascend).with_limit(3);
    let page = client.get(p.as_str(), Some(options)).await?;
    let values: Vec<&[u8]> = page.kvs().iter().map(KeyValue::value).collect();
    assert_eq!(values, [b"0", b"1", b"2"]);
    assert!(page.more() && page.count() == 10);
    Ok(())
}

#[tokio::test]
async fn transactions() -> Result<(), Error> {
    let (mut client, key) = (connect().await, prefix("txn"));
    let txn = || {
        Txn::new()
            .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.as_str(), "mine", None)])
            .or_else([TxnOp::get(key.as_str(), None)])
    };
    assert!(client.txn(txn()).await?.succeeded());
    let second = client.txn(txn()).await?;
    assert!(!second.succeeded());
    match &second.op_responses()[0] {
        TxnOpResponse::Get(get) => assert_eq!(get.kvs()[0].value(), b"mine"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_watch_resumes_from_a_revision() -> Result<(), Error> {
    let (mut client, key) = (connect().await, prefix("watch"));
    let start = client.put(key.as_str(), "0", None).await?.header().expect("a header").revision();
    for i in 1..20 {
        client.put(key.as_str(), format!("{i}"), None).await?;
    }
    client.delete(key.as_str(), None).await?;
    let mut stream = client.watch(key.as_str(), Some(WatchOptions::new().with_start_revision(start).with_prev_key())).await?;
    let mut seen = Vec::new();
    while seen.len() < 21 {
        let response = stream.message().await?.expect("the stream goes on");
        seen.extend(response.events().iter().map(|e| (e.event_type(), e.kv().expect("a pair").value().to_vec())));
    }
    for (i, (kind, value)) in seen.iter().take(20).enumerate() {
        assert_eq!((kind, value.as_slice()), (&EventType::Put, i.to_string().as_bytes()));
    }
    assert_eq!(seen[20].0, EventType::Delete);
    Ok(())
}

#[tokio::test]
async fn leases() -> Result<(), Error> {
    let (mut client, key) = (connect().await, prefix("lease"));
    let id = client.lease_grant(60, None).await?.id();
    client.put(key.as_str(), "x", Some(PutOptions::new().with_lease(id))).await?;
    let left = client.lease_time_to_live(id, Some(LeaseTimeToLiveOptions::new().with_keys())).await?;
    assert_eq!((left.granted_ttl(), left.keys().len()), (60, 1));
    let (mut keeper, mut answers) = client.lease_keep_alive(id).await?;
    keeper.keep_alive().await?;
    assert_eq!(answers.message().await?.expect("an answer").ttl(), 60);
    client.lease_revoke(id).await?;
    assert_eq!(client.get(key.as_str(), None).await?.count(), 0);
    let refused = client.lease_revoke(id).await.expect_err("the lease is gone");
    assert!(refused.to_string().contains("etcdserver: requested lease not found"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn locks_exclude() -> Result<(), Error> {
    let (mut client, name) = (connect().await, prefix("lock"));
    let held = client.lock(name.as_str(), None).await?.key().to_vec();
    let mut other = connect().await;
    let mut waiting = tokio::spawn(async move { other.lock(name, None).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    client.unlock(held).await?;
    let second = waiting.await.expect("no panic")?;
    client.unlock(second.key().to_vec()).await?;
    Ok(())
}

#[tokio::test]
async fn elections() -> Result<(), Error> {
    let (mut client, name) = (connect().await, prefix("election"));
    let lease = client.lease_grant(60, None).await?.id();
    let won = client.campaign(name.as_str(), "one", lease).await?;
    assert_eq!(client.leader(name.as_str()).await?.kv().expect("a leader").value(), b"one");
    let key = won.leader().expect("a leader key").clone();
    client.proclaim("two", Some(ProclaimOptions::new().with_leader(key.clone()))).await?;
    assert_eq!(client.leader(name.as_str()).await?.kv().expect("a leader").value(), b"two");
    client.resign(Some(ResignOptions::new().with_leader(key))).await?;
    assert!(client.leader(name.as_str()).await.is_err());
    Ok(())
}

#[tokio::test]
async fn maintenance() -> Result<(), Error> {
    let mut client = connect().await;
    let status = client.status().await?;
    assert_eq!(status.leader(), client.member_list().await?.members()[0].id());
    assert!(client.hash_kv(0).await?.hash() != 0);
    let mut snapshot = client.snapshot().await?;
    let mut bytes = 0;
    while let Some(part) = snapshot.message().await? {
        bytes += part.blob().len();
    }
    assert_eq!(bytes % 512, 32);
    Ok(())
}
