//! `mixed --ours BINARY --old-3.4 BINARY --old-3.5 BINARY [--scenarios a,b,c] [--rest MILLISECONDS] [--cap false] [--port N]`:
//! members of one program replaced by those of another under load; see [`e2e::cluster::mixed`]. Scenario a goes from 3.4 to
//! ours, b from 3.5 to ours, c from 3.5 to ours and back to 3.5. `--cap false` leaves out `--compat-version`, with what
//! depends on it, so that another etcd can stand in for ours. Needs curl.

use e2e::cluster::arguments::Arguments;
use e2e::cluster::mixed::{self, Program, Scenario, program};
use e2e::cluster::{Failure, bounded, conclude};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What one scenario may take.
const LIMIT_SECS: u64 = 900;
const CAP: &str = "--compat-version";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(&["ours", "old-3.4", "old-3.5", "scenarios", "rest", "cap", "port"])?;
    let names = arguments.text("scenarios").unwrap_or("a,b,c");
    let limit = Duration::from_secs(LIMIT_SECS) * u32::try_from(names.split(',').count())?;
    Ok(conclude("mixed", bounded(limit, run(&arguments, names)).await))
}

async fn run(arguments: &Arguments, names: &str) -> Result<usize, Failure> {
    let mut violations = 0;
    for name in names.split(',') {
        violations += mixed::run(&scenario(name, arguments)?).await?;
    }
    Ok(violations)
}

fn scenario(name: &str, arguments: &Arguments) -> Result<Scenario, Failure> {
    let capped = arguments.or("cap", true)?;
    let ours = |version: &str| -> Result<Program, Failure> {
        let flags: &[&str] = if capped { &[CAP, version] } else { &[] };
        Ok(program("ours", Path::new(arguments.required("ours")?), flags, false))
    };
    let old = |version: &str| -> Result<Program, Failure> {
        let binary = arguments.required(&format!("old-{version}"))?;
        Ok(program(&format!("v{}", version.replace('.', "")), Path::new(binary), &["--enable-v2=true"], true))
    };
    let lift = capped.then_some((CAP, "3.7.0"));
    let (first, then, guest, lift) = match name {
        "a" => (old("3.4")?, vec![ours("3.4")?], capped.then(|| old("3.4")).transpose()?, lift),
        "b" => (old("3.5")?, vec![ours("3.5")?], Some(old("3.5")?), lift),
        "c" => (old("3.5")?, vec![ours("3.5")?, old("3.5")?], Some(old("3.5")?), None),
        other => return Err(format!("there is no scenario {other}").into()),
    };
    let rest = Duration::from_millis(arguments.or("rest", 1000)?);
    Ok(Scenario { name: name.to_owned(), first, then, guest, lift, rest, port: arguments.or("port", 22_600)? })
}
