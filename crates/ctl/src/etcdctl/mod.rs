//! The table of `etcdctl`. The order is that in which suggestions are made; help sorts by name.

mod alarm;
mod compaction;
mod defrag;
mod del;
mod downgrade;
mod elect;
mod endpoint;
mod env;
mod get;
mod globals;
mod keys;
mod lease;
mod lock;
mod member;
mod move_leader;
mod online;
mod put;
mod signals;
mod snapshot;
mod txn;
mod watch;
mod words;

use crate::cli::{COMMAND, Call, Command, Program, flag_list, print};
use crate::exit::Exit;

/// The program.
pub static ETCDCTL: Program = Program { root: &ROOT, options_command: true, errors_twice: false, describes: true };

static ROOT: Command = Command {
    name: "etcdctl",
    short: "Speaks to an etcd cluster from the command line",
    persistent: globals::FLAGS,
    subs: &[
        get::COMMAND,
        put::COMMAND,
        del::COMMAND,
        txn::COMMAND,
        compaction::COMMAND,
        alarm::COMMAND,
        defrag::COMMAND,
        endpoint::COMMAND,
        move_leader::COMMAND,
        watch::COMMAND,
        VERSION,
        lease::COMMAND,
        member::COMMAND,
        snapshot::COMMAND,
        Command::later("make-mirror"),
        lock::COMMAND,
        elect::COMMAND,
        Command::later("auth"),
        Command::later("user"),
        Command::later("role"),
        Command::later("check"),
        Command::later("completion"),
        downgrade::COMMAND,
        OPTIONS,
        HELP,
    ],
    ..COMMAND
};

const VERSION: Command =
    Command { name: "version", short: "Shows the version of this program", run: Some(version), ..COMMAND };

const OPTIONS: Command = Command {
    name: "options",
    short: "Lists the command-line options that every command takes",
    run: Some(options),
    ..COMMAND
};

/// Answered by the parser itself.
const HELP: Command = Command { name: "help", args_text: "[command]", short: "Shows how a command is used", ..COMMAND };

fn version(_: &Call) -> Result<(), Exit> {
    print(&format!("etcdctl version: {}\nAPI version: {}\n", crate::VERSION, crate::api_version()))
}

fn options(_: &Call) -> Result<(), Exit> {
    print(&format!("The following options can be given to any command:\n\n{}", flag_list(globals::FLAGS)))
}

#[cfg(test)]
mod tests;
