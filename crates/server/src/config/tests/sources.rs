//! Variables and files.

use std::time::Duration;

use super::*;

#[test]
fn variables_stand_in_for_flags() {
    let (notices, loaded) = from(&["--name", "m1"], &[("ETCD_DATA_DIR", "/d"), ("ETCD_SNAPSHOT", "1"), ("PATH", "x")]);
    assert_eq!(config_of((Vec::new(), loaded)).data_dir.to_str(), Some("/d"));
    let used = Notice::new(Severity::Info, "recognized and used environment variable");
    assert_eq!(notices[0], used.with("variable-name", "ETCD_DATA_DIR").with("variable-value", "/d"));
    let (notices, loaded) = from(&["--name", "m1"], &[("ETCD_NAME", "m1")]);
    assert!(notices.is_empty());
    let Err(Failure::Fatal(line)) = loaded else { panic!("{loaded:?}") };
    assert_eq!(
        line.message,
        "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment \
         variable or disable flag))"
    );
    assert_eq!(line.fields, [("environment-variable", "ETCD_NAME".to_owned())]);
}

#[test]
fn unknown_and_wrong_variables() {
    let (notices, loaded) = from(&[], &[("ETCD_NOPE", "1"), ("ETCD_WAL_DIR", ""), ("ETCD_VERSION", "true")]);
    assert!(loaded.is_ok());
    let warning = |value: &str| {
        Notice::new(Severity::Warn, "unrecognized environment variable").with("environment-variable", value)
    };
    assert!(notices.contains(&warning("ETCD_NOPE=1")) && notices.contains(&warning("ETCD_WAL_DIR=")));
    let special = Notice::new(Severity::Warn, "cannot set special environment variable");
    assert!(notices.contains(&special.with("key", "ETCD_VERSION").with("value", "true")));
    let wrong = [("ETCD_HEARTBEAT_INTERVAL", "abc"), ("ETCD_ELECTION_TIMEOUT", "x")];
    assert_eq!(
        verify_error(from(&[], &wrong)),
        "invalid value \"abc\" for ETCD_HEARTBEAT_INTERVAL: parse error",
        "the last one by name"
    );
    let wrong = verify_error(from(&[], &[("ETCD_ENABLE_PPROF", "maybe")]));
    assert_eq!(wrong, "invalid value \"maybe\" for ETCD_ENABLE_PPROF: parse error");
}

#[test]
fn a_file_is_the_only_source() {
    let text = "name: m1\nheartbeat-interval: 200\nelection-timeout: 2e3\nnosuchkey: 1\nwatch-progress-notify-interval: 5000000000\n\
                log-outputs: [stderr, stdout]\nsocket-options:\n  reuse-port: yes\nclient-transport-security:\n  cert-file:\n\
                feature-gates: LeaseCheckpoint=true\nName: m2\nauto-compaction-retention: \"1\"\nmax-wals: 3\nmax-wals: 4\n";
    let mut world = World { files: [("f.yml".to_owned(), text.to_owned())].into(), ..World::default() };
    let words = ["--config-file=f.yml", "--name", "other", "--heartbeat-interval", "0"];
    let (notices, loaded) = load_in(&mut world, &words, &[("ETCD_NAME", "x"), ("ETCD_NOPE", "1")]);
    assert!(!messages(&notices).contains(&"unrecognized environment variable"));
    assert!(messages(&notices)[0].starts_with("loaded server configuration, other configuration command line flags"));
    let config = config_of((Vec::new(), loaded));
    assert_eq!((config.name.as_str(), config.max_wals, config.socket_reuse_port), ("m1", 4, true));
    assert_eq!((config.heartbeat_interval.as_millis(), config.election_timeout.as_millis()), (200, 2000));
    assert_eq!(config.watch_progress_notify_interval, Duration::from_secs(5));
    assert!(config.gates.enabled(Gate::LeaseCheckpoint));
    assert_eq!(config.auto_compaction(), Ok(AutoCompaction::Periodic(Duration::from_secs(3600))));
    assert_eq!(config_of(from_file("")).name, "default");
    let advertised = config_of(from_file("listen-client-urls: http://127.0.0.1:1")).advertise_client_urls;
    assert_eq!(advertised[0].to_string(), "http://localhost:2379", "in a file the default stays");
    assert_eq!(config_of(from_file("{\"name\":\"j\"}")).name, "j");
    let by_variable = load_in(&mut world, &[], &[("ETCD_CONFIG_FILE", "f.yml"), ("ETCD_NOPE", "1")]);
    assert_eq!(config_of(by_variable).name, "m1");
}

