//! `bench run` puts a load on a server that runs; `bench compare` starts several and compares them.

use bench::compare::{Contender, compare};
use bench::load::{self, Load, Pace, Until};
use bench::work::{Kind, Shape};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn command() -> Command {
    let option = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).default_value(default).help(help)
    };
    let shape = [
        option("work", "put", "put, range, local-range, txn or lease; several with commas"),
        option("clients", "100", "clients at a time"),
        option("connections", "10", "connections they share"),
        option("keys", "100000", "keys to choose from"),
        option("value-bytes", "256", "size of a value"),
        option("seconds", "5", "length of a run"),
        option("requests", "0", "end after this many requests instead"),
        option("rate", "0", "requests a second in an open loop; 0 is a closed loop"),
    ];
    let run = Command::new("run").about("Puts a load on a running server").args(shape.clone()).arg(option(
        "endpoint",
        "http://127.0.0.1:2379",
        "the server",
    ));
    let compare = Command::new("compare")
        .about("Starts servers in turn, gives each the same work, prints medians and ratios")
        .args(shape)
        .arg(option("rounds", "5", "rounds"))
        .arg(option("port", "22700", "client port of the servers; the next one is for peers"))
        .arg(
            Arg::new("server").long("server").action(ArgAction::Append).required(true).help("NAME=BINARY, ours first"),
        );
    Command::new("bench").about("Load on servers").subcommand_required(true).subcommand(run).subcommand(compare)
}

fn number<T: std::str::FromStr>(matches: &ArgMatches, name: &str) -> Result<T, Failure> {
    let text = matches.get_one::<String>(name).map_or("", String::as_str);
    text.parse().map_err(|_| format!("--{name}: {text} is no number that fits").into())
}

fn loads(matches: &ArgMatches) -> Result<Vec<Load>, Failure> {
    let (rate, requests): (f64, u64) = (number(matches, "rate")?, number(matches, "requests")?);
    let names = matches.get_one::<String>("work").map_or("", String::as_str);
    let until = match requests {
        0 => Until::Time(Duration::from_secs_f64(number(matches, "seconds")?)),
        count => Until::Requests(count),
    };
    let load = |name: &str| -> Result<Load, Failure> {
        Ok(Load {
            kind: Kind::parse(name).ok_or_else(|| format!("unknown work {name}"))?,
            shape: Shape { keys: number(matches, "keys")?, value_bytes: number(matches, "value-bytes")? },
            clients: number(matches, "clients")?,
            connections: number(matches, "connections")?,
            pace: if rate > 0.0 { Pace::Open { per_sec: rate } } else { Pace::Closed },
            until,
        })
    };
    names.split(',').map(load).collect()
}

async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let endpoint = matches.get_one::<String>("endpoint").map_or("", String::as_str);
    for load in loads(matches)? {
        let channels = load::connect(endpoint, load.connections).await?;
        if load.kind.reads() {
            load::fill(&channels, load.shape).await?;
        }
        let outcome = load::run(&channels, load).await?;
        let at = |quantile| outcome.latency_us.value_at_quantile(quantile);
        println!(
            "{}: {:.0}/s, {} requests, {} failed; latency us p50 {} p90 {} p99 {} p99.9 {} max {}",
            load.kind.name(),
            outcome.per_sec(),
            outcome.requests,
            outcome.failed,
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            outcome.latency_us.max()
        );
        if let Some(failure) = outcome.first_failure {
            println!("first failure: {failure}");
        }
    }
    Ok(())
}

fn contenders(matches: &ArgMatches) -> Result<Vec<Contender>, Failure> {
    let words = matches.get_many::<String>("server").into_iter().flatten();
    words
        .map(|word| {
            let (name, binary) = word.split_once('=').ok_or("--server wants NAME=BINARY")?;
            Ok(Contender { name: name.to_owned(), binary: binary.into(), flags: vec![] })
        })
        .collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("run", matches)) => run(matches).await?,
        Some(("compare", matches)) => {
            let (rounds, port) = (number(matches, "rounds")?, number(matches, "port")?);
            for load in loads(matches)? {
                compare(&contenders(matches)?, load, rounds, port).await?;
            }
        }
        _ => return Err("run or compare".into()),
    }
    Ok(ExitCode::SUCCESS)
}
