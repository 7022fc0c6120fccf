//! While serving: slow requests, compactions, snapshots.

use std::path::Path;
use std::time::Duration;

use super::path;
use crate::logging::{Field, Value, debug, info, warn};

/// What took longer than `--warning-apply-duration`.
pub struct SlowApply<'a> {
    pub took: Duration,
    pub expected: Duration,
    /// Empty, `read-only range ` or `read-only txn `.
    pub prefix: &'a str,
    /// The request without its values.
    pub request: &'a str,
    pub response: &'a str,
    pub error: Option<&'a str>,
}

/// An applied request or a local read was slow.
#[track_caller]
pub fn apply_took_too_long(slow: &SlowApply<'_>) {
    let mut fields: Vec<Field<'_>> = vec![
        ("took", slow.took.into()),
        ("expected-duration", slow.expected.into()),
        ("prefix", slow.prefix.into()),
        ("request", slow.request.into()),
        ("response", slow.response.into()),
    ];
    fields.extend(slow.error.map(|error| ("error", error.into())));
    warn("apply request took too long", &fields);
}

/// A request was refused while it was applied. `request` is without its values.
#[track_caller]
pub fn failed_to_apply(took: Duration, request: &str, error: &str) {
    let fields = [("took", took.into()), ("request", request.into()), ("response", "".into()), ("error", error.into())];
    warn("failed to apply request", &fields);
}

/// One unary request, for [`request_stats`]. Counts and sizes are -1 where they are not known.
pub struct RequestStats<'a> {
    pub start: &'a str,
    pub spent: Duration,
    pub remote: &'a str,
    /// The full method, `/etcdserverpb.KV/Put`.
    pub method: &'a str,
    pub request_count: i64,
    pub request_size: i64,
    pub response_count: i64,
    pub response_size: i64,
    pub content: &'a str,
}

/// A unary request took longer than `--warning-unary-request-duration`; at level debug every one is shown.
#[track_caller]
pub fn request_stats(stats: &RequestStats<'_>, slow: bool) {
    let fields = [
        ("start time", stats.start.into()),
        ("time spent", stats.spent.into()),
        ("remote", stats.remote.into()),
        ("response type", stats.method.into()),
        ("request count", stats.request_count.into()),
        ("request size", stats.request_size.into()),
        ("response count", stats.response_count.into()),
        ("response size", stats.response_size.into()),
        ("request content", stats.content.into()),
    ];
    if slow { warn("request stats", &fields) } else { debug("request stats", &fields) }
}

/// Above this a sync of the log is slow.
pub const SLOW_SYNC: Duration = Duration::from_secs(1);

/// A sync of the log took longer than [`SLOW_SYNC`].
#[track_caller]
pub fn slow_fdatasync(took: Duration) {
    warn("slow fdatasync", &[("took", took.into()), ("expected-duration", SLOW_SYNC.into())]);
}

/// A read waits for its index.
#[track_caller]
pub fn read_index_retry(request: u64, timeout: Duration) {
    let message = "waiting for ReadIndex response took too long, retrying";
    warn(message, &[("sent-request-id", request.into()), ("retry-timeout", timeout.into())]);
}

/// A read has waited for its index in vain.
#[track_caller]
pub fn read_index_timeout(timeout: Duration) {
    let message = "timed out waiting for read index response (local node might have slow network)";
    warn(message, &[("timeout", timeout.into())]);
}

/// A compaction's sweep has ended.
pub struct Compacted {
    pub revision: i64,
    pub took: Duration,
    pub keys: u64,
    /// `None` where the sweep was resumed after a restart.
    pub hash: Option<u32>,
    pub db_bytes: u64,
    pub db_bytes_in_use: u64,
}

