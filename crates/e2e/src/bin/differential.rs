//! `differential --ours BINARY --reference NAME=BINARY... [--seed N] [--count N] [--port N]`: sends the same random
//! requests to a fresh server of each binary and compares.

use e2e::differential::{Side, run};
use e2e::process::{Plan, Scratch};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    sides: Vec<(String, String)>,
    seed: u64,
    count: usize,
    port: u16,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut parsed = Arguments { sides: vec![], seed: 1, count: 20_000, port: 22_400 };
    let mut ours = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--ours" => ours = Some(value),
            "--reference" => {
                let (name, binary) = value.split_once('=').ok_or("--reference wants NAME=BINARY")?;
                parsed.sides.push((name.to_owned(), binary.to_owned()));
            }
            "--seed" => parsed.seed = value.parse()?,
            "--count" => parsed.count = value.parse()?,
            "--port" => parsed.port = value.parse()?,
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    parsed.sides.push(("ours".to_owned(), ours.ok_or("--ours is missing")?));
    Ok(parsed)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = arguments()?;
    let scratch = Scratch::new("differential")?;
    let (mut servers, mut sides) = (Vec::new(), Vec::new());
    for (place, (name, binary)) in arguments.sides.iter().enumerate() {
        let port = arguments.port + 2 * u16::try_from(place)?;
        let server = Plan::new(binary, scratch.path().join(name), port).start().await?;
        sides.push(Side { name: name.clone(), url: server.plan().url() });
        servers.push(server);
    }
    let same = run(&sides, arguments.seed, arguments.count).await?;
    for server in servers {
        server.stop()?;
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
