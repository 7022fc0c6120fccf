//! The quota from outside: full, refused, emptied, shrunk, writable again.

use crate::common::{Scratch, Server, get, put};
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::*;
use std::path::Path;
use tonic::Code;

const QUOTA: u64 = 16 << 20;

fn db_bytes(data: &Path) -> u64 {
    std::fs::metadata(data.join("member").join("snap").join("db")).expect("the database").len()
}

#[tokio::test]
async fn a_full_backend_refuses_until_it_is_emptied() {
    let scratch = Scratch::new("quota");
    let data = scratch.path().join("m1.etcd");
    let server = Server::start(&data, &["--quota-backend-bytes", &QUOTA.to_string()]).await;
    let (mut kv, mut maintenance) = (server.kv().await, server.maintenance().await);

    let mut written = 0;
    let refused = loop {
        match put(&mut kv, &format!("k{:04}", written % 50), vec![b'x'; 256 << 10]).await {
            Ok(_) => written += 1,
            Err(status) => break status,
        }
        assert!(written < 500, "it must be full at some time");
    };
    let no_space = "etcdserver: mvcc: database space exceeded";
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, no_space));
    assert!(written >= 40, "only {written} puts of 256 KiB fit into 16 MiB");

    // The alarm is up, and shown.
    let alarms = maintenance.alarm(AlarmRequest { action: AlarmAction::Get as i32, ..Default::default() }).await;
    let alarms = alarms.expect("alarms").into_inner().alarms;
    assert_eq!(alarms.len(), 1);
    assert_eq!(alarms[0].alarm(), AlarmType::Nospace);
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.errors, [format!("memberID:{} alarm:NOSPACE", alarms[0].member_id)]);
    assert_eq!((status.db_size_quota, status.version.as_str()), (QUOTA as i64, "3.7.1"));
    assert_eq!(crate::common::http(server.port, "GET", "/health").0, 503);

    // Reads and deletes work, writes don't.
    assert_eq!(get(&mut kv, "k0000").await.kvs.len(), 1);
    assert_eq!(put(&mut kv, "small", vec![]).await.expect_err("refused").message(), no_space);
    let all = DeleteRangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
    let deleted = kv.delete_range(all).await.expect("deleted").into_inner();
    assert_eq!(deleted.deleted, 50.min(written));

    // Compact, defragment, disarm.
    let revision = deleted.header.expect("a header").revision;
    kv.compact(CompactionRequest { revision, physical: true }).await.expect("compacted");
    let full = db_bytes(&data);
    maintenance.defragment(DefragmentRequest {}).await.expect("defragmented");
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert!(status.db_size < 1 << 20, "the database still has {} bytes", status.db_size);
    let shrunk = db_bytes(&data);
    assert!(shrunk * 4 < full, "the file has {shrunk} bytes after {full}");
    assert_eq!(put(&mut kv, "small", vec![]).await.expect_err("the alarm stays").message(), no_space);
    let disarm = AlarmRequest {
        action: AlarmAction::Deactivate as i32,
        member_id: alarms[0].member_id,
        alarm: AlarmType::Nospace as i32,
    };
    let disarmed = maintenance.alarm(disarm).await.expect("disarmed").into_inner();
    assert_eq!(disarmed.alarms.len(), 1);
    put(&mut kv, "small", b"again".to_vec()).await.expect("writable again");
    assert_eq!(crate::common::http(server.port, "GET", "/health").0, 200);
    server.stop();

    let server = Server::start(&data, &[]).await;
    assert_eq!(get(&mut server.kv().await, "small").await.kvs[0].value, "again");
    server.stop();
}
