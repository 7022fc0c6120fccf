//! File names: `%016x-%016x.wal` (sequence, first index the file may hold), and which segments a read needs.

use std::io;
use std::path::Path;

use disk::Disk;

use crate::WalError;
use crate::error::Context;

/// The name of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) sequence: u64,
    /// The first entry index that the segment may hold.
    pub(crate) index: u64,
}

impl SegmentName {
    pub(crate) fn file_name(self) -> String {
        format!("{:016x}-{:016x}.wal", self.sequence, self.index)
    }

    pub(crate) fn parse(name: &str) -> Option<SegmentName> {
        let (sequence, index) = parse_pair(name.strip_suffix(".wal")?)?;
        Some(SegmentName { sequence, index })
    }
}

/// Two numbers of 16 lowercase hex digits with a dash between them.
pub(crate) fn parse_pair(text: &str) -> Option<(u64, u64)> {
    let (first, second) = text.split_once('-')?;
    Some((parse_hex(first)?, parse_hex(second)?))
}

/// A number of 16 hex digits.
pub(crate) fn parse_hex(text: &str) -> Option<u64> {
    if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

/// Whether a log is there: at least one name ends in `.wal`. It decides between bootstrap and restart.
pub fn exists(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    match disk.list(dir) {
        Ok(names) => Ok(names.iter().any(|name| name.ends_with(".wal"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// The segments of a log, in order of sequence, and the names that are none.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<(Vec<SegmentName>, Vec<String>), WalError> {
    let mut segments = Vec::new();
    let mut ignored = Vec::new();
    for name in disk.list(dir).context("list", dir)? {
        match SegmentName::parse(&name) {
            Some(segment) => segments.push(segment),
            None if name.ends_with(".tmp") => {}
            None => ignored.push(name),
        }
    }
    segments.sort_unstable();
    Ok((segments, ignored))
}

/// The segments needed to read on from a snapshot at `index`: from the last whose first index is not beyond it.
/// `None` where there is none, or a sequence number is missing.
pub(crate) fn from_index(segments: &[SegmentName], index: u64) -> Option<&[SegmentName]> {
    let first = segments.iter().rposition(|segment| segment.index <= index)?;
    let needed = &segments[first..];
    is_contiguous(needed).then_some(needed)
}

/// The newest segments without a gap in their sequence.
pub(crate) fn newest_run(segments: &[SegmentName]) -> &[SegmentName] {
    let gap = segments.windows(2).rposition(|pair| pair[0].sequence.checked_add(1) != Some(pair[1].sequence));
    &segments[gap.map_or(0, |before| before + 1)..]
}

fn is_contiguous(segments: &[SegmentName]) -> bool {
    newest_run(segments).len() == segments.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(sequence: u64, index: u64) -> SegmentName {
        SegmentName { sequence, index }
    }

    #[test]
    fn names_are_written_and_read_back() {
        let name = segment(0x1f, 0x2710);
        assert_eq!(name.file_name(), "000000000000001f-0000000000002710.wal");
        assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
        for bad in [
            "0.tmp",
            "1-2.wal",
            "000000000000001f-0000000000002710.wal.broken",
            "+00000000000001f-0000000000002710.wal",
        ] {
            assert_eq!(SegmentName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_read_starts_at_the_last_segment_that_can_hold_the_index() {
        let all = [segment(3, 10), segment(4, 20), segment(5, 15), segment(6, 40)];
        assert_eq!(from_index(&all, 20).unwrap(), &all[2..]);
        assert_eq!(from_index(&all, 14).unwrap(), &all[0..]);
        assert_eq!(from_index(&all, 100).unwrap(), &all[3..]);
        assert_eq!(from_index(&all, 9), None);
        let gap = [segment(3, 10), segment(5, 20), segment(6, 30)];
        assert_eq!(from_index(&gap, 10), None);
        assert_eq!(from_index(&gap, 25).unwrap(), &gap[1..]);
        assert_eq!(newest_run(&gap), &gap[1..]);
        assert!(newest_run(&[]).is_empty());
    }
}
