//! The command-line client.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::cli::main(&ctl::ETCDCTL)
}
