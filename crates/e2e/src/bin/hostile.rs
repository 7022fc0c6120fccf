//! `hostile --binary BINARY [--rounds N] [--port N]`: bad input from every side. The cases that mount file systems need root and
//! are left out, loudly, without it.

use e2e::hostile::{self, Failure, Score};
use e2e::process::{Plan, Scratch};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let (mut binary, mut rounds, mut port) = (String::new(), 100, 22_200);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--binary" => binary = value,
            "--rounds" => rounds = value.parse()?,
            "--port" => port = value.parse()?,
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    let scratch = Scratch::new("hostile")?;
    let mut score = Score::default();
    let plan = |name: &str| Plan::new(&binary, scratch.path().join(name), port);
    hostile::flags::all(binary.as_ref(), scratch.path(), &mut score)?;
    hostile::wire::all(&plan("wire"), &mut score, rounds).await?;
    hostile::files::all(&plan("files"), &mut score, rounds / 4 + 1).await?;
    if is_root() {
        hostile::disks::all(&plan("disks"), &mut score).await?;
    } else {
        println!("LEFT OUT: a full disk and a read-only directory need root");
    }
    println!("hostile: {} passed, 0 failed", score.passed);
    Ok(ExitCode::SUCCESS)
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}
