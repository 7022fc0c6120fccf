//! `hostile-peer --binary BINARY [--reference BINARY] [--poison false] [--rounds N] [--print true]
//! [--port N]`: bad input on the peer port of a cluster of
//! the binary, and of one of the reference, whose answers must be the same; see [`e2e::cluster::hostile`]. `--poison false`
//! leaves out what etcd itself does not survive.

use e2e::cluster::arguments::Arguments;
use e2e::cluster::{Failure, bounded, conclude, hostile};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// Cases that are answered otherwise, with the reason.
const DIFFERENCES: [(&str, &str); 11] = [
    ("a message to somebody else", "as 3.5.21 and later: 3.4 and early 3.5 take it and drop it"),
    ("a message to nobody", "as 3.5.21 and later: 3.4 and early 3.5 take it and drop it"),
    ("a hash for another cluster", "as later releases, which look at the cluster"),
    (": GET /leases", "the methods that are allowed are told, as HTTP wants it"),
    (": PUT /leases/internal", "the methods that are allowed are told, as HTTP wants it"),
    ("POST /raft: a version that is none", "said, where etcd's handler panics and drops the connection"),
    ("GET /raft/stream: a version that is none", "said, where etcd's handler panics and drops the connection"),
    ("POST /raft/snapshot: a version that is none", "said, where etcd's handler panics and drops the connection"),
    ("follower: a promotion of a stranger", "only the leader promotes; etcd's follower asks it"),
    ("follower: a promotion of a voter", "only the leader promotes; etcd's follower asks it"),
    ("follower: a time to live of nothing", "as later releases: a follower does not know"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(&["binary", "reference", "poison", "rounds", "print", "port"])?;
    let outcome = bounded(LIMIT, run(&arguments)).await;
    Ok(conclude("hostile-peer", outcome))
}

async fn run(arguments: &Arguments) -> Result<usize, Failure> {
    let port = arguments.or("port", 22_800)?;
    let poison = arguments.or("poison", true)?;
    let rounds = arguments.or("rounds", 20)?;
    let answers = hostile::run("ours", Path::new(arguments.required("binary")?), poison, rounds, port).await?;
    println!("hostile-peer: {} cases survived, nothing changed", answers.len());
    if arguments.or("print", false)? {
        answers.iter().for_each(|(name, _, answer)| println!("    {name}: {answer:?}"));
    }
    let Some(reference) = arguments.text("reference") else { return Ok(0) };
    let theirs = hostile::run("reference", Path::new(reference), false, rounds, port).await?;
    let theirs: BTreeMap<_, _> = theirs.into_iter().map(|(name, _, answer)| (name, answer)).collect();
    let (mut violations, mut compared) = (0, 0);
    for (name, _, ours) in answers.iter().filter(|(_, beside, _)| *beside) {
        let Some(theirs) = theirs.get(name) else { continue };
        compared += 1;
        if ours == theirs {
            continue;
        }
        match DIFFERENCES.iter().find(|(case, _)| name.ends_with(case)) {
            Some((_, reason)) => println!("    differs, {reason}: {name}: {ours:?}, the reference {theirs:?}"),
            None => {
                violations += 1;
                println!("VIOLATION: {name}: {ours:?}, the reference answers {theirs:?}");
            }
        }
    }
    println!("hostile-peer: {compared} answers compared");
    Ok(violations)
}
