//! What is looked at when the server starts.

use std::time::Duration;

use super::*;

#[test]
fn retention_is_hours_revisions_or_a_duration() {
    let read = |mode: &str, text: &str| bootstrap::auto_compaction(mode, text);
    let hours = |n: u64| Ok(AutoCompaction::Periodic(Duration::from_secs(n * 3600)));
    assert_eq!(read("periodic", "1"), hours(1));
    assert_eq!(read("periodic", "72h"), hours(72));
    assert_eq!(read("periodic", "30m"), Ok(AutoCompaction::Periodic(Duration::from_secs(1800))));
    assert_eq!(read("revision", "1000"), Ok(AutoCompaction::Revision(1000)));
    assert_eq!(read("revision", "5us"), Ok(AutoCompaction::Revision(5000)), "nanoseconds");
    for off in ["0", "", "0s", "-1h"] {
        assert_eq!(read("periodic", off), Ok(AutoCompaction::Off), "{off:?}");
    }
    let error = |text| read("periodic", text).unwrap_err();
    assert_eq!(error("abc"), "error parsing CompactionRetention: time: invalid duration \"abc\"");
    assert_eq!(error("-1"), "error parsing CompactionRetention: time: missing unit in duration \"-1\"");
}

#[test]
fn what_only_a_start_looks_at() {
    let error = |words: &[&str]| check_start(&config(words)).unwrap_err().0;
    let client = ["--listen-client-urls=http://127.0.0.1:1", "--advertise-client-urls=http://127.0.0.1:1"];
    let client = |more| [&client[..], &[more]].concat();
    for (words, text) in [
        (&["--auth-token=bogus"][..], "auth: invalid auth options"),
        (&["--auth-token=jwt"], "auth: invalid auth options"),
        (&["--auth-token=jwt,pub-key=x"], "--auth-token is not supported by this build yet: authentication"),
        (&["--cipher-suites=bogus"], "unexpected TLS cipher suite \"bogus\""),
        (&["--cipher-suites=TLS_AES_128_GCM_SHA256"], "--cipher-suites is not supported by this build yet: TLS"),
        (&["--auto-compaction-retention=abc"], "error parsing CompactionRetention: time: invalid duration \"abc\""),
        (
            &["--listen-peer-urls=https://127.0.0.1:1"],
            "cannot listen on TLS for 127.0.0.1:1: KeyFile and CertFile are not presented",
        ),
        (
            &["--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://127.0.0.1:1"],
            "TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme",
        ),
        (
            &client("--listen-client-http-urls=http://127.0.0.1:1"),
            "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url http://127.0.0.1:1",
        ),
        (
            &client("--listen-client-http-urls=http://127.0.0.1:2"),
            "--listen-client-http-urls is not supported by this build yet: separate HTTP listeners",
        ),
    ] {
        assert_eq!(error(words), text);
    }
    assert_eq!(check_start(&config(&["--auth-token=simple,x=y"])), Ok(()));
}