/// See [`Compacted`].
#[track_caller]
pub fn compaction_finished(done: &Compacted) {
    let mut fields: Vec<Field<'_>> = vec![
        ("compact-revision", done.revision.into()),
        ("took", done.took.into()),
        ("number-of-keys-compacted", done.keys.into()),
    ];
    fields.extend(done.hash.map(|hash| ("hash", hash.into())));
    fields.extend([
        ("current-db-size-bytes", done.db_bytes.into()),
        ("current-db-size", human_bytes(done.db_bytes).into()),
        ("current-db-size-in-use-bytes", done.db_bytes_in_use.into()),
        ("current-db-size-in-use", human_bytes(done.db_bytes_in_use).into()),
    ]);
    info("finished scheduled compaction", &fields);
}

/// A size as people read it: `25 kB`, `1.2 MB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog10() / 3) as usize;
    let value = (bytes as f64 / 1000f64.powi(power as i32) * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 { format!("{value:.1} {}", UNITS[power]) } else { format!("{value:.0} {}", UNITS[power]) }
}

/// A Snapshot call begins: the size of what is sent.
#[track_caller]
pub fn sending_snapshot(bytes: u64, storage_version: &str) {
    info(
        "sending database snapshot to client",
        &[
            ("total-bytes", bytes.into()),
            ("size", human_bytes(bytes).into()),
            ("storage-version", storage_version.into()),
        ],
    );
}

/// A Snapshot call has ended well.
#[track_caller]
pub fn sent_snapshot(bytes: u64, took: Duration, storage_version: &str) {
    info(
        "successfully sent database snapshot to client",
        &[
            ("total-bytes", bytes.into()),
            ("size", human_bytes(bytes).into()),
            ("took", took.into()),
            ("storage-version", storage_version.into()),
        ],
    );
}

/// A defragmentation begins, and has ended.
#[track_caller]
pub fn defragment(finished: bool) {
    info(if finished { "finished defragment" } else { "starting defragment" }, &[]);
}

/// A member as the membership has it, for the lines below.
pub struct MemberLine<'a> {
    pub cluster: u64,
    pub local: u64,
    pub member: u64,
    pub peer_urls: &'a [String],
    pub is_learner: bool,
}

/// A member was added.
#[track_caller]
pub fn added_member(line: &MemberLine<'_>) {
    let fields = [
        ("cluster-id", Value::id(line.cluster)),
        ("local-member-id", Value::id(line.local)),
        ("added-peer-id", Value::id(line.member)),
        ("added-peer-peer-urls", line.peer_urls.into()),
        ("added-peer-is-learner", line.is_learner.into()),
    ];
    info("added member", &fields);
}

/// A member was removed.
#[track_caller]
pub fn removed_member(line: &MemberLine<'_>) {
    let fields = [
        ("cluster-id", Value::id(line.cluster)),
        ("local-member-id", Value::id(line.local)),
        ("removed-remote-peer-id", Value::id(line.member)),
        ("removed-remote-peer-urls", line.peer_urls.into()),
        ("removed-remote-peer-is-learner", line.is_learner.into()),
    ];
    info("removed member", &fields);
}

/// A learner has become a voter; etcd names it no further.
#[track_caller]
pub fn promoted_member(line: &MemberLine<'_>) {
    info("promote member", &[("cluster-id", Value::id(line.cluster)), ("local-member-id", Value::id(line.local))]);
}

/// A member has other peer URLs.
#[track_caller]
pub fn updated_member(line: &MemberLine<'_>) {
    let fields = [
        ("cluster-id", Value::id(line.cluster)),
        ("local-member-id", Value::id(line.local)),
        ("updated-remote-peer-id", Value::id(line.member)),
        ("updated-remote-peer-urls", line.peer_urls.into()),
    ];
    info("updated member", &fields);
}

/// A raft snapshot was made and is on disk.
#[track_caller]
pub fn saved_snapshot(index: u64) {
    info("saved snapshot to disk", &[("snapshot-index", index.into())]);
}

/// An old log segment or snapshot was removed.
#[track_caller]
pub fn purged(file: &Path) {
    info("purged", &[("path", path(file))]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_read_them() {
        let sizes =
            [(0, "0 B"), (9, "9 B"), (999, "999 B"), (25_600, "26 kB"), (1_234_567, "1.2 MB"), (82_854_982, "83 MB")];
        for (bytes, text) in sizes {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
