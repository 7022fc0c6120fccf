//! A seeded, bounded run of the fuzz targets: entries, buckets and JSON, such as releases write and with bytes changed.
//! `QUORATE_FUZZ_ITERS` makes it longer; the case that fails is kept.
#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

#[path = "common/generate.rs"]
mod generate;
#[path = "common/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mvcc::{Bucket, MetaKey, Revision};
use prost::Message;
use proto::etcdserverpb as pb;
use proto::{authpb, leasepb, mvccpb};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use state::Result;

fn run(name: &str, iters: u64, make: impl Fn(&mut SmallRng) -> Vec<u8>, target: fn(&[u8]) -> Result<()>) {
    let iters = std::env::var("QUORATE_FUZZ_ITERS").map_or(iters, |iters| iters.parse().unwrap());
    let (mut refused, mut served) = (0, 0);
    for seed in 0..iters {
        let bytes = make(&mut SmallRng::seed_from_u64(seed));
        match catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            Ok(Ok(())) => served += 1,
            Ok(Err(_)) => refused += 1,
            Err(panic) => {
                let case = std::env::temp_dir().join(format!("fuzz-state-{name}-{seed}"));
                std::fs::write(&case, &bytes).unwrap();
                eprintln!("{name}: seed {seed} fails; the case is in {}", case.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{name}: {refused} refused, {served} served");
    assert!(refused > 0 && served > 0);
}

/// Trees that no release writes, at which the rest may stumble.
const SMALL_TREES: [&str; 6] = [
    r#"{"Root":{"Children":{"0":{"Value":"v"},"1":{"Value":"v"}}},"CurrentIndex":3}"#,
    r#"{"Root":{"Children":{"1":{"Children":{"a":{"Children":{"b":{"Value":"v"}}},"a":{"Value":"w"}}}}}}"#,
    r#"{"Root":{"Children":{"1":{"ExpireTime":"2020-01-01T00:00:00Z","Children":{"a":{"Value":"v"}}}}}}"#,
    r#"{"Root":{"Children":{"0":{"Children":{"members":{"Value":"v"},"version":{"Children":{}}}}}}}"#,
    r#"{"Root":{"Children":{}},"CurrentIndex":18446744073709551615}"#,
    r#"{"Root":{"Children":{}},"CurrentIndex":18446744073709551614,"Stats":{"setsSuccess":18446744073709551615}}"#,
];

/// Changes bytes the way decoders dislike.
fn mutate(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + rng.random_range(1..20)).min(bytes.len()))),
            4 => {
                let copy = bytes[at..(at + rng.random_range(1..60)).min(bytes.len())].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => bytes[at] = rng.random(),
        }
    }
}

fn fixture(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/v2/tests/fixtures");
    std::fs::read_to_string(dir.join(name)).unwrap()
}

/// Type and data of the entries that etcd wrote.
fn real_entries() -> Vec<(u8, Vec<u8>)> {
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let texts = ["etcd-3.4.23.entries", "etcd-3.5.1.entries"].map(fixture);
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .map(|line| {
            let mut fields = line.split(' ').skip(1);
            (fields.next().unwrap().parse().unwrap(), unhex(fields.next().unwrap()))
        })
        .collect()
}

fn odd_entry(real: &[(u8, Vec<u8>)], rng: &mut SmallRng) -> (u8, Vec<u8>) {
    match rng.random_range(0..20) {
        0 => real[rng.random_range(0..real.len())].clone(),
        1..3 => (1, generate::conf_change(rng).encode_to_vec()),
        3..5 => (0, generate::v2(rng).encode_to_vec()),
        // A v2 request as a field of the request of v3, as 3.4 and 3.5 can carry it.
        5 => {
            let v2 = generate::v2(rng).encode_to_vec();
            let mut data = vec![0x12];
            prost::encoding::encode_varint(v2.len() as u64, &mut data);
            data.extend(v2);
            (0, data)
        }
        6 => (0, Vec::new()),
        _ => (0, generate::request(rng).encode_to_vec()),
    }
}

/// A log, in whose last entries bytes are changed: what cannot be read ends it.
fn odd_log(real: &[(u8, Vec<u8>)], rng: &mut SmallRng) -> Vec<u8> {
    let mut out = vec![rng.random()];
    let len = rng.random_range(1..40);
    for at in 0..len {
        let (mut entry_type, mut data) = odd_entry(real, rng);
        if at + 4 > len {
            if rng.random_ratio(1, 4) {
                mutate(&mut data, rng);
            }
            if rng.random_ratio(1, 20) {
                entry_type = rng.random_range(0..5);
            }
            if rng.random_ratio(1, 40) {
                data = generate::chain(rng.random_range(0..600)).encode_to_vec();
            }
        }
        targets::encode_entry(entry_type, &data, &mut out);
    }
    out
}