#[test]
fn wrong_files() {
    let decode = |what: &str| format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {what}");
    for (text, error) in [
        ("heartbeat-interval: abc", decode("string into Go struct field configYAML.heartbeat-interval of type uint")),
        ("max-wals: -1", decode("number -1 into Go struct field configYAML.max-wals of type uint")),
        ("max-wals: 1.5", decode("number 1.5 into Go struct field configYAML.max-wals of type uint")),
        ("name: [a]\npre-vote: 1", decode("array into Go struct field configYAML.name of type string")),
        ("pre-vote: 1", decode("number into Go struct field configYAML.pre-vote of type bool")),
        (
            "initial-cluster-token: 5.5",
            decode("number into Go struct field configYAML.initial-cluster-token of type string"),
        ),
        ("log-outputs: stderr", decode("string into Go struct field configYAML.log-outputs of type []string")),
        ("cipher-suites: [1]", decode("number into Go struct field configYAML.cipher-suites of type string")),
        (
            "watch-progress-notify-interval: 10m",
            decode("string into Go struct field configYAML.watch-progress-notify-interval of type time.Duration"),
        ),
        (
            "peer-transport-security: [1]",
            decode("array into Go struct field configYAML.peer-transport-security of type embed.securityConfig"),
        ),
        (
            "peer-transport-security:\n  cert-file: [1]",
            decode("array into Go struct field securityConfig.peer-transport-security.cert-file of type string"),
        ),
        ("just words", decode("string into Go value of type embed.configYAML")),
        ("initial-cluster-state: bogus", "unexpected clusterState \"bogus\"".into()),
        ("feature-gates: Nope=true", "unrecognized feature gate: Nope".into()),
        ("heartbeat-interval: 0", "--heartbeat-interval must be >0 (set to 0ms)".into()),
    ] {
        assert_eq!(verify_error(from_file(text)), error, "{text}");
    }
    assert!(verify_error(from_file("a: [\n  b: }\n")).starts_with("error converting YAML to JSON: yaml: "));
    let gone = verify_error(from(&["--config-file", "none.yml"], &[]));
    assert_eq!(gone, "open none.yml: no such file or directory");
    for (key, name) in [
        ("listen-client-urls", "listen-client-urls"),
        ("listen-peer-urls", "listen-peer-urls"),
        ("listen-metrics-urls", "listen-metrics-urls"),
        ("advertise-client-urls", "advertise-peer-urls"),
    ] {
        let text =
            format!("unexpected error setting up {name}: URL scheme must be http, https, unix, or unixs: nohost");
        assert_eq!(from_file(&format!("{key}: nohost")).1, Err(Failure::Plain(text)));
    }
}

