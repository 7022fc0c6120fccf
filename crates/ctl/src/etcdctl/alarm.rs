//! `alarm`

use client::{Client, methods};
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{AlarmRequest, AlarmResponse};

use super::online::online;
use crate::cli::{Call, Command};
use crate::exit::Exit;
use crate::print::Answer;

pub const COMMAND: Command = Command {
    name: "alarm",
    short: "Shows and clears alarms",
    subs: &[
        Command { name: "list", short: "Shows the alarms of all members", run: Some(list), ..crate::cli::COMMAND },
        Command { name: "disarm", short: "Clears the alarms of all members", run: Some(disarm), ..crate::cli::COMMAND },
    ],
    ..crate::cli::COMMAND
};

/// The alarms of all members.
pub async fn alarms(client: &Client) -> Result<AlarmResponse, client::Error> {
    let request = AlarmRequest { action: AlarmAction::Get as i32, ..AlarmRequest::default() };
    client.call(&methods::ALARM, request).await
}

fn list(call: &Call) -> Result<(), Exit> {
    if !call.args.is_empty() {
        return Err(Exit::bad_args("alarm list command accepts no arguments"));
    }
    online(call, async |online| online.printer.show(&Answer::Alarms(&alarms(&online.client()).await?)))
}

fn disarm(call: &Call) -> Result<(), Exit> {
    if !call.args.is_empty() {
        return Err(Exit::bad_args("alarm disarm command accepts no arguments"));
    }
    online(call, async |online| {
        let client = online.client();
        let mut disarmed = AlarmResponse::default();
        for alarm in alarms(&client).await?.alarms {
            let request =
                AlarmRequest { action: AlarmAction::Deactivate as i32, member_id: alarm.member_id, alarm: alarm.alarm };
            let answer = client.call(&methods::ALARM, request).await?;
            disarmed.header = answer.header;
            disarmed.alarms.extend(answer.alarms);
        }
        online.printer.show(&Answer::Alarms(&disarmed))
    })
}
