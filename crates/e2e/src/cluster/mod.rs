//! Clusters of several processes, ours or etcd's: formed, harmed, healed, and judged by what their clients saw. The programs
//! `cluster-faults`, `mixed`, `failover` and `hostile-peer` are made of this.

pub mod access;
pub mod arguments;
pub mod disk;
pub mod failover;
pub mod faults;
mod fuse;
pub mod group;
pub mod history;
pub mod hostile;
pub mod linear;
pub mod load;
pub mod member;
pub mod mixed;
pub mod net;
pub mod phase;
pub mod proxy;
pub mod sizes;
pub mod watcher;

use std::time::Duration;

/// Anything that ends a run.
pub type Failure = Box<dyn std::error::Error>;

/// Whether a process of this id lives.
pub fn alive(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

/// Runs to the end, but no longer than this, and not past SIGINT or SIGTERM: whatever was started is cleaned up as the
/// future is dropped.
pub async fn bounded<T>(limit: Duration, run: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = run => done,
        () = tokio::time::sleep(limit) => Err(format!("not done within {} s", limit.as_secs()).into()),
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

/// Says how a run ended: with so many violations, or before its end, which counts as one.
pub fn conclude(name: &str, outcome: Result<usize, Failure>) -> std::process::ExitCode {
    let violations = outcome.unwrap_or_else(|failure| {
        println!("VIOLATION: {failure}");
        1
    });
    println!("{name}: {violations} violations");
    if violations == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
