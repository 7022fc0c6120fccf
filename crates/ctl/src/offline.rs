//! Commands on files of members that do not run. `etcdutl` offers them, and `etcdctl` some, as it did up to 3.5.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::{Disk, RealDisk};
use node::InitialMember;
use node::restore::{self, RestoreOptions, ToolError};

use crate::cli::{Call, Flag, Kind};
use crate::exit::Exit;
use crate::log;
use crate::print::{Answer, FileFigures, FileHash, Format, Printer};

const PLACE: &str = "ctl/offline.rs";
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The flags of `snapshot restore`.
pub const RESTORE_FLAGS: &[Flag] = &[
    Flag::text("data-dir", "", "path of the data directory to make (default \"<name>.etcd\")"),
    Flag::text("wal-dir", "", "path of the WAL directory to make (default: inside the data directory)"),
    Flag::text("name", "default", "human-readable name of this member"),
    Flag::text("initial-cluster", "default=http://localhost:2380", "members of the new cluster"),
    Flag::text("initial-cluster-token", "etcd-cluster", "token of the new cluster"),
    Flag::text("initial-advertise-peer-urls", "http://localhost:2380", "this member's peer URLs"),
    Flag::bool("skip-hash-check", "do not compare the checksum (required if the file comes from a data directory)"),
    Flag::new("bump-revision", Kind::Uint, "0", "how much to raise the latest revision by"),
    Flag::bool("mark-compacted", "mark the revision before the raise as compacted (required with --bump-revision)"),
    Flag::new(
        "initial-memory-map-size",
        Kind::Uint,
        "10737418240",
        "taken for etcd's sake; files are not mapped into memory here",
    ),
];

/// `snapshot status <file>`
pub fn snapshot_status(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("snapshot status requires exactly one argument"));
    }
    let printer = printer(call)?;
    let status = restore::status(disk(), &call.file(0)).map_err(failed)?;
    let figures = FileFigures {
        hash: status.hash,
        revision: status.revision,
        total_keys: status.total_keys,
        total_size: status.total_size,
        version: status.version,
    };
    printer.show(&Answer::FileFigures(&figures))
}

/// `snapshot restore <file>`
pub fn snapshot_restore(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("snapshot restore requires exactly one argument"));
    }
    let flags = &call.flags;
    let (bump, mark_compacted) = (flags.uint("bump-revision"), flags.bool("mark-compacted"));
    if (bump > 0) != mark_compacted {
        return Err(Exit::bad_args("--mark-compacted required if --revision-bump > 0"));
    }
    let bump_revision = i64::try_from(bump).map_err(|_| Exit::bad_args("--bump-revision is too large"))?;
    let name = flags.text("name").to_owned();
    let data_dir = match flags.text("data-dir") {
        "" => PathBuf::from(format!("{name}.etcd")),
        dir => PathBuf::from(dir),
    };
    let wal_dir = Some(flags.text("wal-dir")).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let options = RestoreOptions {
        disk: disk(),
        snapshot: call.file(0),
        initial_cluster: cluster(flags.text("initial-cluster"))?,
        initial_cluster_token: flags.text("initial-cluster-token").to_owned(),
        peer_urls: peer_urls(flags.text("initial-advertise-peer-urls"))?,
        skip_hash_check: flags.bool("skip-hash-check"),
        bump_revision,
        mark_compacted,
        name,
        data_dir,
        wal_dir,
    };
    let fields = || {
        let wal = options.wal_dir.clone().unwrap_or_else(|| options.data_dir.join("member/wal"));
        let shown = |path: &Path| path.display().to_string().into();
        [
            ("path", shown(&options.snapshot)),
            ("wal-dir", shown(&wal)),
            ("data-dir", shown(&options.data_dir)),
            ("snap-dir", shown(&options.data_dir.join("member/snap"))),
            (
                "initial-memory-map-size",
                i64::try_from(flags.uint("initial-memory-map-size")).unwrap_or(i64::MAX).into(),
            ),
        ]
    };
    log::console("info", PLACE, "restoring snapshot", &fields());
    restore::restore(&options).map_err(|error| match error {
        ToolError::NoFile { path } => Exit::error(format!("open {}: no such file or directory", path.display())),
        other => failed(other),
    })?;
    log::console("info", PLACE, "restored snapshot", &fields());
    Ok(())
}

