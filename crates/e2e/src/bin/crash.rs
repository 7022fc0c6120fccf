//! `crash --binary BINARY [--cycles N] [--seed N] [--port N]`: see [`e2e::crash`].

use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    binary: String,
    cycles: u64,
    seed: u64,
    port: u16,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut parsed = Arguments { binary: String::new(), cycles: 50, seed: 1, port: 22_300 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--binary" => parsed.binary = value,
            "--cycles" => parsed.cycles = value.parse()?,
            "--seed" => parsed.seed = value.parse()?,
            "--port" => parsed.port = value.parse()?,
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    if parsed.binary.is_empty() { Err("--binary is missing".into()) } else { Ok(parsed) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = arguments()?;
    let Arguments { cycles, seed, port, .. } = arguments;
    println!("{}", e2e::crash::run(arguments.binary.as_ref(), cycles, seed, port).await?);
    Ok(ExitCode::SUCCESS)
}
