//! The program from outside: it starts, serves, stops, and goes on.

use crate::common::{Scratch, Server, get, http, put};
use client::rpc::etcdserverpb::lease_client::LeaseClient;
use client::rpc::etcdserverpb::watch_client::WatchClient;
use client::rpc::health::health_client::HealthClient;
use client::rpc::v3electionpb::election_client::ElectionClient;
use client::rpc::v3lockpb::lock_client::LockClient;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::*;
use proto::health::health_check_response::ServingStatus;
use proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest};
use proto::v3electionpb::LeaderRequest;
use proto::v3lockpb::LockRequest;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use tokio_stream::StreamExt;
use tonic::Code;

#[tokio::test]
async fn data_outlive_a_stop_and_a_crash() {
    let scratch = Scratch::new("restart");
    let data = scratch.path().join("m1.etcd");
    let server = Server::start(&data, &[]).await;
    let mut kv = server.kv().await;
    let first = put(&mut kv, "a", b"1".to_vec()).await.expect("put");
    assert_eq!(first.header.expect("a header").revision, 2);
    server.stop();

    let server = Server::start(&data, &[]).await;
    let log = server.log();
    for line in ["Initialize and start etcd server", "\"starting local member", "set initial cluster version"] {
        assert_eq!(log.matches(line).count(), 1, "{line}");
    }
    let started = [
        "bootstrapping cluster",
        "bootstrapping storage",
        "restore consistentIndex",
        "bootstrapping raft",
        "opened backend db",
        "starting local member",
        "bootstrap successfully",
        "kvstore restored",
        "starting etcd server",
        "started as single-node; fast-forwarding election ticks",
        "now serving peer/client/metrics",
        "started to purge file",
        "published local member to cluster through raft",
        "ready to serve client requests",
    ];
    let places =
        started.map(|line| log.find(&format!("\"msg\":\"{line}\"")).unwrap_or_else(|| panic!("no {line}: {log}")));
    assert!(places.is_sorted(), "{places:?}");
    let restored = log.rfind("\"restore consistentIndex\",\"index\":").expect("told at both starts");
    assert!(!log[restored..].starts_with("\"restore consistentIndex\",\"index\":0"), "the database knows of entries");
    assert_eq!(log.matches("\"started to purge file\"").count(), 4, "snapshots and log, at both starts");
    for line in ["restarting local member", "server has already been initialized", "closed etcd server"] {
        assert_eq!(log.matches(line).count(), 1, "{line}");
    }
    assert_eq!(log.matches("successfully notified init daemon").count(), 2);
    let mut kv = server.kv().await;
    put(&mut kv, "b", b"2".to_vec()).await.expect("put");
    server.kill();

    let server = Server::start(&data, &[]).await;
    let mut kv = server.kv().await;
    assert_eq!(get(&mut kv, "a").await.kvs[0].value, "1");
    let b = get(&mut kv, "b").await;
    assert_eq!((b.kvs[0].value.as_ref(), b.header.expect("a header").revision), (b"2".as_ref(), 3));
    server.stop();
}

/// What is refused at its turn is told; a compaction that another one went ahead of is no failure.
#[tokio::test]
async fn refused_requests_are_told() {
    let scratch = Scratch::new("refused");
    let server = Server::start(&scratch.path().join("m1.etcd"), &[]).await;
    let mut kv = server.kv().await;
    let unknown = PutRequest { key: "secret-free".into(), value: "secret".into(), lease: 7, ..Default::default() };
    kv.put(unknown).await.expect_err("no such lease");
    put(&mut kv, "a", b"1".to_vec()).await.expect("put");
    let compact = CompactionRequest { revision: 2, physical: false };
    kv.compact(compact).await.expect("compacted");
    kv.compact(compact).await.expect_err("compacted already");
    let log = server.log();
    assert_eq!(log.matches("\"msg\":\"failed to apply request\"").count(), 1, "{log}");
    assert!(log.contains("put:<key:\\\"secret-free\\\" value_size:6 lease:7>\",\"response\":\"\",\"error\":"), "{log}");
    let (_, page) = http(server.port, "GET", "/metrics");
    let counted = |op: &str, success: &str, count: u8| {
        let series =
            format!("etcd_server_apply_duration_seconds_count{{op=\"{op}\",success=\"{success}\",version=\"v3\"}}");
        assert!(page.contains(&format!("{series} {count}\n")), "{series}");
    };
    counted("Put", "false", 1);
    counted("Compaction", "true", 2);
    server.stop();
}

