//! The same work on several servers in turn, round by round; medians, and ratios to the first one.

use crate::load::{self, Load};
use crate::usage::Usage;
use e2e::process::{Plan, Scratch};
use std::path::PathBuf;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A server to compare.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    pub binary: PathBuf,
    pub flags: Vec<String>,
}

/// The figures of one round.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub per_sec: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Server CPU per request.
    pub cpu_us: f64,
    pub written_bytes: f64,
    pub resident_mib: f64,
    pub peak_mib: f64,
}

/// A line of the table: its name, and where its value is.
type Column = (&'static str, fn(&Figures) -> f64);

const COLUMNS: [Column; 7] = [
    ("requests/s", |f| f.per_sec),
    ("p50 us", |f| f.p50_us),
    ("p99 us", |f| f.p99_us),
    ("cpu us/op", |f| f.cpu_us),
    ("bytes/op", |f| f.written_bytes),
    ("resident MiB", |f| f.resident_mib),
    ("peak MiB", |f| f.peak_mib),
];

/// Runs `rounds` rounds of a load on all contenders in turn and prints the table.
pub async fn compare(contenders: &[Contender], load: Load, rounds: usize, port: u16) -> Result<(), Failure> {
    let mut figures: Vec<Vec<Figures>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            let one = measure(contender, load, port).await?;
            eprintln!(
                "{} round {}/{rounds} {}: {:.0}/s, {:.1} us CPU",
                load.kind.name(),
                round + 1,
                contender.name,
                one.per_sec,
                one.cpu_us
            );
            figures.push(one);
        }
    }
    print_table(contenders, &load, &figures);
    Ok(())
}

async fn measure(contender: &Contender, load: Load, port: u16) -> Result<Figures, Failure> {
    let scratch = Scratch::new("bench")?;
    let plan = Plan::new(&contender.binary, scratch.path().join("data"), port).with(contender.flags.clone());
    let server = plan.start().await?;
    let channels = load::connect(&plan.url(), load.connections).await?;
    if load.kind.reads() {
        load::fill(&channels, load.shape).await?;
    }
    let before = Usage::of(server.pid())?;
    let outcome = load::run(&channels, load).await?;
    let after = Usage::of(server.pid())?;
    drop(channels);
    server.kill()?;
    if let Some(failure) = outcome.first_failure {
        return Err(format!("{} of {} requests failed, first: {failure}", outcome.failed, contender.name).into());
    }
    let requests = outcome.requests as f64;
    Ok(Figures {
        per_sec: outcome.per_sec(),
        p50_us: outcome.latency_us.value_at_quantile(0.5) as f64,
        p99_us: outcome.latency_us.value_at_quantile(0.99) as f64,
        cpu_us: (after.cpu - before.cpu).as_secs_f64() * 1e6 / requests,
        written_bytes: (after.written_bytes - before.written_bytes) as f64 / requests,
        resident_mib: after.resident_bytes as f64 / (1 << 20) as f64,
        peak_mib: after.peak_bytes as f64 / (1 << 20) as f64,
    })
}

fn print_table(contenders: &[Contender], load: &Load, figures: &[Vec<Figures>]) {
    println!(
        "{}: {} clients on {} connections, {} keys, values of {} bytes; medians of {} rounds",
        load.kind.name(),
        load.clients,
        load.connections,
        load.shape.keys,
        load.shape.value_bytes,
        figures.first().map_or(0, Vec::len)
    );
    print!("{:<14}", "");
    contenders.iter().for_each(|contender| print!("{:>14}", contender.name));
    contenders.iter().skip(1).for_each(|contender| print!("{:>18}", format!("ours/{}", contender.name)));
    println!();
    for (name, value) in COLUMNS {
        let medians: Vec<f64> = figures.iter().map(|rounds| median(rounds.iter().map(value).collect())).collect();
        print!("{name:<14}");
        medians.iter().for_each(|median| print!("{median:>14.1}"));
        medians.iter().skip(1).for_each(|median| print!("{:>18.2}", medians[0] / median));
        println!();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(vec![]).is_nan());
    }
}
