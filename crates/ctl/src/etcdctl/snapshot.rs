//! `snapshot`: saving one online; what else it could do up to 3.5 works on files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::{Client, streams};
use proto::etcdserverpb::{SnapshotRequest, SnapshotResponse};

use super::online::online;
use crate::cli::{Call, Command, Presence, print};
use crate::exit::{Exit, INTERRUPTED};
use crate::go::humanize_bytes;
use crate::log;
use crate::offline;

const PLACE: &str = "etcdctl/snapshot.rs";
/// What a snapshot ends with, beyond whole pages.
const CHECKSUM_BYTES: u64 = 32;
const SECTOR_BYTES: u64 = 512;

pub const COMMAND: Command = Command {
    name: "snapshot",
    short: "Deals with snapshots of a member's database",
    subs: &[
        Command {
            name: "save",
            args_text: "<filename>",
            short: "Fetches a snapshot from a member into a file",
            run: Some(save),
            ..crate::cli::COMMAND
        },
        Command {
            name: "status",
            args_text: "<filename>",
            short: "Shows hash, revision and sizes of a snapshot file",
            presence: Presence::Deprecated,
            run: Some(|call| {
                eprintln!("Deprecated: Use `etcdutl snapshot status` instead.\n");
                offline::snapshot_status(call)
            }),
            ..crate::cli::COMMAND
        },
        Command {
            name: "restore",
            args_text: "<filename> [options]",
            short: "Makes a new data directory from a snapshot file",
            flags: offline::RESTORE_FLAGS,
            presence: Presence::Deprecated,
            run: Some(|call| {
                eprintln!("Deprecated: Use `etcdutl snapshot restore` instead.\n");
                offline::snapshot_restore(call)
            }),
            ..crate::cli::COMMAND
        },
    ],
    ..crate::cli::COMMAND
};

fn save(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("snapshot save expects one argument <filename>"));
    }
    let path = call.file(0);
    online(call, async |online| {
        let [endpoint] = online.endpoints() else {
            let endpoints = online.endpoints().join(" ");
            let text = format!("snapshot must be requested to one selected node, not multiple [{endpoints}]");
            return Err(Exit::new(INTERRUPTED, text));
        };
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let saved = fetch(&online.client_if_timed(call), endpoint, &part, &path).await;
        if saved.is_err() && part.exists() {
            // The error is what matters; a leftover is overwritten by the next attempt.
            let _removed = fs::remove_file(&part);
        }
        let version = saved.map_err(|text| Exit::new(INTERRUPTED, text))?;
        print(&format!("Snapshot saved at {}\n", path.display()))?;
        if version.is_empty() { Ok(()) } else { print(&format!("Server version {version}\n")) }
    })
}

/// Streams a snapshot into `part` and gives it its name; the storage version of the server. Errs with a text.
async fn fetch(client: &Client, endpoint: &str, part: &Path, path: &Path) -> Result<String, String> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .map_err(|error| format!("could not open {} ({})", part.display(), io_text("open", part, &error)))?;
    log::json("info", "", PLACE, "created temporary db file", &[("path", part.display().to_string().into())]);
    let begun = Instant::now();
    let opened = client.open_answers::<_, SnapshotResponse>(streams::SNAPSHOT, SnapshotRequest {}).await;
    let mut parts = opened.map_err(|error| error.to_string())?;
    log::json("info", "client", PLACE, "opened snapshot stream; downloading", &[]);
    log::json("info", "", PLACE, "fetching snapshot", &[("endpoint", endpoint.into())]);
    let (mut size, mut version) = (0u64, String::new());
    while let Some(part_of_it) = client.within(parts.message()).await.map_err(|error| error.to_string())? {
        if !part_of_it.version.is_empty() {
            version = part_of_it.version;
        }
        size += part_of_it.blob.len() as u64;
        file.write_all(&part_of_it.blob).map_err(|error| io_text("write", part, &error))?;
    }
    log::json("info", "client", PLACE, "completed snapshot read; closing", &[]);
    if size % SECTOR_BYTES != CHECKSUM_BYTES {
        return Err(format!("sha256 checksum not found [bytes: {size}]"));
    }
    file.sync_all().map_err(|error| format!("could not fsync snapshot ({})", io_text("sync", part, &error)))?;
    let fields = [
        ("endpoint", endpoint.into()),
        ("size", humanize_bytes(size).into()),
        ("took", ago_text(begun.elapsed()).into()),
        ("etcd-version", version.clone().into()),
    ];
    log::json("info", "", PLACE, "fetched snapshot", &fields);
    fs::rename(part, path).map_err(|error| {
        format!("could not rename {} to {} ({})", part.display(), path.display(), io_text("rename", part, &error))
    })?;
    log::json("info", "", PLACE, "saved", &[("path", path.display().to_string().into())]);
    Ok(version)
}

/// An error of the file system, in Go's words.
fn io_text(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{what} {}: {}", path.display(), crate::offline::reason(error))
}

/// How long ago something was, for people.
fn ago_text(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0 => "now".to_owned(),
        1 => "1 second ago".to_owned(),
        secs @ 2..60 => format!("{secs} seconds ago"),
        secs @ 60..120 => format!("{} minute ago", secs / 60),
        secs => format!("{} minutes ago", secs / 60),
    }
}