/// Streams and idle connections are told, and don't hold the process up.
#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let scratch = Scratch::new("stop");
    let server = Server::start(&scratch.path().join("m1.etcd"), &[]).await;
    let _idle = server.kv().await;
    let _deaf = crate::wire::connect(&server);
    let _silent = std::net::TcpStream::connect(("127.0.0.1", server.port)).expect("connected");
    let create = WatchCreateRequest { key: "a".into(), ..Default::default() };
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = tokio_stream::iter([create]).chain(tokio_stream::pending());
    let mut watch = WatchClient::new(server.channel().await).watch(requests).await.expect("a watch").into_inner();
    assert!(watch.message().await.expect("an answer").expect("an answer").created);
    let renewals = tokio_stream::iter([LeaseKeepAliveRequest { id: 7 }]).chain(tokio_stream::pending());
    let mut renewals = LeaseClient::new(server.channel().await).lease_keep_alive(renewals).await.expect("a stream");
    renewals.get_mut().message().await.expect("an answer");
    let mut election = ElectionClient::new(server.channel().await);
    let mut leaders = election.observe(LeaderRequest { name: "e".into() }).await.expect("a stream").into_inner();
    let mut lock = LockClient::new(server.channel().await);
    lock.lock(LockRequest { name: "l".into(), lease: 0 }).await.expect("the lock");
    let waiting = tokio::spawn(async move { lock.lock(LockRequest { name: "l".into(), lease: 0 }).await });
    tokio::time::sleep(Duration::from_millis(100)).await;

    let stopping = tokio::task::spawn_blocking(|| server.stop());
    let ended = [
        watch.message().await.expect_err("the watch ends"),
        renewals.get_mut().message().await.expect_err("the renewals end"),
    ];
    for status in ended {
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: server stopped"));
    }
    assert_eq!(leaders.message().await.expect_err("the observer ends").message(), "etcdserver: server stopped");
    let refused = waiting.await.expect("joined").expect_err("the lock is not had");
    assert_eq!(refused.message(), "etcdserver: server stopped");
    let took = stopping.await.expect("stopped");
    assert!(took < Duration::from_millis(450), "it took {took:?}");
}

#[tokio::test]
async fn an_interrupt_ends_the_process_as_one() {
    let scratch = Scratch::new("interrupt");
    let mut server = Server::start(&scratch.path().join("m1.etcd"), &[]).await;
    server.signal("-INT");
    assert_eq!(server.wait().signal(), Some(2));
    assert!(server.log().contains("received signal; shutting down"));
}

#[tokio::test]
async fn health_and_version_over_http() {
    let scratch = Scratch::new("http");
    let metrics_port = crate::common::free_ports();
    let metrics_url = format!("http://127.0.0.1:{metrics_port}");
    let flags = ["--listen-metrics-urls", &metrics_url];
    let server = Server::start(&scratch.path().join("m1.etcd"), &flags).await;
    for port in [server.port, metrics_port] {
        assert_eq!(http(port, "GET", "/health"), (200, "{\"health\":\"true\",\"reason\":\"\"}".to_owned()));
        assert_eq!(http(port, "GET", "/readyz"), (200, "ok\n".to_owned()));
    }
    let versions = "{\"etcdserver\":\"3.7.1\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}";
    assert_eq!(http(server.port, "GET", "/version"), (200, versions.to_owned()));
    assert_eq!(http(metrics_port, "GET", "/version").0, 404);
    assert_eq!(http(server.port + 1, "GET", "/version").0, 200);
    server.stop();
}

