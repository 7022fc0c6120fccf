//! `defrag`

use std::time::{Duration, Instant};

use client::methods;
use proto::etcdserverpb::DefragmentRequest;

use super::online::{Online, online};
use crate::cli::{Call, Command, Flag, print};
use crate::exit::Exit;
use crate::go::format_duration;
use crate::offline;

/// How long to wait for a process that holds the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

pub const COMMAND: Command = Command {
    name: "defrag",
    short: "Has each endpoint rewrite its database file densely",
    flags: &[
        Flag::bool("cluster", "ask for the members first, and use the endpoints of all of them"),
        Flag::text("data-dir", "", "defragment a data directory that is not in use").hidden(),
    ],
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    let data_dir = call.flags.text("data-dir");
    if !data_dir.is_empty() {
        eprintln!("Deprecated: Use `etcdutl defrag` instead.\n");
        return offline::defragment(data_dir, Some(LOCK_PATIENCE));
    }
    online(call, async |online| {
        let mut failed = false;
        for endpoint in online.chosen_endpoints(call).await? {
            failed |= !one(online, &endpoint).await?;
        }
        if failed { Err(Exit::silent(1)) } else { Ok(()) }
    })
}

/// Whether it worked; the user has been told.
async fn one(online: &Online, endpoint: &str) -> Result<bool, Exit> {
    let begun = Instant::now();
    let client = online.client_of(endpoint, "etcd-client")?;
    let answer = client.call(&methods::DEFRAGMENT, DefragmentRequest {}).await;
    let took = format_duration(begun.elapsed().as_nanos() as i128);
    match answer {
        Ok(_) => print(&format!("Finished defragmenting etcd member[{endpoint}]. took {took}\n"))?,
        Err(error) => {
            eprintln!("Failed to defragment etcd member[{endpoint}]. took {took}. ({error})");
            return Ok(false);
        }
    }
    Ok(true)
}
