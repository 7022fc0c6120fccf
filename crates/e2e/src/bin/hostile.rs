//! `hostile --binary BINARY [--rounds N] [--port N]`: bad input from every side.

use e2e::hostile::Failure;
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
    let passed = e2e::hostile::run(binary.as_ref(), rounds, port).await?;
    println!("hostile: {passed} passed, 0 failed");
    Ok(ExitCode::SUCCESS)
}
