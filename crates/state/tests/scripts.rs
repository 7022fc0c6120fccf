//! The state machine's behaviour as text. Every command runs on two states at once, one with a waiting client and one
//! without, and both must come out alike.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod common;

use common::script::Session;

fn run(name: &str) {
    let mut session = Session::new();
    let path = format!("{}/tests/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    testkit::datadriven::run(path, |case| session.execute(case));
}

#[test]
fn kv() {
    run("kv.txt");
}

#[test]
fn txn() {
    run("txn.txt");
}

#[test]
fn lease() {
    run("lease.txt");
}

#[test]
fn alarm() {
    run("alarm.txt");
}

#[test]
fn auth() {
    run("auth.txt");
}

#[test]
fn members() {
    run("members.txt");
}
