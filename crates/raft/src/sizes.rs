//! How large entries count: encoded, against message limits; their payload, against memory limits.

use prost::Message as _;
use proto::raftpb::Entry;

/// The encoded size of one entry.
pub(crate) fn encoded_size(entry: &Entry) -> u64 {
    entry.encoded_len() as u64
}

/// The encoded size of all entries.
pub(crate) fn encoded_sizes(entries: &[Entry]) -> u64 {
    entries.iter().map(encoded_size).sum()
}

/// The size of what the proposers put into the entries.
pub(crate) fn payload_sizes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.data.len() as u64).sum()
}

/// As many entries as fit into `max_size` encoded bytes, but at least one where there is one.
pub(crate) fn limit_size<'a>(entries: impl Iterator<Item = &'a Entry>, max_size: u64) -> Vec<Entry> {
    let mut size = 0_u64;
    let mut first = true;
    entries
        .take_while(|entry| {
            size = size.saturating_add(encoded_size(entry));
            std::mem::take(&mut first) || size <= max_size
        })
        .cloned()
        .collect()
}