/// `url,...`, in their own form.
fn peer_urls(list: &str) -> Result<Vec<String>, Exit> {
    Ok(gotext::Url::parse_list(list).map_err(Exit::error)?.iter().map(ToString::to_string).collect())
}

/// `name=url,...` as members, in order of name.
fn cluster(list: &str) -> Result<Vec<InitialMember>, Exit> {
    let named = gotext::parse_named(list).map_err(Exit::error)?;
    let member = |(name, urls): (String, Vec<gotext::Url>)| InitialMember {
        name,
        peer_urls: urls.iter().map(ToString::to_string).collect(),
    };
    Ok(named.into_iter().map(member).collect())
}

/// `hashkv <file>`
pub fn hash_kv(call: &Call) -> Result<(), Exit> {
    let printer = printer(call)?;
    let (path, revision) = (call.file(0), call.flags.int("rev"));
    let hash = patiently(lock_patience(call), || restore::hash_kv(disk(), &path, revision));
    let hash = hash.map_err(|error| match error {
        // Offline there is no server whose name could stand in front.
        ToolError::Store(error) if error.client().is_some() => {
            Exit::error(error.to_string().trim_start_matches("etcdserver: "))
        }
        other => failed(other),
    })?;
    let hash = FileHash { hash: hash.hash, hash_revision: hash.hash_revision, compact_revision: hash.compact_revision };
    printer.show(&Answer::FileHash(&hash))
}

/// How long to wait for the lock on a file; `None` is for ever.
pub fn lock_patience(call: &Call) -> Option<Duration> {
    call.flags.duration("timeout").filter(|patience| !patience.is_zero())
}

/// `defrag --data-dir <dir>`; waits so long for a process that holds the file.
pub fn defragment(data_dir: &str, patience: Option<Duration>) -> Result<(), Exit> {
    let dir = Path::new(data_dir);
    let fields = || [("path", dir.join("member/snap/db").display().to_string().into())];
    log::console("info", PLACE, "defragmenting", &fields());
    let begun = Instant::now();
    patiently(patience, || restore::defragment(disk(), dir)).map_err(|error| {
        Exit::error(format!(
            "Failed to defragment etcd data[{data_dir}] ({})",
            failed(error).message.unwrap_or_default()
        ))
    })?;
    let [path] = fields();
    let took = crate::go::format_duration(begun.elapsed().as_nanos() as i128);
    log::console("info", PLACE, "finished defragmenting directory", &[path, ("took", took.into())]);
    Ok(())
}

/// Tries again while another process holds the file.
fn patiently<T>(patience: Option<Duration>, work: impl Fn() -> Result<T, ToolError>) -> Result<T, ToolError> {
    let begun = Instant::now();
    loop {
        match work() {
            Err(error) if is_locked(&error) && patience.is_none_or(|patience| begun.elapsed() < patience) => {
                std::thread::sleep(LOCK_PAUSE);
            }
            other => return other,
        }
    }
}

fn is_locked(error: &ToolError) -> bool {
    matches!(
        error,
        ToolError::Locked { .. }
            | ToolError::Bolt(bolt::Error::Locked)
            | ToolError::Store(mvcc::Error::Bolt(bolt::Error::Locked))
    )
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn printer(call: &Call) -> Result<Printer, Exit> {
    Ok(Printer { format: Format::parse(call.flags.text("write-out"))?, hex: false, values_only: false })
}

/// A tool's refusal in Go's words.
fn failed(error: ToolError) -> Exit {
    if is_locked(&error) {
        return Exit::error("failed to open database: timeout (another process holds the file)");
    }
    Exit::error(match error {
        ToolError::Io { what, path, source } => {
            format!("{} {}: {}", what.trim_start_matches("cannot "), path.display(), reason(&source))
        }
        ToolError::WrongChecksum { expected, got } => {
            format!("expected sha256 {}, got {}", numbers(&expected), numbers(&got))
        }
        ToolError::Store(mvcc::Error::Bolt(bolt::Error::Invalid { .. })) => "invalid database".to_owned(),
        other => other.to_string(),
    })
}

fn numbers(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    format!("[{}]", shown.join(" "))
}

/// What the file system says, in its own words without the number.
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        std::io::ErrorKind::StorageFull => "no space left on device".to_owned(),
        _ => error.to_string().to_lowercase(),
    }
}