#[tokio::test]
async fn health_over_grpc() {
    let scratch = Scratch::new("health");
    let server = Server::start(&scratch.path().join("m1.etcd"), &[]).await;
    let mut health = HealthClient::new(server.channel().await);
    let serving = HealthCheckResponse { status: ServingStatus::Serving as i32 };
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    assert_eq!(health.check(check("")).await.expect("checked").into_inner(), serving);
    assert_eq!(health.check(check("etcdserverpb.KV")).await.expect_err("unknown").code(), Code::NotFound);
    let all = health.list(HealthListRequest {}).await.expect("listed").into_inner();
    assert_eq!(all.statuses, [(String::new(), serving)].into());
    let mut changes = health.watch(check("")).await.expect("watched").into_inner();
    assert_eq!(changes.message().await.expect("an answer"), Some(serving));
    let stopping = tokio::task::spawn_blocking(|| server.stop());
    assert_eq!(changes.message().await.expect_err("it ends").code(), Code::Unavailable);
    stopping.await.expect("stopped");
}

/// Every series is a number that can be, and what was done is counted.
#[tokio::test]
async fn metrics_tell_what_was_done() {
    let scratch = Scratch::new("metrics");
    let server = Server::start(&scratch.path().join("m1.etcd"), &["--metrics", "extensive"]).await;
    let mut kv = server.kv().await;
    for number in 0..10 {
        put(&mut kv, &format!("k{number}"), vec![b'v'; 100]).await.expect("put");
    }
    kv.delete_range(DeleteRangeRequest { key: "k0".into(), ..Default::default() }).await.expect("deleted");
    get(&mut kv, "k1").await;
    put(&mut kv, "", Vec::new()).await.expect_err("without a key");
    let grant = LeaseGrantRequest { ttl: 60, id: 5 };
    LeaseClient::new(server.channel().await).lease_grant(grant).await.expect("granted");
    kv.compact(CompactionRequest { revision: 11, physical: true }).await.expect("compacted");
    let mut maintenance = server.maintenance().await;
    maintenance.hash_kv(HashKvRequest { revision: 0 }).await.expect("hashed");
    let mut parts = maintenance.snapshot(SnapshotRequest {}).await.expect("a snapshot").into_inner();
    while parts.message().await.expect("a part").is_some() {}
    maintenance.defragment(DefragmentRequest {}).await.expect("defragmented");

    let (status, page) = http(server.port, "GET", "/metrics");
    assert_eq!(status, 200);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).expect("a number");
        assert!(
            value.is_finite() && value >= 0.0 || line.starts_with("etcd_debugging_mvcc_compact_revision"),
            "{line}"
        );
    }
    let value = |series: &str| {
        let found = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{series} is missing")).parse::<f64>().expect("a number")
    };
    let put_of = |family: &str, code: &str| {
        let labels = "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
        value(&format!("{family}{{{code}{labels}}}"))
    };
    assert_eq!(put_of("grpc_server_started_total", ""), 11.0);
    assert_eq!(put_of("grpc_server_handled_total", "grpc_code=\"OK\","), 10.0);
    assert_eq!(put_of("grpc_server_handled_total", "grpc_code=\"InvalidArgument\","), 1.0);
    assert_eq!(put_of("grpc_server_msg_received_total", ""), 11.0);
    assert_eq!(put_of("grpc_server_msg_sent_total", ""), 10.0);
    for (series, wanted) in [
        ("etcd_mvcc_put_total", 10.0),
        ("etcd_mvcc_delete_total", 1.0),
        ("etcd_debugging_mvcc_total_put_size_in_bytes", 1020.0),
        ("etcd_debugging_mvcc_keys_total", 9.0),
        ("etcd_debugging_mvcc_current_revision", 12.0),
        ("etcd_debugging_mvcc_compact_revision", 11.0),
        ("etcd_debugging_lease_granted_total", 1.0),
        ("etcd_debugging_lease_ttl_total_sum", 60.0),
        ("etcd_server_has_leader", 1.0),
        ("etcd_server_is_leader", 1.0),
        ("etcd_server_leader_changes_seen_total", 1.0),
        ("etcd_server_proposals_pending", 0.0),
        ("etcd_server_quota_backend_bytes", 2_147_483_648.0),
        ("etcd_disk_backend_defrag_duration_seconds_count", 1.0),
        ("etcd_disk_defrag_inflight", 0.0),
        ("etcd_disk_backend_snapshot_duration_seconds_count", 1.0),
        ("etcd_mvcc_hash_rev_duration_seconds_count", 1.0),
        ("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count", 1.0),
        ("etcd_cluster_version{cluster_version=\"3.7\"}", 1.0),
        ("etcd_server_apply_duration_seconds_count{op=\"Put\",success=\"true\",version=\"v3\"}", 10.0),
        ("etcd_server_request_duration_seconds_count{success=\"true\",type=\"Put\"}", 10.0),
        ("quorate_mvcc_oldest_view_age_seconds", 0.0),
    ] {
        assert_eq!(value(series), wanted, "{series}");
    }
    for series in [
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_disk_wal_write_bytes_total",
        "etcd_disk_backend_commit_duration_seconds_count",
        "etcd_debugging_mvcc_db_compaction_last",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_network_client_grpc_sent_bytes_total",
        "etcd_server_proposals_applied_total",
        "etcd_mvcc_db_open_read_transactions",
        "process_resident_memory_bytes",
    ] {
        assert!(value(series) > 0.0, "{series}");
    }
    server.stop();
}

