//! The tool for files of members that do not run.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::cli::main(&ctl::ETCDUTL)
}
