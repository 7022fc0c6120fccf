//! From words, variables and files to a configuration, rule by rule.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::table::{FLAGS, Key, Section, Status};

/// A world of files in memory.
#[derive(Default)]
struct World {
    files: BTreeMap<String, String>,
    log_error: Option<String>,
    opened: Vec<LogConfig>,
    host: Option<std::net::IpAddr>,
}

impl Source for World {
    fn read(&mut self, path: &str) -> std::io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| std::io::Error::from_raw_os_error(2))
    }

    fn open_log(&mut self, log: &LogConfig) -> Result<(), String> {
        self.opened.push(log.clone());
        self.log_error.clone().map_or(Ok(()), Err)
    }

    fn default_host(&mut self) -> Option<std::net::IpAddr> {
        self.host
    }
}

type Outcome = (Vec<Notice>, Result<Loaded, Failure>);

fn load_in(world: &mut World, words: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&words, &variables, world)
}

fn from(words: &[&str], variables: &[(&str, &str)]) -> Outcome {
    load_in(&mut World::default(), words, variables)
}

fn from_file(text: &str) -> Outcome {
    let mut world = World { files: [("f.yml".to_owned(), text.to_owned())].into(), ..World::default() };
    load_in(&mut world, &["--config-file", "f.yml"], &[])
}

fn config_of(outcome: Outcome) -> Config {
    match outcome.1 {
        Ok(Loaded::Run(config, _)) => *config,
        other => panic!("{other:?}"),
    }
}

fn config(words: &[&str]) -> Config {
    config_of(from(words, &[]))
}

/// The error under `failed to verify flags`.
fn verify_error(outcome: Outcome) -> String {
    match outcome.1 {
        Err(Failure::Verify(lines)) => {
            assert_eq!(lines[0].message, "failed to verify flags");
            lines[0].fields[0].1.clone()
        }
        other => panic!("{other:?}"),
    }
}

fn usage_error(words: &[&str]) -> String {
    match from(words, &[]).1 {
        Err(Failure::Usage(line)) => line,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn messages(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.message.as_str()).collect()
}

#[test]
fn the_table_is_sound() {
    let mut names: Vec<_> = FLAGS.iter().map(|flag| flag.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FLAGS.len(), "every name once");
    for flag in FLAGS {
        let read = settings::read(flag.kind, flag.default);
        assert!(read.is_ok(), "{}: the default {:?} is a value: {read:?}", flag.name, flag.default);
        let shown = flag.status != Status::Hidden;
        assert_eq!(shown, flag.section != Section::None, "{}", flag.name);
        assert_eq!(shown, !flag.help.is_empty(), "{}", flag.name);
        assert!(matches!(flag.key, Key::None) || flag.file_path().is_some());
    }
}

#[test]
fn defaults_are_etcds() {
    let config = config(&[]);
    assert_eq!((config.name.as_str(), config.data_dir.to_str().unwrap()), ("default", "default.etcd"));
    assert_eq!((config.snapshot_count, config.snapshot_catchup_entries), (10_000, 5000));
    assert_eq!(
        (config.heartbeat_interval, config.election_timeout),
        (Duration::from_millis(100), Duration::from_secs(1))
    );
    assert_eq!(
        (config.max_txn_ops, config.max_request_bytes, config.max_concurrent_streams),
        (128, 1_572_864, u32::MAX)
    );
    assert_eq!(config.grpc_receive_bytes_max(), 1_572_864 + 512 * 1024);
    assert_eq!(config.initial_cluster, "default=http://localhost:2380");
    assert_eq!(config.grpc_keepalive_interval, Some(Duration::from_secs(7200)));
    assert_eq!(config.watch_progress_notify_interval, Duration::from_secs(600));
    assert_eq!(config.request_timeout(), Duration::from_secs(7));
    assert_eq!(config.auto_compaction(), Ok(AutoCompaction::Off));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Json));
    assert!(config.pre_vote && config.strict_reconfig_check && !config.metrics_extensive);
    assert_eq!(config.compat_version, Compat::V3_7);
    assert_eq!(check_start(&config), Ok(()));
    assert_eq!(initial_cluster(&config).unwrap().len(), 1);
}

