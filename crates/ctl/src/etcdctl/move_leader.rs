//! `move-leader`

use client::methods;
use proto::etcdserverpb::{MoveLeaderRequest, StatusRequest};

use super::online::online;
use crate::cli::{Call, Command};
use crate::exit::Exit;
use crate::go::parse_uint;
use crate::print::Answer;

pub const COMMAND: Command = Command {
    name: "move-leader",
    args_text: "<transferee-member-id>",
    short: "Has another member take over as leader",
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("move-leader command needs 1 argument"));
    }
    let target_id = parse_uint(&call.text(0), 16).map_err(Exit::bad_args)?;
    online(call, async |online| {
        for endpoint in online.endpoints() {
            let client = online.client_of(endpoint, "etcd-client")?;
            let status = client.call(&methods::STATUS, StatusRequest {}).await?;
            let leads = status.header.is_some_and(|header| header.member_id == status.leader);
            if leads {
                client.call(&methods::MOVE_LEADER, MoveLeaderRequest { target_id }).await?;
                return online.printer.show(&Answer::MoveLeader { from: status.leader, to: target_id });
            }
        }
        Err(Exit::bad_args(format!("no leader endpoint given at [{}]", online.endpoints().join(" "))))
    })
}
