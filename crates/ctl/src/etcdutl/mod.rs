//! The table of `etcdutl`.

use crate::cli::{Args, COMMAND, Call, Command, Flag, Kind, Program, print};
use crate::exit::Exit;
use crate::offline;

/// The program.
pub static ETCDUTL: Program = Program { root: &ROOT, options_command: false, errors_twice: true, describes: false };

static ROOT: Command = Command {
    name: "etcdutl",
    short: "Works on data directories and snapshots of members that do not run",
    persistent: &[
        Flag::text("write-out", "simple", "output format (fields, json, protobuf, simple, table)").short('w'),
        Flag::new("timeout", Kind::Duration, "10s", "how long to wait for the lock on the database file, 0 for ever"),
    ],
    subs: &[
        DEFRAG,
        Command {
            name: "snapshot",
            short: "Deals with snapshots of a member's database",
            subs: &[
                Command {
                    name: "restore",
                    args_text: "<filename> --data-dir {output dir} [options]",
                    short: "Makes a new data directory from a snapshot file",
                    flags: offline::RESTORE_FLAGS,
                    run: Some(offline::snapshot_restore),
                    ..COMMAND
                },
                Command {
                    name: "status",
                    args_text: "<filename>",
                    short: "Shows hash, revision and sizes of a snapshot file",
                    run: Some(offline::snapshot_status),
                    ..COMMAND
                },
            ],
            ..COMMAND
        },
        Command {
            name: "hashkv",
            args_text: "<filename>",
            short: "Shows a hash over the keys of a database file and their history",
            flags: &[Flag::int("rev", "0", "hash up to this revision (0 means the latest)")],
            args: Args::Exactly(1),
            run: Some(offline::hash_kv),
            ..COMMAND
        },
        Command { name: "version", short: "Shows the version of this program", run: Some(version), ..COMMAND },
        Command::later("migrate"),
        Command::later("completion"),
        Command { name: "help", args_text: "[command]", short: "Shows how a command is used", ..COMMAND },
    ],
    ..COMMAND
};

const DEFRAG: Command = Command {
    name: "defrag",
    short: "Rewrites the database file of a data directory densely",
    flags: &[Flag::text("data-dir", "", "the data directory; no etcd may be using it").required()],
    run: Some(defrag),
    ..COMMAND
};

fn defrag(call: &Call) -> Result<(), Exit> {
    offline::defragment(call.flags.text("data-dir"), offline::lock_patience(call))
}

fn version(_: &Call) -> Result<(), Exit> {
    print(&format!("etcdutl version: {}\nAPI version: {}\n", crate::VERSION, crate::api_version()))
}
