//! Snapshots and logs of real members (`fixtures/`), which had a `--snapshot-count` of 10 and were sent what the scripts
//! send: the JSON comes back to the byte, and replaying the log yields the same.
//!
//! A `.entries` file has index, type and data of each entry of the log.

use proto::etcdserverpb::V2Request;
use proto::raftpb::ConfChange;

use crate::members::ChangeContext;
use crate::v2::{Code, Listing, Tree};
use prost::Message;

/// Version, index of the snapshot.
const FIXTURES: [(&str, u64); 2] = [("3.4.23", 44), ("3.5.1", 33)];

fn read(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/v2/tests/fixtures");
    std::fs::read_to_string(format!("{dir}/{name}")).unwrap()
}

fn json(version: &str) -> String {
    read(&format!("etcd-{version}.json"))
}

#[test]
fn json_comes_back_to_the_byte() {
    for (version, _) in FIXTURES {
        let json = json(version);
        let tree = Tree::from_json(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(tree.to_json()).unwrap(), json, "{version}");
    }
}

#[test]
fn replay_of_the_log_yields_the_snapshot() {
    for (version, index) in FIXTURES {
        let mut tree = Tree::new();
        for line in read(&format!("etcd-{version}.entries")).lines() {
            let mut fields = line.split(' ');
            let mut field = || fields.next().unwrap();
            let (at, kind, data): (u64, i32, &str) = (field().parse().unwrap(), field().parse().unwrap(), field());
            let data = unhex(data);
            match kind {
                _ if at > index => {}
                1 => {
                    let change = ConfChange::decode(&data[..]).unwrap();
                    let member = ChangeContext::from_json(&change.context).unwrap().member;
                    tree.add_member(change.node_id, &member.raft_attributes()).unwrap();
                }
                _ if data.is_empty() => {}
                _ => {
                    // What the client was refused has no effect here either.
                    tree.apply(&V2Request::decode(&data[..]).unwrap()).ok();
                }
            }
        }
        assert_eq!(mask(tree.to_json()), mask(json(version).into_bytes()), "{version}");
    }
}

/// Leaves out what depends on the clock of the member that applied, and its reads.
fn mask(json: Vec<u8>) -> String {
    let text = String::from_utf8(json).unwrap();
    let mut out = String::new();
    let mut rest = &*text;
    while let Some(at) =
        ["\"ttl\":", "Success\":", "getsFail\":"].iter().filter_map(|n| Some(rest.find(n)? + n.len())).min()
    {
        let (head, tail) = rest.split_at(at);
        let is_change = head.ends_with("Success\":") && !head.ends_with("getsSuccess\":");
        let number = if is_change { 0 } else { tail.find([',', '}']).unwrap() };
        out += head;
        rest = &tail[number..];
    }
    (out + rest).replace(",\"ttl\":", "")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn membership_and_keys_are_found() {
    for (version, _) in FIXTURES {
        let tree = Tree::from_json(json(version).as_bytes()).unwrap();
        let view = tree.view();
        let membership = view.membership().unwrap();
        let members: Vec<_> = membership.iter().collect();
        assert_eq!((members.len(), members[0].name.as_str()), (1, "m0"));
        assert!(members[0].peer_urls[0].starts_with("http://127.0.0.1:") && !members[0].is_learner);
        let minor = &version[..4];
        assert_eq!(view.cluster_version().unwrap().unwrap().to_string(), format!("{minor}0"));
        assert_eq!(view.value("/1/a"), Some("2"));
        assert!(tree.has_ttl_keys() && view.has_user_content());
        assert_eq!(view.get("/1/s", Listing::default(), 0).unwrap_err().code, Code::KeyNotFound);
    }
}

#[test]
fn history_goes_on_after_loading() {
    let mut tree = Tree::from_json(json("3.4.23").as_bytes()).unwrap();
    let found = tree.watch("/1/a", false, false, 1).unwrap();
    let crate::v2::Polled::Event(event) = tree.poll_watch(found.id) else { panic!("the event is in the history") };
    assert_eq!(event.index(), 4);
    let index = tree.view().index();
    tree.set("/1/a", false, "later", crate::v2::Ttl::PERMANENT).unwrap();
    assert_eq!(tree.view().index(), index + 1);
    assert!(Tree::from_json(&tree.to_json()).is_ok());
}
