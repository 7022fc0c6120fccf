//! `downgrade`: has the cluster accept members of the release before.

use client::methods;
use proto::etcdserverpb::DowngradeRequest;
use proto::etcdserverpb::downgrade_request::DowngradeAction;

use super::online::online;
use crate::cli::{Call, Command};
use crate::exit::Exit;
use crate::print::Answer;

pub const COMMAND: Command = Command {
    name: "downgrade",
    short: "Prepares the cluster for members of the release before",
    subs: &[
        Command {
            name: "validate",
            args_text: "<TARGET_VERSION>",
            short: "Tells whether the cluster can go down to a version",
            run: Some(|call| to_target(call, DowngradeAction::Validate, "validate")),
            ..crate::cli::COMMAND
        },
        Command {
            name: "enable",
            args_text: "<TARGET_VERSION>",
            short: "Has the cluster go down to a version",
            run: Some(|call| to_target(call, DowngradeAction::Enable, "enable")),
            ..crate::cli::COMMAND
        },
        Command {
            name: "cancel",
            short: "Ends a downgrade that is under way",
            run: Some(|call| ask(call, DowngradeAction::Cancel, "cancel", String::new())),
            ..crate::cli::COMMAND
        },
    ],
    ..crate::cli::COMMAND
};

fn to_target(call: &Call, action: DowngradeAction, name: &'static str) -> Result<(), Exit> {
    let version = match call.args.len() {
        0 => return Err(Exit::bad_args("TARGET_VERSION not provided")),
        1 => call.text(0),
        _ => return Err(Exit::bad_args("too many arguments")),
    };
    if version.is_empty() {
        return Err(Exit::bad_args("target version not provided"));
    }
    ask(call, action, name, version)
}

fn ask(call: &Call, action: DowngradeAction, name: &'static str, version: String) -> Result<(), Exit> {
    online(call, async |online| {
        let request = DowngradeRequest { action: action as i32, version };
        let answer = online.client().call(&methods::DOWNGRADE, request).await?;
        online.printer.show(&Answer::Downgrade(name, &answer))
    })
}
