//! `failover --ours BINARY --reference BINARY [--rounds N] [--verdict false] [--port N]`: kills and stops the leader of
//! three members of each program in turn, with default timings, and compares how long no write was answered; see
//! [`e2e::cluster::failover`]. Election timeouts are random, so the verdict is over all rounds and leaves some room.

use e2e::cluster::arguments::Arguments;
use e2e::cluster::failover::{Outages, Trio, Way};
use e2e::cluster::{Failure, bounded, conclude};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What a round may take.
const ROUND_SECS: u64 = 120;
/// Outages after a kill may be longer than the reference's by this, on average and at most.
const MEAN_MAX: f64 = 1.15;
const LONGEST_MAX: f64 = 1.3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(&["ours", "reference", "rounds", "verdict", "port"])?;
    let rounds: u64 = arguments.or("rounds", 5)?;
    let limit = Duration::from_secs(ROUND_SECS * (rounds + 1) * 4);
    Ok(conclude("failover", bounded(limit, run(&arguments, rounds)).await))
}

async fn run(arguments: &Arguments, rounds: u64) -> Result<usize, Failure> {
    let mut longer = 0;
    let mut found = Vec::new();
    for name in ["reference", "ours"] {
        let binary = Path::new(arguments.required(name)?);
        let mut trio = Trio::form(name, binary, arguments.or("port", 22_700)?).await?;
        let mut outages = [Outages::default(), Outages::default()];
        for round in 1..=rounds {
            for (way, outages) in [Way::Killed, Way::Stopped].into_iter().zip(&mut outages) {
                let millis = trio.outage(way).await.map_err(|failure| format!("{name}: {failure}"))?;
                println!("    {name}, round {round}: leader {way:?}, no write for {millis} ms");
                outages.0.push(millis);
            }
        }
        found.push(outages);
    }
    let [reference, ours] = &found[..] else { return Err("two programs are compared".into()) };
    for (place, way) in [Way::Killed, Way::Stopped].into_iter().enumerate() {
        let (ours, reference) = (&ours[place], &reference[place]);
        let mean = ours.mean() / reference.mean();
        let longest = ours.longest() as f64 / reference.longest().max(1) as f64;
        println!(
            "failover, leader {way:?}: mean {:.0} ms beside {:.0} ms, ratio {mean:.2}; longest {} ms beside {} ms, ratio {longest:.2}",
            ours.mean(),
            reference.mean(),
            ours.longest(),
            reference.longest()
        );
        longer += usize::from(way == Way::Killed && (mean > MEAN_MAX || longest > LONGEST_MAX));
    }
    if arguments.or("verdict", true)? {
        return Ok(longer);
    }
    println!("failover: figures without a verdict");
    Ok(0)
}
