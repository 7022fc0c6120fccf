//! The consensus scripts of etcd-io/raft, run from outside of the repository: they are an oracle, not a part of it.
//!
//! Found in `../shared/raft-scripts` beside the repository or where `QUORATE_RAFT_SCRIPTS` says. Without them the tests
//! pass, and say on standard error that they tested nothing. Everything is compared except lines that begin with a log
//! level: those are etcd's own wording.

mod harness;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use harness::{Cluster, parse};
use proto::raftpb::ConfState;
use raft::confchange::{Changer, restore};
use raft::quorum::{JointConfig, MajorityConfig};
use raft::tracker::Inflights;
use testkit::datadriven::{self, Case};

/// The scripts of a folder; none, with a loud word, where they aren't at hand.
fn scripts(folder: &str, count: usize) -> Vec<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/raft-scripts");
    let root = std::env::var_os("QUORATE_RAFT_SCRIPTS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let dir = root.join(folder);
    if !dir.is_dir() {
        say(&format!("\n*** SKIPPED: no scripts of etcd-io/raft in {} (QUORATE_RAFT_SCRIPTS) ***\n", dir.display()));
        return Vec::new();
    }
    let scripts = datadriven::scripts(dir);
    assert_eq!(scripts.len(), count, "scripts in {folder}");
    say(&format!("{count} scripts of etcd-io/raft in {folder}"));
    scripts
}

/// Says something past the test runner, which hides the output of tests that pass.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}

/// Leaves out log lines. Where nothing else was printed, nothing was printed.
fn without_log_lines(expected: &str) -> String {
    const LEVELS: [&str; 6] = ["DEBUG ", "INFO ", "WARN ", "ERROR ", "FATAL ", "PANIC "];
    let is_log = |line: &str| LEVELS.iter().any(|level| line.trim_start().starts_with(level));
    let kept: String = expected.lines().filter(|line| !is_log(line)).map(|line| format!("{line}\n")).collect();
    if kept.is_empty() { "ok\n".into() } else { kept }
}

#[test]
fn interaction_scripts_of_etcd_if_at_hand() {
    for path in scripts("interaction", 28) {
        let mut cluster = Cluster::default();
        datadriven::check(path, without_log_lines, |case| cluster.run(case));
    }
}

#[test]
fn confchange_scripts_of_etcd_if_at_hand() {
    for path in scripts("confchange", 9) {
        let inflights = Inflights::new(10, u64::MAX);
        let (mut config, mut progress) = restore(&ConfState::default(), 0, &inflights).expect("an empty conf state");
        let mut last_index = 0;
        datadriven::check(path, str::to_string, |case| {
            let changer = Changer { config: &config, progress: &progress, last_index, inflights: &inflights };
            last_index += 1;
            let changes = parse::conf_changes(&case.input).expect("conf changes");
            let changed = match case.command.as_str() {
                "simple" => changer.simple(&changes),
                "enter-joint" => changer.enter_joint(case.parsed("autoleave").unwrap_or(false), &changes),
                "leave-joint" => changer.leave_joint(),
                other => panic!("unknown command {other}"),
            };
            match changed {
                Err(error) => error.to_string(),
                Ok(changed) => {
                    (config, progress) = changed;
                    let members = progress.iter().map(|(id, progress)| format!("{id}: {progress}\n"));
                    format!("{config}\n{}", members.collect::<String>())
                }
            }
        });
    }
}

#[test]
fn quorum_scripts_of_etcd_if_at_hand() {
    for path in scripts("quorum", 4) {
        datadriven::check(path, str::to_string, |case| match case.command.as_str() {
            "committed" => committed(case),
            "vote" => vote(case),
            other => panic!("unknown command {other}"),
        });
    }
}

/// The voters of the case, and whether it is about a joint quorum.
fn voters(case: &Case) -> (JointConfig, Vec<u64>, bool) {
    let first: Vec<u64> = case.parsed_list("cfg");
    let second: Vec<u64> = if case.value_is("cfgj", "zero") { Vec::new() } else { case.parsed_list("cfgj") };
    let config = JointConfig { incoming: first.iter().copied().collect(), outgoing: second.iter().copied().collect() };
    let mut order = Vec::new();
    for id in first.into_iter().chain(second) {
        if !order.contains(&id) {
            order.push(id);
        }
    }
    (config, order, case.arg("cfgj").is_some())
}

/// What is said of each voter, in the order of their first naming; `_` says nothing.
fn said<T>(case: &Case, key: &str, order: &[u64], parse: impl Fn(&str) -> T) -> BTreeMap<u64, T> {
    let values = case.arg(key).map(|arg| arg.values.clone()).unwrap_or_default();
    assert_eq!(values.len(), order.len(), "line {}", case.line);
    let known = order.iter().zip(&values).filter(|(_, value)| *value != "_");
    known.map(|(&id, value)| (id, parse(value))).collect()
}

trait CaseExt {
    fn value_is(&self, key: &str, value: &str) -> bool;
}

impl CaseExt for Case {
    fn value_is(&self, key: &str, value: &str) -> bool {
        self.arg(key).is_some_and(|arg| arg.values == [value])
    }
}

fn committed(case: &Case) -> String {
    let (config, order, joint) = voters(case);
    let indexes = said(case, "idx", &order, |value| value.parse::<u64>().expect("an index"));
    let acked = |id| indexes.get(&id).copied();
    let index = config.committed_index(acked);
    let swapped = JointConfig { incoming: config.outgoing.clone(), outgoing: config.incoming.clone() };
    assert_eq!(swapped.committed_index(acked), index, "the order of the two sets matters");
    if !joint {
        let majority = &config.incoming;
        let twice = JointConfig { incoming: majority.clone(), outgoing: majority.clone() };
        assert_eq!(majority.committed_index(acked), index, "joined with the empty set");
        assert_eq!(twice.committed_index(acked), index, "joined with itself");
        assert_eq!(by_definition(majority, acked), index, "by definition");
    }
    let index = if index == u64::MAX { "∞".to_string() } else { index.to_string() };
    format!("{}{index}", config.describe(acked))
}

/// The largest index that more than half have acknowledged, by trying each.
fn by_definition(config: &MajorityConfig, acked: impl Fn(u64) -> Option<u64>) -> u64 {
    if config.is_empty() {
        return u64::MAX;
    }
    let acked = |id| acked(id).unwrap_or(0);
    let quorum = |index| config.iter().filter(|&id| acked(id) >= index).count() > config.len() / 2;
    config.iter().map(acked).filter(|&index| quorum(index)).max().unwrap_or(0)
}

fn vote(case: &Case) -> String {
    let (config, order, _) = voters(case);
    let votes = said(case, "votes", &order, |value| value == "y");
    let result = config.vote_result(&votes);
    let swapped = JointConfig { incoming: config.outgoing.clone(), outgoing: config.incoming.clone() };
    assert_eq!(swapped.vote_result(&votes), result, "the order of the two sets matters");
    result.to_string()
}
