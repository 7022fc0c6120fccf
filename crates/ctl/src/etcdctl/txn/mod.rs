//! `txn`: comparisons and requests from standard input, three lists that each end with an empty line.

mod compare;
mod request;

use std::io::BufRead;

use client::methods;
use proto::etcdserverpb::TxnRequest;

use super::online::online;
use crate::cli::{Call, Command, Flag, print};
use crate::exit::{Exit, INVALID_INPUT};
use crate::print::Answer;

pub const COMMAND: Command = Command {
    name: "txn",
    args_text: "[options]",
    short: "Carries out requests together, depending on comparisons",
    flags: &[Flag::bool("interactive", "prompt for the input").short('i')],
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    if !call.args.is_empty() {
        return Err(Exit::bad_args("txn command does not accept argument"));
    }
    let interactive = call.flags.bool("interactive");
    online(call, async |online| {
        let mut input = std::io::stdin().lock();
        let prompt = |text: &str| if interactive { print(&format!("{text}\n")) } else { Ok(()) };
        prompt("compares:")?;
        let compare = read(&mut input, |line| compare::parse(line).map_err(invalid))?;
        prompt("success requests (get, put, del):")?;
        let success = read(&mut input, request::parse)?;
        prompt("failure requests (get, put, del):")?;
        let failure = read(&mut input, request::parse)?;
        let answer = online.patient.call(&methods::TXN, TxnRequest { compare, success, failure }).await?;
        online.printer.show(&Answer::Txn(&answer))
    })
}

fn invalid(text: String) -> Exit {
    Exit::new(INVALID_INPUT, text)
}

/// Lines up to an empty one, which must come.
fn read<T>(input: &mut impl BufRead, parse: impl Fn(&str) -> Result<T, Exit>) -> Result<Vec<T>, Exit> {
    let mut items = Vec::new();
    loop {
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line).map_err(|error| invalid(error.to_string()))?;
        if line.pop() != Some(b'\n') {
            return Err(invalid("EOF".to_owned()));
        }
        let line = String::from_utf8(line)
            .map_err(|_| invalid("input is not UTF-8; write other bytes as \\xNN in double quotes".to_owned()))?;
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return Ok(items);
        }
        items.push(parse(line)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<String>, Exit> {
        read(&mut text.as_bytes(), |line| Ok(line.to_owned()))
    }

    #[test]
    fn a_list_ends_with_an_empty_line_and_not_with_the_input() {
        assert_eq!(list("a\nb\n\nc").unwrap(), ["a", "b"]);
        assert_eq!(list("\n").unwrap(), Vec::<String>::new());
        assert_eq!(read(&mut &b"a\xff\n\n"[..], |_| Ok(())).unwrap_err().code, INVALID_INPUT);
        for cut in ["", "a\n", "a"] {
            assert_eq!(list(cut).unwrap_err(), Exit::new(INVALID_INPUT, "EOF"));
        }
    }
}
