//! `cluster-faults --binary BINARY [--seconds N] [--phases A,B,...] [--seed N] [--holds MILLISECONDS] [--sizes 2,4,7,9]
//! [--asks-progress true] [--syncs strict|journal|lying]`: clusters of processes in a network of their own, harmed under load;
//! see [`e2e::cluster`]. The phases are network5, network3, disks3, full3, stall3 (not unless named: a leader's disk hangs
//! for 60 s), sizes and split; `--seconds` is the time of faults in all. Needs root, iproute2, nftables and `/dev/fuse`.

use e2e::cluster::arguments::Arguments;
use e2e::cluster::disk::Syncs;
use e2e::cluster::faults::{DISKS, Fault, NETWORK};
use e2e::cluster::group::{Form, Kind};
use e2e::cluster::phase::{self, Phase};
use e2e::cluster::{Failure, bounded, conclude, proxy, sizes};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a phase may take beyond the time of its faults: forming, the last healing, judging.
const MARGIN_SECS: u64 = 900;

/// How long the disk hangs in `stall3`.
const STALL_MILLIS: u64 = 60_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    if let Some((listen, target)) = proxy::asked() {
        proxy::serve(&listen, &target).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let known = ["binary", "seconds", "phases", "seed", "holds", "sizes", "asks-progress", "syncs"];
    let arguments = Arguments::parse(&known)?;
    let seconds: u64 = arguments.or("seconds", 60)?;
    let outcome = bounded(Duration::from_secs(seconds + MARGIN_SECS), run(&arguments, seconds)).await;
    Ok(conclude("cluster-faults", outcome))
}

async fn run(arguments: &Arguments, seconds: u64) -> Result<usize, Failure> {
    let began = Instant::now();
    let binary = std::path::PathBuf::from(arguments.required("binary")?);
    let names = arguments.text("phases").unwrap_or("network5,network3,disks3,full3,sizes,split");
    let names: Vec<&str> = names.split(',').collect();
    let shares: u64 = names.iter().map(|name| share(name)).sum();
    let mut violations = 0;
    for name in names {
        match name {
            "sizes" => {
                for size in arguments.text("sizes").unwrap_or("2,4,7,9").split(',') {
                    violations += counted(sizes::survives(&binary, size.parse()?).await);
                }
            }
            "split" => violations += counted(sizes::split_of_four(&binary).await),
            name => {
                // One fault at least.
                let seconds = (seconds * share(name) / shares.max(1)).max(1);
                violations += phase::run(&phase(name, arguments, seconds)?).await?;
            }
        }
    }
    println!("cluster-faults: seed {}, {:.0} s", arguments.or("seed", 1)?, began.elapsed().as_secs_f64());
    Ok(violations)
}

fn counted(done: Result<(), Failure>) -> usize {
    match done {
        Ok(()) => 0,
        Err(failure) => {
            println!("VIOLATION: {failure}");
            1
        }
    }
}

/// The share of a phase in the time.
fn share(name: &str) -> u64 {
    match name {
        "network5" | "network3" | "disks3" => 3,
        "full3" => 1,
        _ => 0,
    }
}

fn phase(name: &str, arguments: &Arguments, seconds: u64) -> Result<Phase, Failure> {
    let (name, size, disk, proxies, faults) = match name {
        "network5" => ("network5", 5, Kind::Plain, true, NETWORK.to_vec()),
        "network3" => ("network3", 3, Kind::Plain, true, NETWORK.to_vec()),
        "disks3" => ("disks3", 3, Kind::Test(arguments.or("syncs", Syncs::Strict)?), false, DISKS.to_vec()),
        "stall3" => {
            ("stall3", 3, Kind::Test(arguments.or("syncs", Syncs::Strict)?), false, vec![Fault::StallLeaderSyncs])
        }
        "full3" => ("full3", 3, Kind::Small(900), false, vec![Fault::FillDisk]),
        other => return Err(format!("there is no phase {other}").into()),
    };
    let holds: u64 = arguments.or("holds", 4000)?;
    let holds = if name == "stall3" { STALL_MILLIS..STALL_MILLIS + 1 } else { holds / 4..holds };
    // A small count lets snapshots fall into the run.
    let extra = ["--snapshot-count", "1000", "--max-wals", "2", "--max-snapshots", "2"].map(str::to_owned).to_vec();
    let form = Form {
        binary: arguments.required("binary")?.into(),
        size,
        disk,
        proxies,
        extra,
        seed: arguments.or("seed", 1)?,
    };
    let asks_progress = arguments.or("asks-progress", true)?;
    Ok(Phase { name, form, faults, seconds, holds, asks_progress })
}
