//! `watch`

mod args;
mod follow;
mod interactive;

use crate::cli::{Call, Command, Flag};
use crate::exit::Exit;

use super::online::online;

const FLAGS: &[Flag] = &[
    Flag::bool("interactive", "read watches from standard input, a line each").short('i'),
    Flag::bool("prefix", "watch all keys that begin so"),
    Flag::int("rev", "0", "begin with the changes of this revision"),
    Flag::bool("prev-kv", "show key and value before the change, too"),
    Flag::bool("progress-notify", "have the server tell now and then how far it is"),
];

pub const COMMAND: Command = Command {
    name: "watch",
    args_text: "[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
    short: "Shows changes of a key or range as they happen",
    long: "Shows changes of a key or range as they happen.\n\nA command after '--' runs once for each event, with the event in its \
           environment: ETCD_WATCH_REVISION,\nETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY, ETCD_WATCH_VALUE.\n\nETCDCTL_WATCH_KEY \
           and ETCDCTL_WATCH_RANGE_END stand for the key and the range end.",
    flags: FLAGS,
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    if call.flags.bool("interactive") {
        return online(call, async |online| interactive::run(online).await);
    }
    let plan = args::plan(&call.flags, &call.args, call.before_dash, &args::FromEnv::read())?;
    online(call, async |online| follow::follow(&online.patient, online.printer, plan, None).await)
}
