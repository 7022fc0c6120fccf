//! Rows of the answers about files.

use super::{FileFigures, FileHash};
use crate::go::humanize_bytes;

pub const FIGURES_HEADER: [&str; 5] = ["hash", "revision", "total keys", "total size", "version"];
pub const HASH_HEADER: [&str; 3] = ["hash", "hash revision", "compact revision"];

pub fn figures_row(figures: &FileFigures) -> Vec<String> {
    vec![
        format!("{:x}", figures.hash),
        figures.revision.to_string(),
        figures.total_keys.to_string(),
        humanize_bytes(figures.total_size),
        figures.version.clone(),
    ]
}

pub fn hash_row(hash: &FileHash) -> Vec<String> {
    vec![hash.hash.to_string(), hash.hash_revision.to_string(), hash.compact_revision.to_string()]
}
