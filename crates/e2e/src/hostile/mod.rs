//! Bad input from every side: what comes over the ports, what lies on the disk, a disk that is full or cannot be written,
//! flags and files that make no sense. Each case must end in a clear error or in service, never in a panic, and must lose
//! nothing.

pub mod disks;
pub mod files;
pub mod flags;
pub mod wire;

use crate::process::{Plan, Scratch};
use client::rpc::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use tonic::transport::Channel;

pub type Failure = Box<dyn std::error::Error>;

/// All cases, with `rounds` as the measure of random ones; gives how many passed. The cases that mount file systems need root and
/// are left out, loudly, without it.
pub async fn run(binary: &Path, rounds: usize, port: u16) -> Result<usize, Failure> {
    let scratch = Scratch::new("hostile")?;
    let mut score = Score::default();
    let plan = |name: &str| Plan::new(binary, scratch.path().join(name), port);
    flags::all(binary, scratch.path(), &mut score)?;
    wire::all(&plan("wire"), &mut score, rounds).await?;
    files::all(&plan("files"), &mut score, rounds / 4 + 1).await?;
    if is_root() {
        disks::all(&plan("disks"), &mut score).await?;
    } else {
        println!("LEFT OUT: a full disk and a read-only directory need root");
    }
    Ok(score.passed)
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Counts what has passed.
#[derive(Debug, Default)]
pub struct Score {
    pub passed: usize,
}

impl Score {
    pub fn pass(&mut self, what: &str) {
        self.passed += 1;
        println!("ok: {what}");
    }
}

/// Errs where a log shows that the program has panicked.
pub fn no_panic(log: &Path, what: &str) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    match text.lines().find(|line| line.contains("panicked at")) {
        Some(line) => Err(format!("{what}: {line}").into()),
        None => Ok(()),
    }
}

/// Runs a program to its end; gives its status and all it printed.
pub fn run_to_end(binary: &Path, words: &[&str]) -> Result<(ExitStatus, String), Failure> {
    let output = Command::new(binary).args(words).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok((output.status, text))
}

/// Puts `count` keys `data/0000` and so on.
pub async fn put_keys(channel: &Channel, count: usize) -> Result<(), Failure> {
    let mut kv = KvClient::new(channel.clone());
    for i in 0..count {
        let request =
            PutRequest { key: format!("data/{i:04}").into(), value: vec![b'x'; 200].into(), ..Default::default() };
        kv.put(request).await?;
    }
    Ok(())
}

/// How many keys `data/…` there are.
pub async fn count_keys(channel: &Channel) -> Result<i64, Failure> {
    let request =
        RangeRequest { key: "data/".into(), range_end: "data0".into(), count_only: true, ..Default::default() };
    Ok(KvClient::new(channel.clone()).range(request).await?.into_inner().count)
}
