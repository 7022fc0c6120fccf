//! What must hold, and what is refused or warned of.

use super::*;

#[test]
fn addresses_are_checked() {
    let error = |words: &[&str]| verify_error(from(words, &[]));
    assert_eq!(
        error(&["--listen-peer-urls", "http://example.com:1"]),
        "expected IP in URL for binding (http://example.com:1)"
    );
    assert_eq!(
        error(&["--initial-advertise-peer-urls", "http://:1"]),
        "--initial-advertise-peer-urls \"http://:1\" must be \"host:port\" (unexpected empty host (http://:1))"
    );
    assert_eq!(
        error(&["--advertise-client-urls", "http://:1"]),
        "--advertise-client-urls \"http://:1\" must be in the format \"host:port\", \"unix:/path/to/socket\" or \
         \"unixs:/path/to/socket\" (unexpected empty host (http://:1))"
    );
    let Err(Failure::Verify(lines)) = from(&["--listen-client-urls", "http://127.0.0.1:1"], &[]).1 else { panic!() };
    assert_eq!(messages(&lines), ["failed to verify flags", "advertise client URLs are not set"]);
    assert_eq!(lines[0].fields[0].1, "--advertise-client-urls is required when --listen-client-urls is set explicitly");
    let empty = config(&["--listen-client-urls=", "--advertise-client-urls="]);
    assert_eq!(empty.listen_client_urls[0].to_string(), "http://localhost:2379", "an empty word leaves the default");
}

#[test]
fn the_advertised_address_is_found() {
    let words = ["--name=m1", "--listen-peer-urls=http://0.0.0.0:5", "--listen-client-urls=http://0.0.0.0:6"];
    let words = [&words[..], &["--advertise-client-urls=http://localhost:2379"]].concat();
    let mut world = World { host: Some([10, 1, 2, 3].into()), ..World::default() };
    let Ok(Loaded::Run(found, later)) = load_in(&mut world, &words, &[]).1 else { panic!() };
    assert_eq!(urls::join(&found.initial_advertise_peer_urls), "http://10.1.2.3:5");
    assert_eq!(urls::join(&found.advertise_client_urls), "http://10.1.2.3:6");
    assert_eq!(found.initial_cluster, "m1=http://10.1.2.3:5");
    assert!(messages(&later).contains(&"detected default host for advertise"));
    assert_eq!(urls::join(&config(&words).advertise_client_urls), "http://localhost:2379", "without a default route");
}

#[test]
fn values_are_checked_against_each_other() {
    let error = |words: &[&str]| verify_error(from(words, &[]));
    for (words, text) in [
        (
            &["--election-timeout=100"][..],
            "--election-timeout[100ms] should be at least as 5 times as --heartbeat-interval[100ms]",
        ),
        (&["--election-timeout=60000"], "--election-timeout[60000ms] is too long, and should be set less than 50000ms"),
        (&["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"),
        (&["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"),
        (&["--auto-compaction-mode=bogus"], "unknown auto-compaction-mode \"bogus\""),
        (&["--auto-compaction-mode="], "undefined auto-compaction-mode"),
        (&["--logger=capnslog"], "--logger=capnslog is removed in v3.5"),
        (&["--logger=bogus"], "unknown logger option \"bogus\""),
        (&["--log-format=xml"], "unknown log format: xml, supported values json, console"),
        (&["--log-outputs=default,stdout"], "multi logoutput for \"default\" is not supported yet"),
        (
            &["--enable-log-rotation"],
            "--log-outputs requires a single file path when --log-rotate-config-json is defined",
        ),
        (&["--tls-min-version=TLS1.1"], "unexpected TLS version \"TLS1.1\" (must be one of: TLS1.2, TLS1.3)"),
        (
            &["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"],
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            &["--tls-min-version=TLS1.3", "--cipher-suites=x"],
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        (
            &["--enable-distributed-tracing", "--distributed-tracing-sampling-rate=-1"],
            "distributed tracing configurition is not valid: (tracing sampling rate must be positive)",
        ),
        (&["--compact-hash-check-time=0"], "--compact-hash-check-time must be >0 (set to 0s)"),
        (
            &["--feature-gates=LeaseCheckpointPersist=true"],
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
        ),
        (
            &["--discovery-fallback=proxy"],
            "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"",
        ),
        (&["--discovery-endpoints=a,"], "--discovery-endpoints must not contain empty endpoints"),
        (&["--discovery-token=x"], "both --discovery-token and --discovery-endpoints must be set"),
        (
            &["--initial-cluster=a=http://b:1", "--discovery-endpoints=x"],
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery-endpoints\" or \
             \"discovery-srv\"",
        ),
    ] {
        assert_eq!(error(words), text);
    }
    let level = from(&["--log-level=nope"], &[]).1;
    assert_eq!(level, Err(Failure::Panic("panic: unrecognized level: \"nope\"".into())));
    let mut world = World { log_error: Some("no sink".into()), ..World::default() };
    assert_eq!(verify_error(load_in(&mut world, &["--heartbeat-interval=0"], &[])), "no sink", "the log comes first");
}

#[test]
fn what_cannot_be_done_is_refused() {
    for (words, text) in [
        (&["--cert-file=x"][..], "--cert-file is not supported by this build yet: TLS"),
        (&["--auto-tls"], "--auto-tls is not supported by this build yet: TLS"),
        (&["--tls-min-version=TLS1.3"], "--tls-min-version is not supported by this build yet: TLS"),
        (&["--enable-pprof"], "--enable-pprof is not supported by this build yet: profiling over HTTP"),
        (&["--bcrypt-cost=5"], "--bcrypt-cost is not supported by this build yet: authentication"),
        (&["--discovery-cert=x"], "--discovery-cert is not supported by this build yet: TLS"),
        (
            &["--discovery-insecure-transport=false"],
            "--discovery-insecure-transport is not supported by this build yet: TLS",
        ),
        (&["--discovery-user=x"], "--discovery-user is not supported by this build yet: authentication"),
        (
            &["--enable-log-rotation", "--log-outputs=/tmp/x"],
            "--enable-log-rotation is not supported by this build yet: log rotation",
        ),
        (
            &["--enable-distributed-tracing"],
            "--enable-distributed-tracing is not supported by this build yet: distributed tracing",
        ),
    ] {
        assert_eq!(verify_error(from(words, &[])), text);
    }
    config(&["--cert-file=", "--bcrypt-cost=10", "--auto-tls=false"]);
    config(&["--backend-bbolt-freelist-type=array", "--v2-deprecation=gone", "--enable-grpc-gateway=false"]);
}

#[test]
fn warnings_are_given() {
    let (notices, _) =
        from(&["--max-snapshots=3", "--max-request-bytes=20000000", "--quota-backend-bytes=9000000000"], &[]);
    for text in [
        "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.",
        "exceeded recommended request limit",
        "quota exceeds the maximum value",
        "Running http and grpc server on single port. This is not recommended for production.",
    ] {
        assert!(messages(&notices).contains(&text), "{text}");
    }
    assert!(messages(&notices).iter().any(|text| text.starts_with("it isn't recommended to use default name")));
    let (notices, _) = from(&["--name=m1"], &[]);
    assert!(!messages(&notices).iter().any(|text| text.contains("default name") || text.contains("deprecated")));
}
