//! The table of `etcdutl`.

use crate::cli::{Args, COMMAND, Call, Command, Flag, Kind, Program, print};
use crate::exit::Exit;
use crate::offline;

/// The program.
pub static ETCDUTL: Program = Program { root: &ROOT, options_command: false, errors_twice: true, describes: false };

static ROOT: Command = Command {
    name: "etcdutl",
    short: "An administrative command line tool for etcd3.",
    persistent: &[
        Flag::text("write-out", "simple", "output format (fields, json, protobuf, simple, table)").short('w'),
        Flag::new("timeout", Kind::Duration, "10s", "how long to wait for the lock on the database file, 0 for ever"),
    ],
    subs: &[
        DEFRAG,
        Command {
            name: "snapshot",
            short: "Manages etcd node snapshots",
            subs: &[
                Command {
                    name: "restore",
                    args_text: "<filename> --data-dir {output dir} [options]",
                    short: "Restores an etcd member snapshot to an etcd directory",
                    flags: offline::RESTORE_FLAGS,
                    run: Some(offline::snapshot_restore),
                    ..COMMAND
                },
                Command {
                    name: "status",
                    args_text: "<filename>",
                    short: "Gets backend snapshot status of a given file",
                    run: Some(offline::snapshot_status),
                    ..COMMAND
                },
            ],
            ..COMMAND
        },
        Command {
            name: "hashkv",
            args_text: "<filename>",
            short: "Prints the KV history hash of a given file",
            flags: &[Flag::int("rev", "0", "maximum revision to hash (default: latest revision)")],
            args: Args::Exactly(1),
            run: Some(offline::hash_kv),
            ..COMMAND
        },
        Command { name: "version", short: "Prints the version of etcdutl", run: Some(version), ..COMMAND },
        Command::later("migrate"),
        Command::later("completion"),
        Command { name: "help", args_text: "[command]", short: "Help about any command", ..COMMAND },
    ],
    ..COMMAND
};

const DEFRAG: Command = Command {
    name: "defrag",
    short: "Defragments the storage of the etcd",
    flags: &[Flag::text("data-dir", "", "defragment a data directory that is not in use by etcd").required()],
    run: Some(defrag),
    ..COMMAND
};

fn defrag(call: &Call) -> Result<(), Exit> {
    offline::defragment(call.flags.text("data-dir"), offline::lock_patience(call))
}

fn version(_: &Call) -> Result<(), Exit> {
    print(&format!("etcdutl version: {}\nAPI version: {}\n", crate::VERSION, crate::api_version()))
}
