//! The client against a server whose answers the test decides: failover, retries, deadlines, watches and renewals.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod fake;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client::{Client, Config, Error, keep_alive_once, methods};
use fake::{Fake, Script, config, dead};
use proto::etcdserverpb::{PutRequest, RangeRequest, ResponseHeader, WatchCreateRequest, WatchResponse};
use proto::mvccpb::{Event, KeyValue};
use tonic::{Code, Status};

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn soon() -> Option<tokio::time::Instant> {
    Some(tokio::time::Instant::now() + Duration::from_secs(10))
}

fn get() -> RangeRequest {
    RangeRequest { key: "k".into(), ..RangeRequest::default() }
}

fn put() -> PutRequest {
    PutRequest { key: "k".into(), ..PutRequest::default() }
}

fn failing(failures: &[Status]) -> Script {
    Script { failures: failures.iter().cloned().collect(), ..Script::default() }
}

#[test]
fn a_dead_endpoint_costs_nothing_while_another_lives() {
    run(async {
        let fake = Fake::start(Script::default()).await;
        let client = Client::new(config(&[dead().await, fake.address])).unwrap();
        for _ in 0..4 {
            client.until(soon()).call(&methods::PUT, put()).await.unwrap();
        }
        assert_eq!(fake.seen(|script| script.calls.len()), 4);
    });
}

#[test]
fn calls_take_turns_among_live_endpoints_and_move_on_when_one_dies() {
    run(async {
        let (one, two) = (Fake::start(Script::default()).await, Fake::start(Script::default()).await);
        let client = Client::new(config(&[one.address, two.address])).unwrap();
        for _ in 0..20 {
            client.until(soon()).call(&methods::RANGE, get()).await.unwrap();
            tokio::task::yield_now().await;
        }
        let seen = two.seen(|script| script.calls.len());
        assert!(seen > 0 && one.seen(|script| script.calls.len()) > 0);
        one.stop().await;
        for _ in 0..5 {
            client.until(soon()).call(&methods::RANGE, get()).await.unwrap();
        }
        assert_eq!(two.seen(|script| script.calls.len()), seen + 5);
    });
}

#[test]
fn reads_are_repeated_while_the_service_is_unavailable_and_each_failure_is_told() {
    run(async {
        let fake = Fake::start(failing(&[
            Status::unavailable("etcdserver: leader changed"),
            Status::unavailable("etcdserver: request timed out"),
        ]))
        .await;
        let told: Arc<Mutex<Vec<(u32, String)>>> = Arc::default();
        let log = told.clone();
        let observer: client::Observer =
            Arc::new(move |refusal| log.lock().unwrap().push((refusal.attempt, refusal.text.clone())));
        let client = Client::new(Config { observer: Some(observer), ..config(&[fake.address]) }).unwrap();
        client.until(soon()).call(&methods::RANGE, get()).await.unwrap();
        let told = told.lock().unwrap();
        assert_eq!(told[0], (0, "rpc error: code = Unavailable desc = etcdserver: leader changed".into()));
        assert_eq!((told.len(), told[1].0), (2, 1));
    });
}

#[test]
fn a_write_that_may_have_happened_is_not_repeated() {
    run(async {
        let fake = Fake::start(failing(&[Status::unavailable("etcdserver: request timed out")])).await;
        let client = Client::new(config(&[fake.address])).unwrap();
        let error = client.until(soon()).call(&methods::PUT, put()).await.unwrap_err();
        assert_eq!((error.code(), error.to_string()), (Code::Unavailable, "etcdserver: request timed out".into()));
        assert_eq!(fake.seen(|script| script.calls.len()), 1);
    });
}

#[test]
fn refusals_keep_code_and_text() {
    run(async {
        let fake =
            Fake::start(failing(&[Status::invalid_argument("odd"), Status::unknown("etcdserver: no leader")])).await;
        let client = Client::new(config(&[fake.address])).unwrap();
        let refused = async || client.until(soon()).call(&methods::RANGE, get()).await.unwrap_err().to_string();
        assert_eq!(refused().await, "rpc error: code = InvalidArgument desc = odd");
        assert_eq!(refused().await, "etcdserver: no leader");
    });
}

#[test]
fn a_write_waits_for_a_server_that_comes_up() {
    run(async {
        let address = dead().await;
        let client = Client::new(config(&[address])).unwrap();
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Fake::start_at(address, Script::default()).await
        };
        let client = client.until(soon());
        let (written, fake) = tokio::join!(client.call(&methods::PUT, put()), later);
        written.unwrap();
        assert_eq!(fake.seen(|script| script.calls.len()), 1);
    });
}

