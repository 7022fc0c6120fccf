//! Random requests: the JSON of every tree reads back as the same tree, and the tree is sound.

use proto::etcdserverpb::V2Request;
use rand::prelude::*;

use crate::v2::node::Content;
use crate::v2::path::Key;
use crate::v2::{Reply, Tree};

fn seeds() -> u64 {
    std::env::var("QUORATE_SEEDS").map_or(20, |seeds| seeds.parse().expect("QUORATE_SEEDS is a number"))
}

#[test]
fn trees_survive_their_json() {
    for seed in 0..seeds() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut tree = Tree::new();
        for step in 0..400 {
            let refused = tree.apply(&request(&mut rng, step)).is_err();
            // A refusal leaves no trace but in the counters; it is told with the index as it is.
            if refused {
                assert_eq!(tree.view().index(), tree.view().history.last_index);
            }
            check(&tree);
        }
        let json = tree.to_json();
        let mut read = Tree::from_json(&json).unwrap();
        assert_eq!(String::from_utf8(read.to_json()).unwrap(), String::from_utf8(json).unwrap(), "seed {seed}");
        assert_eq!(read.view.nodes, tree.view.nodes);
        assert_eq!(read.expiries, tree.expiries);
        // Both go on alike.
        read.set_clock(tree.clock());
        for step in 400..500 {
            let request = request(&mut rng, step);
            assert_eq!(read.apply(&request), tree.apply(&request), "seed {seed}");
        }
    }
}

fn check(tree: &Tree) {
    for (key, node) in &tree.view.nodes {
        let parents = key.prefixes().filter(|p| *p != key.as_str());
        for parent in parents {
            assert!(tree.view.nodes.get(parent).is_some_and(|p| p.is_directory()), "{key:?} has no parent");
        }
        assert!(node.created <= node.modified && node.modified <= tree.view.index);
        if let Some(end) = node.expires {
            assert!(tree.expiries.contains(&(end, key.clone())));
        }
        assert!(matches!(node.content, Content::Directory) || !tree.view.has_children(key));
    }
    let ends = tree.view.nodes.values().filter(|n| n.expires.is_some()).count();
    assert_eq!(ends, tree.expiries.len());
    assert!(tree.view.nodes.contains_key(Key::root().as_str()));
}

fn request(rng: &mut SmallRng, step: i64) -> V2Request {
    const SECOND: i64 = 1_000_000_000;
    let now = 1_800_000_000 * SECOND + step * SECOND;
    let names = ["a", "b", "_h", "é", "x\u{0}y", "\u{1}", "<q\">"];
    let mut path = ["/1", "/1", "/1", "/2", "/0", ""].choose(rng).unwrap().to_string();
    for _ in 0..rng.random_range(0..4) {
        path = format!("{path}/{}", names.choose(rng).unwrap());
    }
    let method = *["PUT", "PUT", "PUT", "POST", "DELETE", "DELETE", "QGET", "SYNC"].choose(rng).unwrap();
    V2Request {
        id: 1,
        method: method.into(),
        path,
        val: ["", "1", "2", "\u{2028}\n"].choose(rng).unwrap().to_string(),
        dir: rng.random_bool(0.3),
        prev_value: if rng.random_bool(0.2) { "1".into() } else { String::new() },
        prev_index: if rng.random_bool(0.1) { rng.random_range(0..step as u64 + 1) } else { 0 },
        prev_exist: *[None, None, Some(true), Some(false)].choose(rng).unwrap(),
        expiration: if rng.random_bool(0.3) { now + rng.random_range(-5..50) * SECOND } else { 0 },
        recursive: rng.random_bool(0.3),
        time: now,
        refresh: *[None, None, Some(true), Some(false)].choose(rng).unwrap(),
        ..V2Request::default()
    }
}

#[test]
fn bytes_of_any_kind_are_refused_or_read() {
    let fixture = include_bytes!("fixtures/etcd-3.5.1.json");
    for seed in 0..seeds() * 20 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut bytes = fixture.to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes.truncate(at.max(1)),
                _ => drop(bytes.drain(at..(at + rng.random_range(1..40)).min(bytes.len()))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Ok(mut tree) = Tree::from_json(&bytes) {
            let sync = V2Request { method: "SYNC".into(), time: i64::MAX, ..V2Request::default() };
            assert!(matches!(tree.apply(&sync), Ok(Reply::Expired(_))));
            Tree::from_json(&tree.to_json()).unwrap();
        }
    }
}
