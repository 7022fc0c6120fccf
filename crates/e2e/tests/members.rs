//! The programs of this workspace on real sockets and disks, in short forms of what `.ci/run` does at length. What needs a program
//! that is not on this machine is left out, and says so.

use std::path::PathBuf;
use std::process::{Command, Stdio};
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

/// Says on the terminal, past the capture of test output, that something was not tested.
fn left_out(what: &str) {
    let line = format!("LEFT OUT: {what}\n");
    // Where there is no terminal, the line goes to the captured output.
    if std::fs::write("/dev/tty", &line).is_err() {
        eprint!("{line}");
    }
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

/// The recorded command lines, replayed by their own runner.
#[test]
fn recorded_command_lines_replay() {
    if !Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return left_out("the recorded command lines need python3");
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut runner = Command::new("python3");
    runner.arg(root.join("e2e/transcripts/run")).arg("-q");
    for name in ["etcd", "etcdctl", "etcdutl"] {
        runner.arg(format!("--{name}")).arg(programs().join(name));
    }
    let output = runner.output().expect("the runner starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", &text[text.len().saturating_sub(6000)..]);
}
