//! Chores of the repository: `cargo xtask <chore>`.
//!
//! - `codegen [--check]`: writes the Rust code of `proto/*.proto` into the crates that hold it, or checks that it is
//!   fresh. No system protoc is used.
//! - `licences`: checks the licences of all packages.
//! - `rooms`: checks the direction of dependencies between the crates.

mod codegen;
mod licences;
mod rooms;

use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: cargo xtask codegen [--check] | licences | rooms";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["codegen"] => codegen::write(),
        ["codegen", "--check"] => codegen::check(),
        ["licences"] => licences::check(),
        ["rooms"] => rooms::check(),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies one folder below the root").to_path_buf()
}
