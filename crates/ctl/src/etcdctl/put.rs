//! `put`

use std::io::Read;

use client::methods;
use proto::etcdserverpb::PutRequest;

use super::online::online;
use crate::cli::{Call, Command, Flag, Values};
use crate::exit::Exit;
use crate::go::parse_int;
use crate::print::Answer;

pub const FLAGS: &[Flag] = &[
    Flag::text("lease", "0", "lease to bind the key to, in hexadecimal"),
    Flag::bool("prev-kv", "show the key and value as they were before"),
    Flag::bool("ignore-value", "keep the present value"),
    Flag::bool("ignore-lease", "keep the present lease"),
];

pub const COMMAND: Command = Command {
    name: "put",
    args_text: "[options] <key> <value> (<value> can also be given from stdin)",
    short: "Writes a key",
    long: "Writes a key.\n\nWithout a value argument and without --ignore-value the value is all of \
           standard input.\nA key or value that begins with '-' is taken for a flag; put '--' before it:\n\n  put <key> -- \
           <value>\n  put -- <key> <value>\n\nWith --lease 0, the default, the key has no lease afterwards. --ignore-lease \
           keeps the present one.",
    flags: FLAGS,
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    let request = request(&call.flags, &call.args, true)?;
    online(call, async |online| {
        let answer = online.client().call(&methods::PUT, request).await?;
        online.printer.show(&Answer::Put(&answer))
    })
}

/// The request of a command line; in a transaction there is no value on stdin.
pub fn request(flags: &Values, args: &[Vec<u8>], stdin: bool) -> Result<PutRequest, Exit> {
    let needs_value = || Exit::bad_args("put command needs 1 argument and input from stdin or 2 arguments");
    let key = args.first().ok_or_else(needs_value)?.clone().into();
    let (ignore_value, ignore_lease) = (flags.bool("ignore-value"), flags.bool("ignore-lease"));
    if ignore_value && args.len() > 1 {
        return Err(Exit::bad_args("put command needs only 1 argument when 'ignore-value' is set"));
    }
    let value = match args.get(1) {
        _ if ignore_value => Vec::new(),
        Some(value) => value.clone(),
        None if stdin => read_all().filter(|value| !value.is_empty()).ok_or_else(needs_value)?,
        None => return Err(needs_value()),
    };
    let lease = parse_int(flags.text("lease"), 16)
        .map_err(|why| Exit::bad_args(format!("bad lease ID ({why}), expecting ID in Hex")))?;
    Ok(PutRequest { key, value: value.into(), lease, prev_kv: flags.bool("prev-kv"), ignore_value, ignore_lease })
}

fn read_all() -> Option<Vec<u8>> {
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).ok().map(|_| value)
}
