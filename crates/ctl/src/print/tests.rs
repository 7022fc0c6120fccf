//! Golden pages of every form.

use bytes::Bytes;
use proto::etcdserverpb as pb;
use proto::mvccpb::{Event, KeyValue};

use super::{Answer, Format, Health, Printer};

fn shown(format: Format, answer: &Answer<'_>) -> String {
    with(Printer { format, hex: false, values_only: false }, answer)
}

fn hex(format: Format, answer: &Answer<'_>) -> String {
    with(Printer { format, hex: true, values_only: false }, answer)
}

fn with(printer: Printer, answer: &Answer<'_>) -> String {
    printer.render(answer).map_or("not offered".into(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn header() -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader { cluster_id: 255, member_id: 16, revision: 7, raft_term: 2 })
}

fn pair(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue {
        key: Bytes::from_static(key.as_bytes()),
        value: Bytes::from_static(value.as_bytes()),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        lease: 10,
    }
}

#[test]
fn a_read_in_every_form() {
    let answer = pb::RangeResponse { header: header(), kvs: vec![pair("k\"", "wört\n")], more: true, count: 9 };
    let answer = Answer::Get(&answer);
    assert_eq!(shown(Format::Simple, &answer), "k\"\nwört\n\n");
    assert_eq!(hex(Format::Simple, &answer), "\\x6b\\x22\n\\x77\\xc3\\xb6\\x72\\x74\\x0a\n");
    assert_eq!(
        shown(Format::Json, &answer),
        "{\"header\":{\"cluster_id\":255,\"member_id\":16,\"revision\":7,\"raft_term\":2},\"kvs\":[{\"key\":\"ayI=\",\
         \"create_revision\":2,\"mod_revision\":5,\"version\":3,\"value\":\"d8O2cnQK\",\"lease\":10}],\"more\":true,\
         \"count\":9}\n"
    );
    assert_eq!(
        hex(Format::Fields, &answer),
        "\"ClusterID\" : ff\n\"MemberID\" : 10\n\"Revision\" : 7\n\"RaftTerm\" : 2\n\"Key\" : \"k\\\"\"\n\
         \"CreateRevision\" : 2\n\"ModRevision\" : 5\n\"Version\" : 3\n\"Value\" : \"wört\\n\"\n\
         \"Lease\" : 000000000000000a\n\"More\" : true\n\"Count\" : 9\n"
    );
    assert_eq!(shown(Format::Table, &answer), "not offered");
    let values = Printer { format: Format::Simple, hex: false, values_only: true };
    assert_eq!(with(values, &answer), "wört\n\n");
}

#[test]
fn a_transaction_nests_its_answers() {
    use pb::response_op::Response;
    let put = pb::PutResponse { header: Some(pb::ResponseHeader { revision: 7, ..Default::default() }), prev_kv: None };
    let inner = pb::TxnResponse { header: None, succeeded: false, responses: Vec::new() };
    let responses = [Response::ResponsePut(put), Response::ResponseTxn(inner)]
        .map(|response| pb::ResponseOp { response: Some(response) })
        .into();
    let answer = pb::TxnResponse { header: header(), succeeded: true, responses };
    let answer = Answer::Txn(&answer);
    assert_eq!(shown(Format::Simple, &answer), "SUCCESS\n\nOK\n\nFAILURE\n");
    assert!(shown(Format::Json, &answer).contains(
        "\"succeeded\":true,\"responses\":[{\"Response\":{\"response_put\":{\"header\":{\"revision\":7}}}},\
         {\"Response\":{\"response_txn\":{}}}]"
    ));
}

#[test]
fn events_show_their_type_and_what_was_before() {
    let event = Event {
        event_type: 1,
        kv: Some(KeyValue { key: "k".into(), mod_revision: 6, ..KeyValue::default() }),
        prev_kv: Some(pair("k", "v")),
    };
    let answer = pb::WatchResponse { header: header(), events: vec![event], ..Default::default() };
    let answer = Answer::Watch(&answer);
    assert_eq!(shown(Format::Simple, &answer), "DELETE\nk\nv\nk\n\n");
    assert_eq!(
        shown(Format::Json, &answer),
        "{\"Header\":{\"cluster_id\":255,\"member_id\":16,\"revision\":7,\"raft_term\":2},\"Events\":[{\"type\":1,\
         \"kv\":{\"key\":\"aw==\",\"mod_revision\":6},\"prev_kv\":{\"key\":\"aw==\",\"create_revision\":2,\
         \"mod_revision\":5,\"version\":3,\"value\":\"dg==\",\"lease\":10}}],\"CompactRevision\":0,\"Canceled\":false,\
         \"Created\":false,\"CancelReason\":\"\"}\n"
    );
}

#[test]
fn leases() {
    let answer = pb::LeaseTimeToLiveResponse {
        header: header(),
        id: 0x694d,
        ttl: 9,
        granted_ttl: 60,
        keys: vec!["a".into(), "b".into()],
    };
    let keys = Answer::TimeToLive { answer: &answer, keys: true };
    assert_eq!(
        shown(Format::Simple, &keys),
        "lease 000000000000694d granted with TTL(60s), remaining(9s), attached keys([a b])\n"
    );
    assert!(
        shown(Format::Json, &keys)
            .ends_with("\"id\":26957,\"ttl\":9,\"granted-ttl\":60,\"keys\":[\"YQ==\",\"Yg==\"]}\n")
    );
    let gone = pb::LeaseTimeToLiveResponse { id: 0x1234, ttl: -1, ..Default::default() };
    let gone = Answer::TimeToLive { answer: &gone, keys: true };
    assert_eq!(shown(Format::Simple, &gone), "lease 0000000000001234 already expired\n");
    let none = pb::LeaseLeasesResponse { header: header(), leases: Vec::new() };
    assert!(shown(Format::Json, &Answer::Leases(&none)).ends_with(",\"leases\":[]}\n"));
    let granted = pb::LeaseGrantResponse { header: header(), id: 1, ttl: 2, error: String::new() };
    assert!(shown(Format::Json, &Answer::Grant(&granted)).ends_with(",\"ID\":1,\"TTL\":2,\"Error\":\"\"}\n"));
    assert!(hex(Format::Fields, &Answer::Grant(&granted)).ends_with("\"ID\" : 0000000000000001\n\"TTL\" : 2\n"));
}

#[test]
fn members_in_a_box_and_in_hexadecimal() {
    let member = |id, name: &str, learner| pb::Member {
        id,
        name: name.into(),
        peer_urls: vec!["http://a:1".into(), "http://<b>:1".into()],
        client_urls: Vec::new(),
        is_learner: learner,
    };
    let answer =
        pb::MemberListResponse { header: header(), members: vec![member(0xabc, "m1", false), member(2, "", true)] };
    let answer = Answer::Members(&answer);
    assert_eq!(
        shown(Format::Simple, &answer),
        "abc, started, m1, http://a:1,http://<b>:1, , false\n2, unstarted, , http://a:1,http://<b>:1, , true\n"
    );
    assert_eq!(
        shown(Format::Table, &answer),
        "\
┌─────┬───────────┬──────┬─────────────────────────┬──────────────┬────────────┐
│ ID  │  STATUS   │ NAME │       PEER ADDRS        │ CLIENT ADDRS │ IS LEARNER │
├─────┼───────────┼──────┼─────────────────────────┼──────────────┼────────────┤
│ abc │   started │   m1 │ http://a:1,http://<b>:1 │              │      false │
│   2 │ unstarted │      │ http://a:1,http://<b>:1 │              │       true │
└─────┴───────────┴──────┴─────────────────────────┴──────────────┴────────────┘
"
    );
    let json = hex(Format::Json, &answer);
    assert!(json.starts_with("{\"header\":{\"cluster_id\":\"ff\",\"member_id\":\"10\","), "{json}");
    assert!(json.contains("\"ID\":\"abc\"") && json.contains("\\u003cb\\u003e") && json.contains("\"isLearner\":true"));
}

#[test]
fn healths_statuses_and_hashes() {
    let took = std::time::Duration::from_micros(1500);
    let healths = [
        Health { endpoint: "a:1".into(), took, error: None },
        Health { endpoint: "b:1".into(), took, error: Some("Active Alarm(s): NOSPACE ".into()) },
    ];
    let answer = Answer::Health(&healths);
    assert_eq!(
        shown(Format::Json, &answer),
        "[{\"endpoint\":\"a:1\",\"health\":true,\"took\":\"1.5ms\"},{\"endpoint\":\"b:1\",\"health\":false,\
         \"took\":\"1.5ms\",\"error\":\"Active Alarm(s): NOSPACE \"}]\n"
    );
    assert_eq!(shown(Format::Protobuf, &answer), "not offered");
    let status = pb::StatusResponse {
        header: header(),
        version: "3.7.1".into(),
        db_size: 20480,
        db_size_in_use: 5120,
        leader: 16,
        raft_term: 2,
        ..Default::default()
    };
    let list = [("a:1".to_owned(), status)];
    assert_eq!(
        shown(Format::Simple, &Answer::Status(&list)),
        "a:1, 10, 3.7.1, , 20 kB, 5.1 kB, 75%, 0 B, true, false, 2, 0, 0, , , false\n"
    );
    let hash = pb::HashKvResponse { header: header(), hash: 5, compact_revision: -1, hash_revision: 7 };
    let list = [("a:1".to_owned(), hash)];
    assert!(
        shown(Format::Json, &Answer::HashKv(&list))
            .ends_with("\"hash\":5,\"compact_revision\":-1,\"hash_revision\":7}}]\n")
    );
}

#[test]
fn changes_of_the_membership() {
    let member = |id, name: &str, urls: &[&str], is_learner| pb::Member {
        id,
        name: name.into(),
        peer_urls: urls.iter().map(ToString::to_string).collect(),
        client_urls: Vec::new(),
        is_learner,
    };
    let new = member(0xab, "", &["http://b:1", "http://b:2"], true);
    let members = vec![member(1, "a", &["http://a:1"], false), new.clone()];
    let added = pb::MemberAddResponse { header: header(), member: Some(new), members: members.clone() };
    let answer = Answer::Added { name: "b\"", peer_urls: "http://b:2,http://b:1", answer: &added };
    assert_eq!(
        shown(Format::Simple, &answer),
        "Member               ab added as learner to cluster               ff\n\nETCD_NAME=\"b\\\"\"\n\
         ETCD_INITIAL_CLUSTER=\"a=http://a:1,b\\\"=http://b:1,b\\\"=http://b:2\"\n\
         ETCD_INITIAL_ADVERTISE_PEER_URLS=\"http://b:2,http://b:1\"\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n"
    );
    assert_eq!(
        hex(Format::Json, &answer),
        "{\"header\":{\"cluster_id\":\"ff\",\"member_id\":\"10\",\"revision\":7,\"raft_term\":2},\"member\":{\"ID\":\
         \"ab\",\"peerURLs\":[\"http://b:1\",\"http://b:2\"],\"isLearner\":true},\"members\":[{\"ID\":\"1\",\"name\":\
         \"a\",\"peerURLs\":[\"http://a:1\"]},{\"ID\":\"ab\",\"peerURLs\":[\"http://b:1\",\"http://b:2\"],\
         \"isLearner\":true}]}\n"
    );
    for format in [Format::Fields, Format::Table] {
        assert_eq!(shown(format, &answer), "not offered");
    }
    let removed = pb::MemberRemoveResponse { header: header(), members };
    let line = shown(Format::Simple, &Answer::Removed(0xab, &removed));
    assert_eq!(line, "Member               ab removed from cluster               ff\n");
}

#[test]
fn downgrades() {
    let answer = pb::DowngradeResponse { header: header(), version: "3.7".into() };
    let answer = Answer::Downgrade("enable", &answer);
    assert_eq!(shown(Format::Simple, &answer), "Downgrade enable success, cluster version 3.7\n");
    assert!(shown(Format::Json, &answer).ends_with(",\"version\":\"3.7\"}\n"));
    assert_eq!(shown(Format::Fields, &answer), "not offered");
}