#[test]
fn words_are_read_as_go_reads_them() {
    let given =
        config(&["-name=a", "--name", "m1", "--pre-vote=F", "-snapshot-count=0x10", "--force-new-cluster", "--vv"]);
    assert_eq!((given.name.as_str(), given.pre_vote, given.snapshot_count), ("m1", false, 16));
    assert!(given.force_new_cluster);
    assert_eq!(given.data_dir.to_str(), Some("m1.etcd"));
    assert_eq!(config(&["--snapshot-count=0"]).snapshot_count, 10_000);
    assert_eq!(config(&["--grpc-keepalive-interval", "0"]).grpc_keepalive_interval, None);
    assert_eq!(config(&["--log-level", "WARN", "--log-outputs", "stderr,stdout"]).log.outputs, ["stderr", "stdout"]);
    assert_eq!(verify_error(from(&["--pre-vote", "false"], &[])), "\"false\" is not a valid flag");
    assert_eq!(verify_error(from(&["--", "--name"], &[])), "\"--name\" is not a valid flag");
    assert_eq!(verify_error(from(&["-"], &[])), "\"-\" is not a valid flag");
    assert_eq!(from(&["-h"], &[]).1, Ok(Loaded::Help));
    assert_eq!(from(&["--name", "x", "--help"], &[]).1, Ok(Loaded::Help));
    assert_eq!(from(&["--version"], &[]).1, Ok(Loaded::Version));
}

#[test]
fn wrong_words_end_with_the_usage() {
    for (words, line) in [
        (&["--nosuchflag"][..], "flag provided but not defined: -nosuchflag"),
        (&["--nosuchflag=1"], "flag provided but not defined: -nosuchflag"),
        (&["---x"], "bad flag syntax: ---x"),
        (&["--=x"], "bad flag syntax: --=x"),
        (&["--name"], "flag needs an argument: -name"),
        (&["--heartbeat-interval", "abc"], "invalid value \"abc\" for flag -heartbeat-interval: parse error"),
        (&["--snapshot-count=-1"], "invalid value \"-1\" for flag -snapshot-count: parse error"),
        (&["--backend-batch-interval", "10"], "invalid value \"10\" for flag -backend-batch-interval: parse error"),
        (&["--quota-backend-bytes", "abc"], "invalid value \"abc\" for flag -quota-backend-bytes: parse error"),
        (
            &["--max-txn-ops=99999999999999999999"],
            "invalid value \"99999999999999999999\" for flag -max-txn-ops: value out of range",
        ),
        (
            &["--max-concurrent-streams", "4294967296"],
            "invalid value \"4294967296\" for flag -max-concurrent-streams: strconv.ParseUint: parsing \"4294967296\": value \
             out of range",
        ),
        (&["--pre-vote=maybe"], "invalid boolean value \"maybe\" for -pre-vote: parse error"),
        (
            &["--initial-cluster-state", "bogus"],
            "invalid value \"bogus\" for flag -initial-cluster-state: invalid value",
        ),
        (
            &["--feature-gates", "Nope=true"],
            "invalid value \"Nope=true\" for flag -feature-gates: unrecognized feature gate: Nope",
        ),
        (
            &["--listen-client-urls", "http://127.0.0.1"],
            "invalid value \"http://127.0.0.1\" for flag -listen-client-urls: URL address does not have the form \
             \"host:port\": http://127.0.0.1",
        ),
        (&["--enable-v2"], "flag provided but not defined: -enable-v2"),
        (&["--experimental-memory-mlock"], "flag provided but not defined: -experimental-memory-mlock"),
        (&["--compat-version=3.3"], "invalid value \"3.3\" for flag -compat-version: invalid value"),
    ] {
        assert_eq!(usage_error(words), line);
    }
}

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
        (&["--discovery-srv=x"], "--discovery-srv is not supported by this build yet: discovery"),
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

