//! `member`

use client::methods;
use proto::etcdserverpb::MemberListRequest;

use super::online::online;
use crate::cli::{Call, Command, Flag};
use crate::exit::Exit;
use crate::print::Answer;

pub const COMMAND: Command = Command {
    name: "member",
    short: "Shows the members of the cluster",
    subs: &[
        Command::later("add"),
        Command::later("remove"),
        Command::later("update"),
        Command {
            name: "list",
            short: "Shows all members of the cluster",
            long: "Shows all members of the cluster.\n\nThe simple format has one line for each member: ID, status, name, \
                   peer addresses, client addresses, is learner.",
            flags: &[Flag::text("consistency", "l", "l for linearizable, s for serializable")],
            run: Some(list),
            ..crate::cli::COMMAND
        },
        Command::later("promote"),
    ],
    ..crate::cli::COMMAND
};

fn list(call: &Call) -> Result<(), Exit> {
    let linearizable = match call.flags.text("consistency") {
        "l" => true,
        "s" => false,
        // etcd names the default instead of what was given; scripts see the same text here.
        _ => return Err(Exit::bad_feature("unknown consistency flag \"l\"")),
    };
    online(call, async |online| {
        let answer = online.client().call(&methods::MEMBER_LIST, MemberListRequest { linearizable }).await?;
        online.printer.show(&Answer::Members(&answer))
    })
}
