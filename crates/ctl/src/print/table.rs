//! `-w table`: boxes. Headers are centred, with the odd blank to the right; cells stand at the right.

use proto::etcdserverpb::{Member, StatusResponse};

use super::{Answer, Health, list_text, offline, took_text};
use crate::go::humanize_bytes;

type Rows = (Vec<&'static str>, Vec<Vec<String>>);

const MEMBERS: [&str; 6] = ["id", "status", "name", "peer addrs", "client addrs", "is learner"];
const HEALTH: [&str; 4] = ["endpoint", "health", "took", "error"];
const HASH_KV: [&str; 3] = ["endpoint", "hash", "hash revision"];
const STATUS: [&str; 16] = [
    "endpoint",
    "id",
    "version",
    "storage version",
    "db size",
    "in use",
    "percentage not in use",
    "quota",
    "is leader",
    "is learner",
    "raft term",
    "raft index",
    "raft applied index",
    "errors",
    "downgrade target version",
    "downgrade enabled",
];

/// Only some answers have this form.
pub fn render(answer: &Answer<'_>) -> Option<String> {
    rows(answer).map(|(header, rows)| boxed(&header, &rows))
}

/// The answer as rows; the simple form shows them too.
pub fn rows(answer: &Answer<'_>) -> Option<Rows> {
    Some(match answer {
        Answer::Members(answer) => (MEMBERS.into(), answer.members.iter().map(member_row).collect()),
        Answer::Health(healths) => (HEALTH.into(), healths.iter().map(health_row).collect()),
        Answer::Status(list) => {
            (STATUS.into(), list.iter().map(|(endpoint, status)| status_row(endpoint, status)).collect())
        }
        Answer::HashKv(list) => {
            let row = |(endpoint, answer): &(String, proto::etcdserverpb::HashKvResponse)| {
                vec![endpoint.clone(), answer.hash.to_string(), answer.hash_revision.to_string()]
            };
            (HASH_KV.into(), list.iter().map(row).collect())
        }
        Answer::FileFigures(figures) => (offline::FIGURES_HEADER.into(), vec![offline::figures_row(figures)]),
        Answer::FileHash(hash) => (offline::HASH_HEADER.into(), vec![offline::hash_row(hash)]),
        _ => return None,
    })
}

fn member_row(member: &Member) -> Vec<String> {
    let status = if member.name.is_empty() { "unstarted" } else { "started" };
    vec![
        format!("{:x}", member.id),
        status.to_owned(),
        member.name.clone(),
        member.peer_urls.join(","),
        member.client_urls.join(","),
        member.is_learner.to_string(),
    ]
}

fn health_row(health: &Health) -> Vec<String> {
    let error = health.error.clone().unwrap_or_default();
    vec![health.endpoint.clone(), health.error.is_none().to_string(), took_text(health.took), error]
}

fn status_row(endpoint: &str, status: &StatusResponse) -> Vec<String> {
    let member = status.header.as_ref().map_or(0, |header| header.member_id);
    let (size, in_use) = (size(status.db_size), size(status.db_size_in_use));
    let free = if status.db_size > 0 { 100 - status.db_size_in_use * 100 / status.db_size } else { 0 };
    let downgrade = status.downgrade_info.clone().unwrap_or_default();
    vec![
        endpoint.to_owned(),
        format!("{member:x}"),
        status.version.clone(),
        status.storage_version.clone(),
        size,
        in_use,
        format!("{free}%"),
        self::size(status.db_size_quota),
        (status.leader == member).to_string(),
        status.is_learner.to_string(),
        status.raft_term.to_string(),
        status.raft_index.to_string(),
        status.raft_applied_index.to_string(),
        list_text(&status.errors),
        downgrade.target_version,
        downgrade.enabled.to_string(),
    ]
}

/// Sizes are signed on the wire and never negative.
fn size(bytes: i64) -> String {
    humanize_bytes(u64::try_from(bytes).unwrap_or(0))
}

/// A box around a header and rows of as many cells.
pub fn boxed(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|cell| cell.replace('_', " ").to_uppercase()).collect();
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(|cell| cell.trim()).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let bar = |left, middle, right| {
        let parts: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", parts.join(middle))
    };
    let line = |cells: Vec<String>| format!("│{}│\n", cells.join("│"));
    let head = header.iter().zip(&widths).map(|(cell, width)| format!(" {cell:^width$} ")).collect();
    let mut out = bar("┌", "┬", "┐") + &line(head);
    if !rows.is_empty() {
        out += &bar("├", "┼", "┤");
    }
    for row in &rows {
        out += &line(row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$} ")).collect());
    }
    out + &bar("└", "┴", "┘")
}
