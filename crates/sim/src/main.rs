//! `cargo run -p sim -- --seeds N --from S`: runs many seeds. `--seed S`: runs one, and says what it amounted to.
//! `--soak [--steps N] [--seed S]`: one long run of a million steps or so many, with its progress.

use std::process::ExitCode;

use sim::{Options, try_run};

/// Steps of a soak unless told otherwise.
const SOAK_STEPS: u64 = 1_000_000;

fn number(args: &[String], name: &str) -> Option<u64> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1)?.parse().ok()
}

/// The value of a flag is no flag; whatever else is unknown is refused, so that no slip makes a run of another kind.
fn check(args: &[String]) -> Result<(), String> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--soak" => {}
            "--seed" | "--seeds" | "--from" | "--steps" => {
                let value = rest.next().ok_or(format!("{arg} wants a number"))?;
                value.parse::<u64>().map_err(|_| format!("{arg} wants a number, not {value}"))?;
            }
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Err(reason) = check(&args) {
        eprintln!("{reason}; usage: sim [--seeds N] [--from S] | --seed S | --soak [--steps N] [--seed S]");
        return ExitCode::from(2);
    }
    if args.iter().any(|arg| arg == "--soak") {
        return soak(number(&args, "--seed").unwrap_or(1), number(&args, "--steps").unwrap_or(SOAK_STEPS));
    }
    match number(&args, "--seed") {
        Some(seed) => seeds(seed, 1),
        None => seeds(number(&args, "--from").unwrap_or(1), number(&args, "--seeds").unwrap_or(100)),
    }
}

fn soak(seed: u64, steps: u64) -> ExitCode {
    match try_run(Options::soak(seed, steps)) {
        Ok(summary) => {
            println!("soak of seed {seed}: {summary}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            println!("soak of seed {seed}: FAILED: {reason}\n  replay: sim --soak --steps {steps} --seed {seed}");
            ExitCode::FAILURE
        }
    }
}

fn seeds(from: u64, count: u64) -> ExitCode {
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
