//! `compaction`

use client::methods;
use proto::etcdserverpb::CompactionRequest;

use super::online::online;
use crate::cli::{Call, Command, Flag, print};
use crate::exit::Exit;
use crate::go::parse_int;

pub const COMMAND: Command = Command {
    name: "compaction",
    args_text: "[options] <revision>",
    short: "Forgets the history before a revision",
    flags: &[Flag::bool("physical", "wait until all old revisions are physically removed")],
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("compaction command needs 1 argument"));
    }
    let revision = parse_int(&call.text(0), 10).map_err(Exit::error)?;
    let request = CompactionRequest { revision, physical: call.flags.bool("physical") };
    online(call, async |online| {
        online.client().call(&methods::COMPACT, request).await?;
        print(&format!("compacted revision {revision}\n"))
    })
}