/// A large answer comes in pieces; it is whole, and equal to what was put.
#[tokio::test]
async fn large_ranges_are_whole() {
    let scratch = Scratch::new("large");
    let server = Server::start(&scratch.path().join("m1.etcd"), &[]).await;
    let mut kv = server.kv().await;
    for number in 0..40u8 {
        put(&mut kv, &format!("k{number:03}"), vec![number; 100_000]).await.expect("put");
    }
    let all = RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
    let response = kv.range(all.clone()).await.expect("a range").into_inner();
    assert_eq!((response.count, response.kvs.len(), response.more), (40, 40, false));
    for (number, pair) in (0u8..).zip(&response.kvs) {
        assert_eq!(pair.key, format!("k{number:03}"));
        assert!(pair.value.len() == 100_000 && pair.value.iter().all(|byte| *byte == number));
    }
    let limited = RangeRequest { limit: 30, ..all.clone() };
    let response = kv.range(limited).await.expect("a range").into_inner();
    assert_eq!((response.count, response.kvs.len(), response.more), (40, 30, true));

    let mut chunks = kv.range_stream(RangeRequest { limit: 39, ..all }).await.expect("a stream").into_inner();
    let mut whole = RangeResponse::default();
    while let Some(chunk) = chunks.message().await.expect("a chunk") {
        let part = chunk.range_response.expect("a part");
        assert!(whole.header.is_none(), "the last chunk was the last");
        whole.kvs.extend(part.kvs);
        (whole.header, whole.count, whole.more) = (part.header, part.count, part.more);
    }
    assert_eq!((whole.kvs.len(), whole.count, whole.more), (39, 40, true));
    assert_eq!(whole.header.expect("a header").revision, 41);
    server.stop();
}

/// A member that passes itself off as 3.6 answers a range without values as that does, with leases.
#[tokio::test]
async fn the_release_that_is_reported_decides() {
    let scratch = Scratch::new("compat");
    for (release, reported, lease_shown) in [("3.6", "3.6.0", 7), ("3.7", "3.7.1", 0)] {
        let server = Server::start(&scratch.path().join(release), &["--compat-version", release]).await;
        let mut kv = server.kv().await;
        LeaseClient::new(server.channel().await)
            .lease_grant(LeaseGrantRequest { ttl: 60, id: 7 })
            .await
            .expect("a lease");
        let leased = PutRequest { key: "a".into(), value: "b".into(), lease: 7, ..Default::default() };
        kv.put(leased).await.expect("put");
        let range = RangeRequest { key: "a".into(), keys_only: true, ..Default::default() };
        let pair = kv.range(range.clone()).await.expect("a range").into_inner().kvs.remove(0);
        assert_eq!((pair.value.len(), pair.lease), (0, lease_shown), "{release}");
        let op = RequestOp { request: Some(request_op::Request::RequestRange(range)) };
        let txn = TxnRequest { success: vec![op], ..Default::default() };
        let response = kv.txn(txn).await.expect("a transaction").into_inner().responses.remove(0);
        let Some(response_op::Response::ResponseRange(found)) = response.response else { panic!("no range") };
        assert_eq!(found.kvs[0].lease, lease_shown, "{release}");
        let status = server.maintenance().await.status(StatusRequest {}).await.expect("a status").into_inner();
        assert_eq!(status.version, reported);
        server.stop();
    }
}

