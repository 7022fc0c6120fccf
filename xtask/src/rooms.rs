//! The direction of dependencies: which room may use which, and that the pure rooms reach no runtime, no transport.

use crate::{Failure, root};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The rooms in their order: each uses only rooms before it.
const ORDER: [&str; 17] = [
    "gotext", "proto", "disk", "raft", "bolt", "wal", "mvcc", "state", "node", "peer", "client", "server", "ctl",
    "e2e", "bench", "sim", "testkit",
];

/// The rooms above the line; `sim` is below it in the list but runs the same pure code.
const PURE: [&str; 10] = ["gotext", "proto", "disk", "raft", "bolt", "wal", "mvcc", "state", "node", "sim"];

/// What no pure room may reach, however indirectly, outside of its tests.
const FORBIDDEN: [&str; 10] =
    ["tokio", "hyper", "tonic", "rustls", "clap", "axum", "h2", "mio", "tower", "tracing-subscriber"];

/// Prints what breaks the order and errs if anything does.
pub fn check() -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for room in PURE {
        for name in reachable(room)? {
            if FORBIDDEN.contains(&name.as_str()) {
                wrong.push(format!("{room} reaches {name}"));
            }
        }
    }
    for (room, uses) in direct_uses()? {
        let place = position(&room);
        wrong.extend(uses.iter().filter(|other| position(other) > place).map(|other| format!("{room} uses {other}")));
    }
    if !wrong.is_empty() {
        return Err(format!("dependencies run against the order of the rooms:\n  {}", wrong.join("\n  ")).into());
    }
    println!("rooms: {} pure rooms reach no runtime, {} rooms keep their order", PURE.len(), ORDER.len());
    Ok(())
}

fn position(room: &str) -> usize {
    ORDER.iter().position(|name| *name == room).unwrap_or(usize::MAX)
}

/// The names of all packages that `room` needs when it is built without its tests.
fn reachable(room: &str) -> Result<BTreeSet<String>, Failure> {
    let text = tree(&["--package", room, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// For each room the rooms it names under `[dependencies]`.
fn direct_uses() -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
    let mut uses = BTreeMap::new();
    for room in ORDER {
        let text = tree(&[
            "--package",
            room,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--depth",
            "1",
            "--format",
            "{p}",
        ])?;
        let names = text.lines().skip(1).filter_map(|line| line.split(' ').next());
        uses.insert(room.to_owned(), names.filter(|n| ORDER.contains(n)).map(str::to_owned).collect());
    }
    Ok(uses)
}

fn tree(arguments: &[&str]) -> Result<String, Failure> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).arg("tree").args(arguments).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
