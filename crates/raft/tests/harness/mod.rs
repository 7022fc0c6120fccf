//! A few nodes driven command by command, and everything they do as text.
//!
//! Speaks the command language of etcd's interaction scripts, and for our own scripts some words more (see
//! [`Cluster::execute`]). Nothing happens that no command asks for: messages wait until they are delivered.
#![allow(dead_code, reason = "not every test uses all of it")]

mod commands;
pub mod parse;
mod storage;
mod work;

use std::collections::VecDeque;

use proto::raftpb::Message;
use raft::{Config, NO_LIMIT, RawNode};
use testkit::datadriven::Case;

use storage::HistoryStorage;

/// A node with the work that waits for its storage threads.
pub struct Node {
    pub raw: RawNode<HistoryStorage>,
    config: Config,
    append_work: VecDeque<Message>,
    apply_work: VecDeque<Message>,
}

/// The nodes `1..=n`, and the messages on their way.
#[derive(Default)]
pub struct Cluster {
    nodes: Vec<Node>,
    messages: Vec<Message>,
    output: String,
    quiet: bool,
}

/// The settings of a node that a script says nothing about.
fn default_config() -> Config {
    Config {
        election_ticks: 3,
        heartbeat_ticks: 1,
        max_size_per_message: NO_LIMIT,
        max_inflight_messages: i32::MAX as usize,
        check_quorum: false,
        pre_vote: false,
        ..Config::default()
    }
}

impl Cluster {
    /// Runs a command with the further ones in its input, and tells what was printed; `ok` if that was nothing.
    pub fn run(&mut self, case: &Case) -> String {
        self.output.clear();
        if case.command == "propose-conf-change" {
            self.report(|cluster| cluster.propose_conf_change(case));
        } else {
            self.report(|cluster| cluster.execute(case));
            for further in parse::lines(&case.input) {
                self.report(|cluster| cluster.execute(&further));
            }
        }
        match self.output.as_str() {
            "" => "ok".into(),
            output => output.into(),
        }
    }

    /// Errors are printed also where all else is not.
    fn report(&mut self, command: impl FnOnce(&mut Self) -> Result<(), String>) {
        if let Err(error) = command(self) {
            self.output.push_str(&error);
            self.output.push('\n');
        }
    }

    fn print(&mut self, text: impl AsRef<str>) {
        if !self.quiet {
            self.output.push_str(text.as_ref());
            if !text.as_ref().is_empty() && !text.as_ref().ends_with('\n') {
                self.output.push('\n');
            }
        }
    }

    /// Runs something and indents what it printed.
    fn indented<T>(&mut self, command: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::take(&mut self.output);
        let result = command(self);
        let printed = std::mem::replace(&mut self.output, before);
        for line in printed.lines() {
            self.output.push_str(&format!("  {line}\n"));
        }
        result
    }

    fn node(&mut self, id: u64) -> &mut Node {
        usize::try_from(id).ok().and_then(|id| self.nodes.get_mut(id - 1)).unwrap_or_else(|| panic!("no node {id}"))
    }

    fn ids(&self) -> Vec<u64> {
        (1..=self.nodes.len() as u64).collect()
    }
}
