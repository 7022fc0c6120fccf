//! `del`

use std::time::Duration;

use client::methods;
use proto::etcdserverpb::DeleteRangeRequest;

use super::keys;
use super::online::online;
use crate::cli::{Call, Command, Flag, Values};
use crate::exit::Exit;
use crate::go::quote_bytes;
use crate::print::Answer;

const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

pub const FLAGS: &[Flag] = &[
    Flag::bool("prefix", "delete all keys that begin so"),
    Flag::bool("from-key", "delete this key and all that follow"),
    Flag::bool("prev-kv", "show what was deleted"),
    Flag::bool("range", "delete a range at once, without time for second thoughts"),
];

pub const COMMAND: Command = Command {
    name: "del",
    args_text: "[options] <key> [range_end]",
    short: "Deletes a key, or all keys of a range (its end excluded)",
    flags: FLAGS,
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    let request = request(&call.flags, &call.args)?;
    if let [key, end] = call.args.as_slice()
        && !call.flags.bool("range")
    {
        eprintln!(
            "Warning: Keys between {} and {} will be deleted. Please interrupt the command within next 2 seconds to \
             cancel. You can provide `--range` flag to avoid the delay.",
            quote_bytes(key),
            quote_bytes(end)
        );
        std::thread::sleep(SECOND_THOUGHTS);
    }
    online(call, async |online| {
        let answer = online.client().call(&methods::DELETE_RANGE, request).await?;
        online.printer.show(&Answer::Delete(&answer))
    })
}

/// The request of a command line.
pub fn request(flags: &Values, args: &[Vec<u8>]) -> Result<DeleteRangeRequest, Exit> {
    if args.is_empty() || args.len() > 2 {
        return Err(Exit::bad_args("del command needs one argument as key and an optional argument as range_end"));
    }
    keys::refuse_both(flags)?;
    let (key, range_end) = keys::range(flags, args)?;
    Ok(DeleteRangeRequest { key, range_end, prev_kv: flags.bool("prev-kv") })
}
