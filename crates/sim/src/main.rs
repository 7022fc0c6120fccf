//! `cargo run -p sim -- --seeds N --from S`: runs many seeds. `--seed S`: runs one, and says what it amounted to.

use std::process::ExitCode;

use sim::{Options, try_run};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let (from, count) = match number("--seed") {
        Some(seed) => (seed, 1),
        None => (number("--from").unwrap_or(1), number("--seeds").unwrap_or(100)),
    };
    let mut failed = Vec::new();
    for seed in from..from + count {
        match try_run(Options::of_seed(seed)) {
            Ok(summary) => println!("seed {seed}: {summary}"),
            Err(reason) => {
                println!("seed {seed}: FAILED: {reason}\n  replay: cargo run -p sim -- --seed {seed}");
                failed.push(seed);
            }
        }
    }
    println!("{count} seeds from {from}: {} failed {failed:?}", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