#[test]
fn former_names_are_known_to_those_who_stand_in_for_older_releases() {
    let old = [
        "--compat-version=3.5",
        "--experimental-initial-corrupt-check",
        "--experimental-corrupt-check-time=3s",
        "--experimental-compact-hash-check-enabled=true",
        "--experimental-compact-hash-check-time=2m",
        "--experimental-snapshot-catchup-entries=7",
    ];
    let (notices, loaded) = from(&old, &[("ETCD_EXPERIMENTAL_DOWNGRADE_CHECK_TIME", "9s")]);
    let text = "--experimental-initial-corrupt-check is deprecated in v3.6 and will be decommissioned in v3.7. Use \
                '--feature-gates=InitialCorruptCheck=true' instead.";
    assert!(messages(&notices).contains(&text), "{notices:?}");
    let given = config_of((Vec::new(), loaded));
    assert!(given.gates.enabled(Gate::InitialCorruptCheck) && given.gates.enabled(Gate::CompactHashCheck));
    assert_eq!(given.corrupt_check_time, Some(Duration::from_secs(3)));
    assert_eq!(given.compact_hash_check_time, Duration::from_secs(120));
    assert_eq!((given.snapshot_catchup_entries, given.downgrade_check_time), (7, Some(Duration::from_secs(9))));
    for (word, text) in [
        (
            "--corrupt-check-time=1s",
            "cannot set --experimental-corrupt-check-time and --corrupt-check-time at the same time, please use \
             --corrupt-check-time only",
        ),
        (
            "--feature-gates=InitialCorruptCheck=false",
            "cannot specify both flags: --experimental-initial-corrupt-check=true and \
             --feature-gates=InitialCorruptCheck=false at the same time, please just use \
             --feature-gates=InitialCorruptCheck=false",
        ),
    ] {
        assert_eq!(verify_error(from(&[&old[..], &[word]].concat(), &[])), text);
    }
    let unknown = "flag provided but not defined: -experimental-initial-corrupt-check";
    assert_eq!(usage_error(&["--experimental-initial-corrupt-check"]), unknown);
    let (notices, loaded) = from(&[], &[("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK", "true")]);
    assert!(messages(&notices).contains(&"unrecognized environment variable"));
    assert!(!config_of((Vec::new(), loaded)).gates.enabled(Gate::InitialCorruptCheck));
    let file = "experimental-corrupt-check-time: 5000000000\n";
    assert_eq!(config_of(from_file(file)).corrupt_check_time, None, "an unknown key");
    let file = format!("{file}compat-version: \"3.6\"\n");
    assert_eq!(config_of(from_file(&file)).corrupt_check_time, Some(Duration::from_secs(5)));
}

#[test]
fn flags_of_a_cluster() {
    let given = config(&[
        "--initial-cluster=a=http://h:1,default=http://localhost:2380",
        "--listen-peer-urls=http://127.0.0.1:1,http://127.0.0.1:2",
        "--max-learners=3",
        "--downgrade-check-time=0",
        "--corrupt-check-time=1m",
        "--raft-read-timeout=7s",
        "--raft-write-timeout=1s",
        "--feature-gates=SetMemberLocalAddr=true,CompactHashCheck=true",
    ]);
    assert_eq!((given.max_learners, given.downgrade_check_time), (3, None));
    assert_eq!(given.corrupt_check_time, Some(Duration::from_secs(60)));
    assert_eq!((given.raft_read_timeout, given.raft_write_timeout), (Duration::from_secs(7), PEER_TIMEOUT_MIN));
    assert_eq!(given.listen_peer_urls.len(), 2);
    let (notices, _) = from(&["--raft-write-timeout=1s"], &[]);
    assert!(messages(&notices).contains(&"raft-write-timeout increased to minimum value: 5s"));
    let srv = config(&["--discovery-srv=example.com", "--discovery-srv-name=blue"]);
    let wanted = SrvDiscovery { domain: "example.com".into(), service: "blue".into() };
    assert_eq!(
        (srv.discovery, srv.initial_cluster.as_str()),
        (Discovery::Srv(wanted), ""),
        "no default beside discovery"
    );
    let text = "discovery-config:\n  token: tok\n  client:\n    endpoints: [\"http://h:1\", h:2]\n    dial-timeout: 3000000000\n";
    let Discovery::Registry(settings) = config_of(from_file(text)).discovery else { panic!("{text}") };
    assert_eq!((settings.token.as_str(), settings.endpoints.len()), ("tok", 2));
    assert_eq!(settings.dial_timeout, Duration::from_secs(3));
    assert_eq!(config_of(from_file("discovery-proxy: \ndiscovery-srv: hi-etcd.com\n")).initial_cluster, "");
}