#[test]
fn the_deadline_ends_a_call_that_finds_nobody() {
    run(async {
        let client = Client::new(config(&[dead().await])).unwrap();
        let begun = Instant::now();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(200);
        let error = client.until(Some(deadline)).call(&methods::RANGE, get()).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(error.to_string(), "context deadline exceeded");
        assert!(error.rpc_text().contains("connect: connection refused"), "{}", error.rpc_text());
    });
}

#[test]
fn sizes_and_metadata() {
    run(async {
        let fake = Fake::start(Script::default()).await;
        let client = Client::new(Config { max_send_bytes: 10, ..config(&[fake.address]) }).unwrap();
        let client = client.with_metadata("hasleader", "true").until(soon());
        let large = PutRequest { value: vec![0; 100].into(), ..put() };
        let error = client.call(&methods::PUT, large).await.unwrap_err();
        assert!(error.to_string().ends_with("trying to send message larger than max (105 vs. 10)"), "{error}");
        client.call(&methods::PUT, put()).await.unwrap();
        assert_eq!(fake.seen(|script| script.metadata.clone()), ["true"]);
    });
}

fn events(revisions: &[i64]) -> Result<WatchResponse, Status> {
    let event =
        |at: &i64| Event { kv: Some(KeyValue { mod_revision: *at, ..KeyValue::default() }), ..Event::default() };
    Ok(WatchResponse {
        header: Some(ResponseHeader { revision: 9, ..ResponseHeader::default() }),
        events: revisions.iter().map(event).collect(),
        ..WatchResponse::default()
    })
}

#[test]
fn a_watch_goes_on_where_its_stream_broke() {
    run(async {
        let script = Script {
            watches: [
                vec![events(&[5, 6]), Err(Status::unavailable("etcdserver: server stopped"))],
                vec![],
                vec![events(&[7]), Err(Status::permission_denied("etcdserver: permission denied"))],
            ]
            .into(),
            ..Script::default()
        };
        let fake = Fake::start(script).await;
        let client = Client::new(config(&[fake.address])).unwrap();
        let mut watch = client.watch(WatchCreateRequest { key: "k".into(), ..WatchCreateRequest::default() });
        assert_eq!(watch.next().await.unwrap().unwrap().events.len(), 2);
        assert_eq!(watch.next().await.unwrap().unwrap().events.len(), 1);
        let error = watch.next().await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        assert!(watch.next().await.is_none());
        assert_eq!(fake.seen(|script| script.created.clone()), [0, 7, 7]);
    });
}

#[test]
fn a_watch_survives_the_loss_of_its_server() {
    run(async {
        let fake = Fake::start(Script { watches: [].into(), ..Script::default() }).await;
        let address = fake.address;
        let client = Client::new(config(&[address])).unwrap();
        let mut watch = client.watch(WatchCreateRequest::default());
        let waiting = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
        assert!(waiting.is_err(), "nothing happens yet");
        fake.stop().await;
        let again = Script { watches: [vec![events(&[5])]].into(), ..Script::default() };
        let fake = Fake::start_at(address, again).await;
        assert_eq!(watch.next().await.unwrap().unwrap().events.len(), 1);
        assert_eq!(fake.seen(|script| script.created[0]), 5, "the creation had answered with revision 4");
    });
}

#[test]
fn renewals_end_with_the_lease() {
    run(async {
        let fake = Fake::start(Script { ttls: [1, 1, 0, 5, 0].into(), ..Script::default() }).await;
        let client = Client::new(config(&[fake.address])).unwrap();
        let mut renewals = client.keep_alive(7);
        let begun = Instant::now();
        assert_eq!(renewals.next().await.unwrap().unwrap().ttl, 1);
        assert_eq!(renewals.next().await.unwrap().unwrap().id, 7);
        assert!(begun.elapsed() >= Duration::from_millis(330), "every third of the TTL");
        assert!(renewals.next().await.unwrap().is_none());
        assert_eq!(keep_alive_once(&client, 7).await.unwrap().ttl, 5);
        let error = keep_alive_once(&client, 7).await.unwrap_err();
        assert_eq!(error.to_string(), "etcdserver: requested lease not found");
    });
}

#[test]
fn lists_that_cannot_work_are_refused_at_once() {
    let refused = |endpoints: &[&str]| {
        let endpoints = endpoints.iter().map(ToString::to_string).collect();
        Client::new(Config { endpoints, ..Config::default() }).err().unwrap()
    };
    assert_eq!(refused(&[]), Error::NoEndpoints);
    assert!(refused(&["http://a:1", "https://b:1"]).to_string().contains("https://b:1"));
}