/// What the buckets of a small cluster hold, each value whole or with bytes changed, and a v2 snapshot.
fn odd_buckets(json: &[String], rng: &mut SmallRng) -> Vec<u8> {
    let mut out = vec![rng.random_range(0..2)];
    let user = |name: &str| authpb::User {
        name: name.as_bytes().to_vec().into(),
        password: "p".into(),
        roles: vec!["r".into(), "root".into()],
        options: None,
    };
    let perm = |key: &'static str, end: &'static str| authpb::Permission {
        perm_type: 2,
        key: key.into(),
        range_end: end.into(),
    };
    let role = authpb::Role { name: "r".into(), key_permission: vec![perm("a", "z"), perm("b", ""), perm("c", "\0")] };
    let lease = leasepb::Lease { id: 3, ttl: 10, remaining_ttl: 2 };
    let kv = mvccpb::KeyValue {
        key: "k".into(),
        create_revision: 2,
        mod_revision: 2,
        version: 1,
        value: "v".into(),
        lease: 3,
    };
    let alarm = pb::AlarmMember { member_id: 1, alarm: 1 };
    let member = br#"{"id":1,"peerURLs":["http://h:1"],"name":"m","clientURLs":["c"]}"#;
    let versions = ["3.7.0", "3.6.0", "3.5.0", "3.4", "3.99.0", "x"];
    let version = versions[rng.random_range(0..versions.len())].as_bytes().to_vec();
    let storage = versions[rng.random_range(0..versions.len())].as_bytes().to_vec();
    let revision = if rng.random_ratio(1, 10) { u64::MAX } else { 4 };
    let pairs: Vec<(Bucket, Vec<u8>, Vec<u8>)> = vec![
        (Bucket::Alarm, alarm.encode_to_vec(), Vec::new()),
        (Bucket::Auth, b"authEnabled".to_vec(), vec![rng.random_range(0..3)]),
        (Bucket::Auth, b"authRevision".to_vec(), revision.to_be_bytes().to_vec()),
        (Bucket::AuthRoles, b"r".to_vec(), role.encode_to_vec()),
        (Bucket::AuthUsers, b"u".to_vec(), user("u").encode_to_vec()),
        (Bucket::AuthUsers, b"root".to_vec(), user("root").encode_to_vec()),
        (Bucket::Cluster, b"clusterVersion".to_vec(), version),
        (Bucket::Cluster, b"downgrade".to_vec(), br#"{"target-version":"3.6.0","enabled":true}"#.to_vec()),
        (Bucket::Key, Revision::first_of(2).to_bytes().to_vec(), kv.encode_to_vec()),
        (Bucket::Lease, 3i64.to_be_bytes().to_vec(), lease.encode_to_vec()),
        (Bucket::Members, b"1".to_vec(), member.to_vec()),
        (Bucket::MembersRemoved, b"8".to_vec(), b"removed".to_vec()),
        (Bucket::Meta, MetaKey::ConsistentIndex.bytes().to_vec(), rng.random_range(1..30u64).to_be_bytes().to_vec()),
        (Bucket::Meta, MetaKey::Term.bytes().to_vec(), 2u64.to_be_bytes().to_vec()),
        (Bucket::Meta, MetaKey::ConfState.bytes().to_vec(), br#"{"voters":[1],"auto_leave":false}"#.to_vec()),
        (Bucket::Meta, MetaKey::StorageVersion.bytes().to_vec(), storage),
    ];
    let wild = rng.random_range(0..6);
    for (bucket, mut key, mut value) in pairs {
        if rng.random_ratio(1, 6) {
            continue;
        }
        if wild > 2 && rng.random_ratio(1, 12) {
            mutate(&mut value, rng);
        }
        if wild > 2 && rng.random_ratio(1, 30) {
            mutate(&mut key, rng);
        }
        targets::encode_pair(bucket, &key, &value, &mut out);
    }
    out.push(255);
    if rng.random() {
        let mut json = json[rng.random_range(0..json.len())].clone().into_bytes();
        if rng.random_ratio(1, 3) {
            mutate(&mut json, rng);
        }
        out.extend(json);
    }
    out
}

#[test]
fn entries() {
    let real = real_entries();
    run("entries", 400, |rng| odd_log(&real, rng), targets::entries);
}

#[test]
fn buckets() {
    let json = ["etcd-3.4.23.json", "etcd-3.5.1.json"].map(fixture);
    run("buckets", 300, |rng| odd_buckets(&json, rng), targets::buckets);
}

#[test]
fn small_trees() {
    for tree in SMALL_TREES {
        // An error or a tree that goes on.
        targets::json(tree.as_bytes()).ok();
    }
}

#[test]
fn json() {
    let mut seeds = ["etcd-3.4.23.json", "etcd-3.5.1.json"].map(fixture).to_vec();
    seeds.push(r#"{"id":18446744073709551615,"peerURLs":["http://h:1"],"isLearner":true,"name":"m","clientURLs":null,"isPromote":true}"#.to_owned());
    seeds.extend(SMALL_TREES.map(str::to_owned));
    let make = |rng: &mut SmallRng| {
        let mut bytes = seeds[rng.random_range(0..seeds.len())].clone().into_bytes();
        mutate(&mut bytes, rng);
        bytes
    };
    run("json", 2000, make, targets::json);
}