#[tokio::test]
async fn limits_are_told_in_etcds_words() {
    let scratch = Scratch::new("limits");
    let server = Server::start(&scratch.path().join("m1.etcd"), &["--max-txn-ops", "3"]).await;
    let mut kv = server.kv().await;
    let large = put(&mut kv, "a", vec![0; 1_572_864]).await.expect_err("too large");
    assert_eq!((large.code(), large.message()), (Code::InvalidArgument, "etcdserver: request is too large"));
    let larger = put(&mut kv, "a", vec![0; 3_000_000]).await.expect_err("too large");
    assert_eq!(larger.code(), Code::ResourceExhausted);
    assert!(larger.message().starts_with("grpc: received message larger than max (30000"), "{larger}");
    let op = |key: String| RequestOp {
        request: Some(request_op::Request::RequestPut(PutRequest { key: key.into(), ..Default::default() })),
    };
    let txn = TxnRequest { success: (0..4).map(|n| op(format!("k{n}"))).collect(), ..Default::default() };
    let refused = kv.txn(txn).await.expect_err("too many");
    assert_eq!(refused.message(), "etcdserver: too many operations in txn request");
    let future = RangeRequest { key: "a".into(), revision: 99, ..Default::default() };
    let refused = kv.range(future).await.expect_err("in the future");
    let text = "etcdserver: mvcc: required revision is a future revision";
    assert_eq!((refused.code(), refused.message()), (Code::OutOfRange, text));
    let empty = kv.range(RangeRequest::default()).await.expect_err("without a key");
    assert_eq!((empty.code(), empty.message()), (Code::InvalidArgument, "etcdserver: key is not provided"));
    server.stop();
}

#[test]
fn a_port_in_use_is_told() {
    let scratch = Scratch::new("port");
    let port = crate::common::free_ports();
    let _held = std::net::TcpListener::bind(("127.0.0.1", port)).expect("bound");
    let mut server = Server::spawn(&scratch.path().join("m1.etcd"), port, &[]);
    assert_eq!(server.wait().code(), Some(1));
    let text = format!("\"error\":\"listen tcp 127.0.0.1:{port}: bind: address already in use\"");
    let log = server.log();
    assert!(log.contains("\"level\":\"fatal\"") && log.contains("\"msg\":\"discovery failed\""), "{log}");
    assert!(log.contains(&text), "{log}");
}

/// A second process waits until the first lets go of the directory.
#[tokio::test]
async fn a_directory_in_use_is_waited_for() {
    let scratch = Scratch::new("lock");
    let data = scratch.path().join("m1.etcd");
    let first = Server::start(&data, &[]).await;
    let mut second = Server::spawn(&data, crate::common::free_ports(), &[]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(std::net::TcpStream::connect(("127.0.0.1", second.port)).is_ok(), "it listens and waits");
    let began = Instant::now();
    first.stop();
    second.ready().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    second.stop();
}

/// Clients of a Unix socket are served as those of a port.
#[tokio::test]
async fn a_unix_socket_serves() {
    let scratch = Scratch::new("unix");
    let socket = scratch.path().join("s");
    let port = crate::common::free_ports();
    let urls = format!("http://127.0.0.1:{port},unix://{}", socket.display());
    let mut server = Server::spawn(&scratch.path().join("m1.etcd"), port, &["--listen-client-urls", &urls]);
    server.ready().await;
    let channel = client_of(&socket).await;
    let mut kv = client::rpc::etcdserverpb::kv_client::KvClient::new(channel);
    put(&mut kv, "a", b"1".to_vec()).await.expect("put");
    server.stop();
    assert!(!socket.exists(), "the socket is removed");
}

async fn client_of(socket: &std::path::Path) -> tonic::transport::Channel {
    let url = format!("unix://{}", socket.display());
    tonic::transport::Endpoint::from_shared(url).expect("a URL").connect().await.expect("connected")
}
