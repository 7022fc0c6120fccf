//! The programs of this workspace on real sockets and disks, in short forms of what `.ci/run` does at length. What needs a program
//! that is not on this machine is left out, and says so.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where the programs lie, built if they are not yet.
fn programs() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let built = Command::new(cargo).args(["build", "--package", "server", "--package", "ctl", "--bins"]).status();
        assert!(built.expect("cargo runs").success(), "the programs can be built");
        let test = std::env::current_exe().expect("a test has a path");
        test.ancestors().nth(2).expect("tests lie in target/debug/deps").to_owned()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn acknowledged_writes_survive_kills() {
    let outcome = runtime().block_on(e2e::crash::run(&programs().join("etcd"), 4, 1, 23_100));
    println!("{}", outcome.expect("every promise is kept"));
}

#[test]
fn bad_input_is_refused_and_loses_nothing() {
    let outcome = runtime().block_on(e2e::hostile::run(&programs().join("etcd"), 12, 23_200));
    assert!(outcome.expect("every case passes") >= 12);
}

#[test]
fn recorded_command_lines_replay() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../e2e/transcripts");
    let [etcd, etcdctl, etcdutl] = ["etcd", "etcdctl", "etcdutl"].map(|name| programs().join(name));
    let programs = testkit::transcripts::Programs { etcd, etcdctl, etcdutl };
    let report = testkit::transcripts::replay(&folder, &programs, 23_400).expect("the scenarios can be read");
    assert!(report.wrong.is_empty(), "{}", report.wrong.join("\n"));
    assert!(report.same > 700, "only {} steps were compared", report.same);
}
