//! `member`

use client::methods;
use proto::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
};

use super::online::online;
use crate::cli::{Call, Command, Flag};
use crate::exit::Exit;
use crate::go::parse_uint;
use crate::print::Answer;

const PEER_URLS: Flag = Flag::text("peer-urls", "", "peer URLs of the member, separated by commas");

pub const COMMAND: Command = Command {
    name: "member",
    short: "Shows and changes the members of the cluster",
    subs: &[
        Command {
            name: "add",
            args_text: "<memberName> [options]",
            short: "Adds a member to the cluster",
            long: "Adds a member to the cluster.\n\nThe simple format ends with the settings that the new member has to be \
                   started with.",
            flags: &[PEER_URLS, Flag::bool("learner", "add it as a learner, which follows without a vote")],
            run: Some(add),
            ..crate::cli::COMMAND
        },
        Command {
            name: "remove",
            args_text: "<memberID>",
            short: "Removes a member from the cluster",
            run: Some(remove),
            ..crate::cli::COMMAND
        },
        Command {
            name: "update",
            args_text: "<memberID> [options]",
            short: "Gives a member other peer URLs",
            flags: &[PEER_URLS],
            run: Some(update),
            ..crate::cli::COMMAND
        },
        Command {
            name: "list",
            short: "Shows all members of the cluster",
            long: "Shows all members of the cluster.\n\nThe simple format has one line for each member: ID, status, name, \
                   peer addresses, client addresses, is learner.",
            flags: &[Flag::text("consistency", "l", "l for linearizable, s for serializable")],
            run: Some(list),
            ..crate::cli::COMMAND
        },
        Command {
            name: "promote",
            args_text: "<memberID>",
            short: "Gives a learner that has caught up its vote",
            run: Some(promote),
            ..crate::cli::COMMAND
        },
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

fn add(call: &Call) -> Result<(), Exit> {
    let name = match call.args.as_slice() {
        [] => return Err(Exit::bad_args("member name not provided")),
        [_] => call.name(0)?,
        args => {
            let urls = (0..args.len()).map(|at| call.text(at)).filter(|arg| arg.starts_with("http"));
            let hints = urls.map(|url| format!(", did you mean --peer-urls={url}"));
            return Err(Exit::bad_args(format!("too many arguments{}", hints.collect::<String>())));
        }
    };
    let urls = given_urls(call)?;
    online(call, async |online| {
        let peer_urls = checked(urls)?;
        let request = MemberAddRequest { peer_urls, is_learner: call.flags.bool("learner") };
        let answer = online.client().call(&methods::MEMBER_ADD, request).await?;
        let peer_urls = call.flags.text("peer-urls");
        online.printer.show(&Answer::Added { name: &name, peer_urls, answer: &answer })
    })
}

fn remove(call: &Call) -> Result<(), Exit> {
    let id = member_id(call)?;
    online(call, async |online| {
        let answer = online.client().call(&methods::MEMBER_REMOVE, MemberRemoveRequest { id }).await?;
        online.printer.show(&Answer::Removed(id, &answer))
    })
}

fn update(call: &Call) -> Result<(), Exit> {
    let id = member_id(call)?;
    let urls = given_urls(call)?;
    online(call, async |online| {
        let request = MemberUpdateRequest { id, peer_urls: checked(urls)? };
        let answer = online.client().call(&methods::MEMBER_UPDATE, request).await?;
        online.printer.show(&Answer::Updated(id, &answer))
    })
}

fn promote(call: &Call) -> Result<(), Exit> {
    let id = member_id(call)?;
    online(call, async |online| {
        let answer = online.client().call(&methods::MEMBER_PROMOTE, MemberPromoteRequest { id }).await?;
        online.printer.show(&Answer::Promoted(id, &answer))
    })
}

fn member_id(call: &Call) -> Result<u64, Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("member ID is not provided"));
    }
    parse_uint(&call.text(0), 16)
        .map_err(|why| Exit::bad_args(format!("bad member ID arg ({why}), expecting ID in Hex")))
}

fn given_urls(call: &Call) -> Result<Vec<String>, Exit> {
    match call.flags.text("peer-urls") {
        "" => Err(Exit::bad_args("member peer urls not provided")),
        list => Ok(list.split(',').map(str::to_owned).collect()),
    }
}

/// The URLs as they were given; what the server would refuse is refused here, with the texts that Go's client has for it.
fn checked(urls: Vec<String>) -> Result<Vec<String>, Exit> {
    for url in &urls {
        gotext::Url::parse(url).map_err(Exit::error)?;
    }
    Ok(urls)
}
