//! `get`

use client::{Client, methods, streams};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse};

use super::keys;
use super::online::online;
use crate::cli::{Call, Command, Flag, Values};
use crate::exit::Exit;
use crate::print::{Answer, Format, Printer};

pub const FLAGS: &[Flag] = &[
    Flag::text("consistency", "l", "l for linearizable, s for serializable"),
    Flag::text("order", "", "ASCEND (the default) or DESCEND"),
    Flag::text("sort-by", "", "what to sort by: CREATE, KEY, MODIFY, VALUE or VERSION"),
    Flag::int("limit", "0", "take so many keys at most"),
    Flag::bool("prefix", "take all keys that begin so"),
    Flag::bool("from-key", "take this key and all that follow"),
    Flag::int("rev", "0", "read the store as it was at this revision"),
    Flag::bool("keys-only", "leave the values out"),
    Flag::bool("count-only", "only count the keys"),
    Flag::bool("print-value-only", "print only values, in the \"simple\" format"),
    Flag::int("min-create-rev", "0", "leave out keys created before this revision"),
    Flag::int("max-create-rev", "0", "leave out keys created after this revision"),
    Flag::int("min-mod-rev", "0", "leave out keys last changed before this revision"),
    Flag::int("max-mod-rev", "0", "leave out keys last changed after this revision"),
    Flag::bool("stream", "receive the answer in parts, for large ranges"),
];

pub const COMMAND: Command = Command {
    name: "get",
    args_text: "[options] <key> [range_end]",
    short: "Reads a key, or all keys of a range",
    flags: FLAGS,
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    let request = request(&call.flags, &call.args)?;
    let stream = call.flags.bool("stream");
    online(call, async |online| {
        let client = online.client();
        let answer =
            if stream { whole(&client, request).await? } else { client.call(&methods::RANGE, request).await? };
        if call.flags.bool("count-only") && online.printer.format != Format::Fields {
            return Err(Exit::bad_args("--count-only is only for `--write-out=fields`"));
        }
        let values_only = call.flags.bool("print-value-only");
        if values_only && online.printer.format != Format::Simple {
            return Err(Exit::bad_args("print-value-only is only for `--write-out=simple`"));
        }
        Printer { values_only, ..online.printer }.show(&Answer::Get(&answer))
    })
}

/// The request of a command line.
pub fn request(flags: &Values, args: &[Vec<u8>]) -> Result<RangeRequest, Exit> {
    if args.is_empty() {
        return Err(Exit::bad_args("get command needs one argument as key and an optional argument as range_end"));
    }
    keys::refuse_both(flags)?;
    let (keys_only, count_only) = (flags.bool("keys-only"), flags.bool("count-only"));
    if keys_only && count_only {
        return Err(Exit::bad_args("`--keys-only` and `--count-only` cannot be set at the same time, choose one"));
    }
    let serializable = match flags.text("consistency") {
        "s" => true,
        "l" => false,
        other => return Err(Exit::bad_feature(format!("unknown consistency flag \"{other}\""))),
    };
    let (key, range_end) = keys::range(flags, args)?;
    let (sort_order, sort_target) = sorting(flags)?;
    let (min_mod_revision, max_mod_revision) = window(flags, "mod", "Mod")?;
    let (min_create_revision, max_create_revision) = window(flags, "create", "Create")?;
    Ok(RangeRequest {
        key,
        range_end,
        limit: flags.int("limit").max(0),
        revision: flags.int("rev").max(0),
        sort_order,
        sort_target,
        serializable,
        keys_only,
        count_only,
        min_mod_revision,
        max_mod_revision,
        min_create_revision,
        max_create_revision,
    })
}

fn sorting(flags: &Values) -> Result<(i32, i32), Exit> {
    let (order, target) = (flags.text("order"), flags.text("sort-by"));
    let sort_order = match order.to_uppercase().as_str() {
        "ASCEND" => SortOrder::Ascend,
        "DESCEND" => SortOrder::Descend,
        "" if target.is_empty() => SortOrder::None,
        "" => SortOrder::Ascend,
        _ => return Err(Exit::bad_feature(format!("bad sort order {order}"))),
    };
    let sort_target = match target.to_uppercase().as_str() {
        "" | "KEY" => SortTarget::Key,
        "CREATE" => SortTarget::Create,
        "MODIFY" => SortTarget::Mod,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => return Err(Exit::bad_feature(format!("bad sort target {target}"))),
    };
    // In order of keys is how answers come anyway.
    let plain = sort_order == SortOrder::Ascend && sort_target == SortTarget::Key;
    let sort_order = if plain { SortOrder::None } else { sort_order };
    Ok((sort_order as i32, sort_target as i32))
}

fn window(flags: &Values, flag: &str, name: &str) -> Result<(i64, i64), Exit> {
    let (min, max) = (flags.int(&format!("min-{flag}-rev")), flags.int(&format!("max-{flag}-rev")));
    if max > 0 && min > max {
        return Err(Exit::bad_feature(format!("getMin{name}Rev(={min}) > getMax{name}Rev(={max})")));
    }
    Ok((min.max(0), max.max(0)))
}

/// An answer that comes in parts, put together.
async fn whole(client: &Client, request: RangeRequest) -> Result<RangeResponse, client::Error> {
    let mut parts = client.open_answers::<_, RangeStreamResponse>(streams::RANGE_STREAM, request).await?;
    let mut whole = RangeResponse::default();
    while let Some(part) = client.within(parts.message()).await? {
        let Some(part) = part.range_response else { continue };
        whole.header = part.header.or(whole.header);
        whole.kvs.extend(part.kvs);
        whole.more = part.more;
        whole.count = whole.count.max(part.count);
    }
    Ok(whole)
}