#[test]
fn the_members_of_a_first_start() {
    let error = |own: &str, cluster: &str, advertised: &str| {
        let words = [
            format!("--name={own}"),
            format!("--initial-cluster={cluster}"),
            format!("--initial-advertise-peer-urls={advertised}"),
        ];
        initial_cluster(&config(&words.iter().map(String::as_str).collect::<Vec<_>>())).unwrap_err().0
    };
    for (own, cluster, advertised, text) in [
        (
            "m1",
            "other=http://127.0.0.1:1",
            "http://127.0.0.1:1",
            "couldn't find local name \"m1\" in the initial cluster configuration",
        ),
        ("m1", "", "http://127.0.0.1:1", "couldn't find local name \"m1\" in the initial cluster configuration"),
        (
            "",
            "m1=http://127.0.0.1:1",
            "http://127.0.0.1:1",
            "couldn't find local name \"\" in the initial cluster configuration",
        ),
        (
            "m1",
            "m1",
            "http://127.0.0.1:1",
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ",
        ),
        (
            "m1",
            "m1=127.0.0.1:1",
            "http://127.0.0.1:1",
            "error setting up initial cluster: parse \"127.0.0.1:1\": first path segment in URL cannot contain colon",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:2",
            "http://127.0.0.1:1",
            "--initial-cluster has m1=http://127.0.0.1:2 but missing from --initial-advertise-peer-urls=http://127.0.0.1:1 \
             (resolved urls: \"http://127.0.0.1:1\" != \"http://127.0.0.1:2\")",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1",
            "http://127.0.0.1:1,http://127.0.0.1:2",
            "--initial-advertise-peer-urls has http://127.0.0.1:2 but missing from \
             --initial-cluster=m1=http://127.0.0.1:1,m1=http://127.0.0.1:2",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1,m1=http://127.0.0.1:2",
            "http://127.0.0.1:1",
            "--initial-cluster has m1=http://127.0.0.1:2 but missing from --initial-advertise-peer-urls=http://127.0.0.1:1 \
             (len([\"http://127.0.0.1:1\"]) != len([\"http://127.0.0.1:1\" \"http://127.0.0.1:2\"]))",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1,b=http://127.0.0.1:1",
            "http://127.0.0.1:1",
            "initial cluster b=http://127.0.0.1:1,m1=http://127.0.0.1:1 has duplicate url",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1,b=http://127.0.0.1:2",
            "http://127.0.0.1:1",
            "--initial-cluster with other members is not supported by this build yet: peer connections",
        ),
    ] {
        assert_eq!(error(own, cluster, advertised), text);
    }
    let existing = config(&["--initial-cluster-state=existing"]);
    assert_eq!(
        initial_cluster(&existing).unwrap_err().0,
        "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs"
    );
    assert_eq!(config(&["--name=m9"]).initial_cluster, "m9=http://localhost:2380", "the default follows the name");
}

/// Compares with a file of the repository, or writes it with `UPDATE=1`.
fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == text, "{} is not fresh: run the test with UPDATE=1", path.display());
}

#[test]
fn help_is_as_it_was() {
    golden("tests/golden/help.txt", &format!("{}\n{}", usage_text(), flags_text()));
}

#[test]
fn the_page_of_flags_is_fresh() {
    golden("../../docs/flags.md", &docs::flags_page());
}

#[test]
fn the_version_has_four_lines() {
    let text = version_text("3.7.1", "abc");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..2], ["etcd Version: 3.7.1", "Git SHA: abc"]);
    assert!(lines[2].starts_with("Go Version: ") && lines[3].starts_with("Go OS/Arch: linux/"));
    assert_eq!(lines.len(), 4);
}

/// Whatever stands in a file or on the line, the answer is a configuration or an error.
#[test]
fn noise_is_survived() {
    let seeds: u64 = std::env::var("QUORATE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    for seed in 0..seeds {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        const PARTS: [&str; 20] = [
            ":",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "\n",
            "  ",
            "name",
            "pre-vote",
            "1e400",
            "-9",
            "http://",
            "é",
            "\"",
            "%",
            "&a",
            "*a",
            "listen-peer-urls: ",
            "log-outputs",
        ];
        let text: String = (0..next(12)).map(|_| PARTS[next(PARTS.len())]).collect();
        drop(from_file(&text));
        let words: Vec<String> = (0..next(4)).map(|_| format!("--{}={text}", FLAGS[next(FLAGS.len())].name)).collect();
        drop(from(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]));
    }
}
