//! What scripts cannot say.

use proto::etcdserverpb::V2Request;

use crate::members::{Attributes, Member, Membership, RaftAttributes};
use crate::v2::{Code, Listing, Polled, Reply, Tree, Ttl, is_member_or_version_path, membership_json};
use crate::versions::Version;

fn put(path: &str, value: &str) -> V2Request {
    V2Request { method: "PUT".into(), path: path.into(), val: value.into(), ..V2Request::default() }
}

fn member(id: u64, name: &str) -> Member {
    let urls = |port: u16| vec![format!("http://127.0.0.1:{port}")];
    let client_urls = if name.is_empty() { Vec::new() } else { urls(2379) };
    Member { id, name: name.into(), peer_urls: urls(2380), client_urls, is_learner: id == 3 }
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap()
}

#[test]
fn members_tell_their_names_and_the_version_through_requests() {
    let mut tree = Tree::new();
    tree.add_member(0xab, &member(0xab, "").raft_attributes()).unwrap();
    let path = "/0/members/ab/attributes";
    let told = put(path, r#"{"name":"n","clientURLs":["http://c:1"],"other":1}"#);
    let attributes = Attributes { name: "n".into(), client_urls: vec!["http://c:1".into()] };
    assert_eq!(tree.apply(&told), Ok(Reply::MemberAttributes { id: 0xab, attributes }));
    assert_eq!(tree.view().value(path), Some(r#"{"name":"n","clientURLs":["http://c:1"]}"#));
    assert_eq!(tree.apply(&put("/0/version", "3.4.0")), Ok(Reply::ClusterVersion(Version::V3_4)));
    assert_eq!(tree.view().cluster_version(), Ok(Some(Version::V3_4)));
    let index = tree.view().index();
    for ignored in [put(path, "no json"), put("/0/members/cd/attributes", "{}"), put("/0/version", "x")] {
        assert_eq!(tree.apply(&ignored), Ok(Reply::Ignored));
    }
    assert_eq!((tree.view().index(), index), (3, 3));
    assert!(is_member_or_version_path(path) && is_member_or_version_path("/0/version"));
    assert!(!is_member_or_version_path("/1/version") && !is_member_or_version_path("/0/members/xy/attributes"));
    let unknown = V2Request { method: "PATCH".into(), ..V2Request::default() };
    assert_eq!(tree.apply(&unknown), Ok(Reply::UnknownMethod));
}

#[test]
fn membership_comes_back() {
    let membership = Membership::new([member(1, "a"), member(2, ""), member(3, "c")], [7, 8]);
    let json = membership_json(&membership, Some(Version::V3_6));
    let tree = Tree::from_json(&json).unwrap();
    assert_eq!(tree.view().membership().unwrap(), membership);
    assert_eq!(tree.view().cluster_version().unwrap(), Some(Version::V3_6));
    let json = text(json);
    // The form that 3.6 and 3.7 write: no history, no user keys.
    assert!(
        json.contains(
            r#""Size":0,"Front":0,"Back":0,"Capacity":1000},"StartIndex":0,"LastIndex":0}},"CurrentIndex":9,"#
        )
    );
    assert!(json.contains(
        r#""/1","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{}}"#
    ));
    assert_eq!(text(tree.to_json()), json);
}

#[test]
fn conf_changes_change_the_tree() {
    let mut tree = Tree::new();
    for id in [1, 2, 3] {
        tree.add_member(id, &member(id, "").raft_attributes()).unwrap();
    }
    assert!(tree.set_member_attributes(1, &member(1, "a").attributes()));
    let moved = RaftAttributes { peer_urls: vec!["http://b:2".into()], is_learner: false };
    tree.update_member(3, &moved).unwrap();
    tree.remove_member(2).unwrap();
    // One for each addition, telling and update, two for a removal.
    assert_eq!(tree.view().index(), 7);
    let membership = tree.view().membership().unwrap();
    let promoted = Member { peer_urls: moved.peer_urls.clone(), is_learner: false, ..member(3, "") };
    assert_eq!(membership, Membership::new([member(1, "a"), promoted], [2]));
    assert!(!tree.set_member_attributes(2, &Attributes::default()));
    assert!(tree.remove_member(2).is_err() && tree.update_member(9, &moved).is_err());
}

#[test]
fn what_clients_have_in_the_tree_stays_beside_a_new_membership() {
    let membership = Membership::new([member(1, "a")], [7]);
    let mut tree = Tree::new();
    tree.add_member(2, &member(2, "").raft_attributes()).unwrap();
    let minimal = membership_json(&membership, Some(Version::V3_6));
    assert_eq!(tree.view().to_json_for(&membership, Some(Version::V3_6)), minimal);
    tree.set("/2/enabled", false, "true", Ttl::PERMANENT).unwrap();
    tree.set("/1/k", false, "v", Ttl { expires: Some(4_000_000_000_000_000_000), refresh: false }).unwrap();
    let json = tree.view().to_json_for(&membership, Some(Version::V3_6));
    let read = Tree::from_json(&json).unwrap();
    assert_eq!(read.view().membership().unwrap(), membership);
    assert_eq!((read.view().value("/2/enabled"), read.view().value("/1/k")), (Some("true"), Some("v")));
    assert!(read.has_ttl_keys());
    // In agreement already, nothing is touched.
    assert_eq!(read.view().to_json_for(&membership, Some(Version::V3_6)), json);
}

#[test]
fn broken_membership_is_told_by_its_path() {
    for (path, value) in [
        ("/0/members/xyz/raftAttributes", "{}"),
        ("/0/members/1/attributes", "{}"),
        ("/0/members/1/raftAttributes", "x"),
        ("/0/removed_members/none", ""),
    ] {
        let mut tree = Tree::new();
        tree.set(path, false, value, Ttl::PERMANENT).unwrap();
        let error = tree.view().membership().unwrap_err();
        assert!(path.starts_with(error.path.trim_end_matches("/raftAttributes")), "{error}");
    }
    let mut tree = Tree::new();
    tree.set("/0/version", false, "four", Ttl::PERMANENT).unwrap();
    assert_eq!(tree.view().cluster_version().unwrap_err().to_string(), "/0/version: no version: \"four\"");
}

#[test]
fn history_keeps_a_thousand_events() {
    let mut tree = Tree::new();
    for i in 1..=1500 {
        tree.set("/1/a", false, &i.to_string(), Ttl::PERMANENT).unwrap();
    }
    let refused = tree.watch("/1/a", false, false, 500).unwrap_err();
    assert_eq!(
        (refused.code, refused.cause.as_str()),
        (Code::EventIndexCleared, "the requested history has been cleared [501/500]")
    );
    for mut tree in [Tree::from_json(&tree.to_json()).unwrap(), tree] {
        let found = tree.watch("/1/a", false, false, 501).unwrap();
        let Polled::Event(event) = tree.poll_watch(found.id) else { panic!("the event is in the history") };
        assert_eq!(event.index(), 501);
        assert!(
            text(tree.to_json())
                .contains(r#""Size":1000,"Front":500,"Back":500,"Capacity":1000},"StartIndex":501,"LastIndex":1500"#)
        );
    }
}

#[test]
fn a_stream_with_a_hundred_events_waiting_is_dropped() {
    let mut tree = Tree::new();
    let watching = tree.watch("/1", true, true, 0).unwrap();
    for i in 0..150 {
        tree.set("/1/a", false, &i.to_string(), Ttl::PERMANENT).unwrap();
    }
    assert_eq!(tree.take_ready_watches(), [watching.id]);
    for i in 1..=100 {
        assert!(matches!(tree.poll_watch(watching.id), Polled::Event(e) if e.index() == i));
    }
    assert_eq!(tree.poll_watch(watching.id), Polled::Ended);
    assert!(text(tree.view().stats_json()).contains("\"watchers\":0"));
}

#[test]
fn a_view_is_not_touched_by_later_changes() {
    let mut tree = Tree::new();
    tree.set("/1/a/b", false, "1", Ttl::PERMANENT).unwrap();
    let view = tree.view().clone();
    let json = view.to_json();
    tree.set("/1/a/b", false, "2", Ttl::PERMANENT).unwrap();
    assert_eq!((view.value("/1/a/b"), view.to_json()), (Some("1"), json));
}

#[test]
fn depth_is_no_danger() {
    let mut tree = Tree::new();
    let path = format!("/1{}", "/a".repeat(3000));
    tree.set(&path, false, "x", Ttl::PERMANENT).unwrap();
    let read = Tree::from_json(&tree.to_json()).unwrap();
    assert_eq!(read.view().value(&path), Some("x"));
    let listing = Listing { recursive: true };
    assert!(read.view().get("/1", listing, 0).unwrap().to_json("/1", None).len() > 3000);
    drop(tree);
    let deep = format!("{}{}", r#"{"Root":{"Children":{"a":"#.repeat(100_000), "{}");
    assert!(Tree::from_json(deep.as_bytes()).is_err());
}

#[test]
fn malformed_json_is_refused() {
    for bad in [
        "",
        "null",
        "[]",
        "{",
        r#"{"Root":null}"#,
        r#"{"Root":{"Children":null}}"#,
        r#"{"Root":{"Children":{"":{}}}}"#,
        r#"{"Root":{"Children":{"a/b":{}}}}"#,
        r#"{"Root":{"Children":{"a":{"ExpireTime":"tomorrow"}}}}"#,
        r#"{"Root":{"Children":{"a":{"CreatedIndex":-1}}}}"#,
        r#"{"WatcherHub":{"EventHistory":{"Queue":{"Events":[{"action":"sing"}]}}}}"#,
        r#"{"CurrentIndex":1} x"#,
    ] {
        assert!(Tree::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
    // Strange, but harmless.
    for odd in [
        r#"{"WatcherHub":{"EventHistory":{"Queue":{"Events":[null],"Size":9,"Front":7,"Back":3}}}}"#,
        "{}",
        r#"{"CurrentIndex":18446744073709551615}"#,
    ] {
        let mut tree = Tree::from_json(odd.as_bytes()).unwrap();
        tree.set("/1/a", false, "x", Ttl::PERMANENT).unwrap();
        Tree::from_json(&tree.to_json()).unwrap();
    }
}

/// A SYNC of exactly the end takes the node, one of a moment before does not, and what ends first goes first.
#[test]
fn what_ends_at_the_moment_of_a_sync_goes() {
    const END: i64 = 4_000_000_000_000_000_000;
    let mut tree = Tree::new();
    for (path, expires) in [("/1/later", END + 1), ("/1/b", END), ("/1/a", END), ("/1/first", END - 5)] {
        tree.set(path, false, "v", Ttl { expires: Some(expires), refresh: false }).unwrap();
    }
    let mut sync = |time| {
        let request = V2Request { method: "SYNC".into(), time, ..V2Request::default() };
        let Ok(Reply::Expired(events)) = tree.apply(&request) else { panic!("a list of what has ended") };
        events.iter().map(|event| event.node.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(sync(END - 1), ["/1/first"]);
    assert_eq!(sync(END), ["/1/a", "/1/b"]);
    assert_eq!(sync(END), Vec::<String>::new());
    assert_eq!(sync(END + 1), ["/1/later"]);
}
