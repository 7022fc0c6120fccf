//! The programs themselves, where no server is needed: refusals, exit codes, and on which stream they speak.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::process::{Command, Output};

fn etcdctl(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etcdctl"));
    command.env_clear().args(args).envs(env.iter().copied()).output().unwrap()
}

fn etcdutl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etcdutl")).args(args).output().unwrap()
}

fn seen(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_goes_to_stdout_and_refusals_to_stderr() {
    let (code, out, err) = seen(&etcdctl(&["get", "--help"], &[]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with(
        "Reads a key, or all keys of a range\n\nUsage:\n  etcdctl get [options] <key> [range_end] [flags]\n"
    ));
    assert!(
        out.ends_with("Use \"etcdctl options\" for a list of global command-line options (applies to all commands).\n")
    );
    let (code, out, err) = seen(&etcdctl(&["get", "k", "--nope"], &[]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("Error: unknown flag: --nope\nUsage:\n"), "{err}");
    assert_eq!(
        seen(&etcdctl(&["gte"], &[])),
        (
            Some(1),
            String::new(),
            "Error: unknown command \"gte\" for \"etcdctl\"\n\nDid you mean this?\n\tget\n\nRun 'etcdctl --help' for \
             usage.\n"
                .into()
        )
    );
}

#[test]
fn what_belongs_to_a_later_release_is_refused_by_name() {
    for args in [&["auth", "enable"][..], &["user", "add", "u"], &["completion", "bash"]] {
        let (code, out, err) = seen(&etcdctl(args, &[]));
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains(args[0]) && err.ends_with("is not in this release\n"), "{err}");
    }
    let flags = ["--cert=c", "--user=u:p", "--insecure-transport=false", "--discovery-srv=d", "--auth-jwt-token=t"];
    for flag in flags {
        let (code, _, err) = seen(&etcdctl(&[flag, "get", "k"], &[]));
        let name = flag.split('=').next().unwrap();
        assert!(code == Some(128) && err.contains(name) && err.contains("not in this release"), "{err}");
    }
    let (code, _, err) = seen(&etcdctl(&["get", "k"], &[("ETCDCTL_USER", "root:pw")]));
    assert!(code == Some(128) && err.contains("--user"), "{err}");
    let (code, _, err) = seen(&etcdctl(&["--endpoints=https://127.0.0.1:1", "get", "k"], &[]));
    assert!(code == Some(2) && err.contains("https://127.0.0.1:1"), "{err}");
}

#[test]
fn a_flag_and_its_variable_together_are_fatal() {
    let (code, out, err) = seen(&etcdctl(&["-w", "json", "get", "k"], &[("ETCDCTL_WRITE_OUT", "simple")]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("{\"level\":\"fatal\",") && err.contains("\"environment-variable\":\"ETCDCTL_WRITE_OUT\""));
}

#[test]
fn a_server_that_is_not_there() {
    let (code, out, err) = seen(&etcdctl(&["--endpoints=127.0.0.1:1", "--command-timeout=100ms", "get", "k"], &[]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert!(
        lines[0].contains("\"msg\":\"retrying of unary invoker failed\"") && lines[0].contains("KV/Range"),
        "{err}"
    );
    assert_eq!(lines[1], "Error: context deadline exceeded");
}

#[test]
fn etcdutl_says_it_twice_and_refuses_what_is_no_database() {
    let (code, out, err) = seen(&etcdutl(&["defrag"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let text = "Error: required flag(s) \"data-dir\" not set\n";
    assert!(err.starts_with(text) && err.ends_with(text), "{err}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("garbage.db");
    std::fs::write(&file, b"not a database").unwrap();
    let (code, _, err) = seen(&etcdutl(&["snapshot", "status", file.to_str().unwrap()]));
    assert_eq!((code, err.as_str()), (Some(1), "Error: invalid database\n"));
    let missing = dir.path().join("none.db");
    let (code, _, err) = seen(&etcdutl(&["snapshot", "status", missing.to_str().unwrap()]));
    assert_eq!((code, err), (Some(1), format!("Error: stat {}: no such file or directory\n", missing.display())));
}

#[test]
fn nobody_reading_ends_quietly_and_a_full_disk_is_told() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_etcdctl"));
    let output = command.env_clear().arg("version").stdout(writer).stderr(std::process::Stdio::piped());
    let output = output.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(seen(&output), (Some(141), String::new(), String::new()));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_etcdctl"));
    let output = command.env_clear().arg("version").stdout(full).stderr(std::process::Stdio::piped());
    let output = output.spawn().unwrap().wait_with_output().unwrap();
    let text = "Error: write /dev/stdout: no space left on device\n";
    assert_eq!(seen(&output), (Some(1), String::new(), text.into()));
}
