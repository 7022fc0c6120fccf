//! From words, variables and files to a configuration, rule by rule.

use std::collections::BTreeMap;
use std::time::Duration;

mod rules;
mod sources;
mod start;

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
    assert_eq!(config.discovery, Discovery::Static);
    assert_eq!((config.max_learners, config.downgrade_check_time), (1, Some(Duration::from_secs(5))));
    assert_eq!((config.corrupt_check_time, config.compact_hash_check_time), (None, Duration::from_secs(60)));
    assert_eq!((config.raft_read_timeout, config.raft_write_timeout), (PEER_TIMEOUT_MIN, PEER_TIMEOUT_MIN));
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
