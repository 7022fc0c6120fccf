//! Hashes by which members are compared (facts: disk-formats, 7): CRC-32C over names, keys and values.

use std::collections::BTreeMap;

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};

use crate::backend::{Bucket, MetaKey};
use crate::error::{Error, Result};
use crate::index::{Index, KeyRange, is_kept};
use crate::record;
use crate::revision::{RecordKey, Revision};
use crate::view::image::Image;

/// Which release's rule a hash follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRule {
    /// As 3.4.23: the compacted revision itself is refused; of `meta` only `consistent_index` is skipped.
    V3_4,
    /// As 3.5.1: the compacted revision itself is refused; `term` is skipped too.
    V3_5,
    /// As 3.6 and 3.7: hashes of compactions are remembered; `storageVersion` is skipped too.
    V3_7,
    /// As the offline `snapshot status` hashes a file: nothing is skipped. HashKV as for 3.7.
    File,
}

impl HashRule {
    fn skips(self, key: &[u8]) -> bool {
        let is = |meta: MetaKey| key == meta.bytes();
        match self {
            HashRule::V3_4 => is(MetaKey::ConsistentIndex),
            HashRule::V3_5 => is(MetaKey::ConsistentIndex) || is(MetaKey::Term),
            HashRule::V3_7 => is(MetaKey::ConsistentIndex) || is(MetaKey::Term) || is(MetaKey::StorageVersion),
            HashRule::File => false,
        }
    }

    /// Whether HashKV refuses the compacted revision itself, and remembers no hashes of compactions.
    fn is_old(self) -> bool {
        match self {
            HashRule::V3_4 | HashRule::V3_5 => true,
            HashRule::V3_7 | HashRule::File => false,
        }
    }
}

/// The answer to HashKV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    pub hash: u32,
    /// The revision that was hashed.
    pub hash_revision: i64,
    /// -1 while never compacted; for a remembered hash of a compaction, the compaction before it.
    pub compact_revision: i64,
    /// The store's current revision.
    pub current_revision: i64,
}

/// Which revisions stay at a main revision.
#[derive(Clone, Copy)]
pub(crate) struct Keep<'a> {
    index: &'a Index,
    at: i64,
}

impl<'a> Keep<'a> {
    pub fn new(index: &'a Index, at: i64) -> Keep<'a> {
        Keep { index, at }
    }

    /// Whether compaction keeps this revision of the key: the newest, unless it is an older tombstone.
    pub fn by_compaction(self, key: &[u8], revision: Revision) -> bool {
        let newest = self.index.get(key).and_then(|entry| entry.change_at(self.at));
        newest.is_some_and(|change| change.revision == revision && is_kept(&change, self.at))
    }

    /// Whether this revision is the newest of the key, and no tombstone.
    pub fn alive(self, key: &[u8], revision: Revision) -> bool {
        self.index.meta_at(key, self.at).is_some_and(|meta| meta.revision == revision)
    }

    fn any_alive(self) -> bool {
        self.index.alive(KeyRange::From { start: b"", end: None }, self.at).next().is_some()
    }
}

/// The running hash over records up to a revision, of which those compacted before are hashed only where they are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RevisionHash {
    crc: u32,
    /// The compaction before.
    compacted: i64,
    /// Whether the set of kept revisions holds any; if not, none is left out because of it.
    any_kept: bool,
}

impl RevisionHash {
    pub fn new(compacted: i64, any_kept: bool) -> RevisionHash {
        RevisionHash { crc: crc32c(Bucket::Key.name().as_bytes()), compacted, any_kept }
    }

    /// `kept` is asked for records at or below the compaction before.
    pub fn record(&mut self, key: RecordKey, value: &Bytes, kept: impl FnOnce() -> Result<bool>) -> Result<()> {
        if key.revision.main <= self.compacted && self.any_kept && !kept()? {
            return Ok(());
        }
        // Older releases delete a tombstone at the compacted revision, newer ones keep it: neither hashes it.
        if key.revision.main == self.compacted && key.tombstone {
            return Ok(());
        }
        self.crc = crc32c_append(self.crc, key.to_bytes().as_slice());
        self.crc = crc32c_append(self.crc, value);
        Ok(())
    }

    pub fn finish(self) -> u32 {
        self.crc
    }
}

/// The hash of a compaction, made while it is swept. Only the end of the sweep tells whether any record is kept, and
/// asking the index before would walk it all where everything is deleted; so both hashes run until the first kept one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompactionHash {
    if_any_kept: RevisionHash,
    if_none: RevisionHash,
    any_kept: bool,
}

impl CompactionHash {
    /// `compacted` is the compaction before.
    pub fn new(compacted: i64) -> CompactionHash {
        let of = |any_kept| RevisionHash::new(compacted, any_kept);
        CompactionHash { if_any_kept: of(true), if_none: of(false), any_kept: false }
    }

    /// `kept` says whether this compaction keeps the record.
    pub fn record(&mut self, key: RecordKey, value: &Bytes, kept: bool) -> Result<()> {
        self.any_kept |= kept;
        if !self.any_kept {
            self.if_none.record(key, value, || Ok(kept))?;
        }
        self.if_any_kept.record(key, value, || Ok(kept))
    }

    pub fn finish(self) -> u32 {
        if self.any_kept { self.if_any_kept.finish() } else { self.if_none.finish() }
    }
}

pub(super) fn hash_kv(image: &Image, revision: i64, rule: HashRule) -> Result<HashKv> {
    let current_revision = image.revision;
    let compacted = image.compact_revision;
    // 0 asks for the current revision, even where a compaction at 0 has left a hash.
    if !rule.is_old()
        && revision != 0
        && let Some(remembered) = image.compaction_hashes.iter().rfind(|hash| hash.hash_revision == revision)
    {
        return Ok(HashKv { current_revision, ..*remembered });
    }
    if rule.is_old() && revision > 0 && revision <= compacted {
        return Err(Error::Compacted);
    }
    // A negative revision is no other name of the current one here, as it is for a range: nothing is hashed.
    let at = if revision < 0 { revision } else { image.resolve(revision)? };
    let keep = Keep::new(&image.index, at);
    let swept = Keep::new(&image.index, compacted);
    let mut hash = RevisionHash::new(compacted, keep.any_alive());
    for record in image.layers.records(Revision::default(), Revision::first_of(at.saturating_add(1))) {
        let (key, value) = record?;
        let name = if key.revision.main <= compacted { record::key_of(&value)? } else { Bytes::new() };
        // What the sweep has not reached yet is not there any more.
        if key.revision.main <= compacted && !swept.by_compaction(&name, key.revision) {
            continue;
        }
        hash.record(key, &value, || Ok(keep.alive(&name, key.revision)))?;
    }
    Ok(HashKv { hash: hash.finish(), hash_revision: at, compact_revision: compacted, current_revision })
}

pub(super) fn hash(image: &Image, rule: HashRule) -> Result<u32> {
    let mut crc = 0;
    for name in image.layers.root.buckets()? {
        crc = crc32c_append(crc, &name);
        match Bucket::ALL.into_iter().find(|bucket| bucket.name().as_bytes() == name) {
            Some(Bucket::Key) => crc = hash_records(image, crc)?,
            Some(Bucket::Meta) => crc = hash_meta(image, rule, crc)?,
            Some(bucket) => {
                for pair in image.layers.scan(bucket, b"", None) {
                    crc = append(crc, &pair?);
                }
            }
            // A bucket of some other program, which no overlay changes.
            None => {
                let mut cursor = image.layers.root.foreign_cursor(&name)?;
                let mut pair = cursor.first()?;
                while let Some(at) = pair {
                    crc = append(crc, &at);
                    pair = cursor.next()?;
                }
            }
        }
    }
    Ok(crc)
}

fn hash_records(image: &Image, mut crc: u32) -> Result<u32> {
    for record in image.layers.records(Revision::default(), Revision::first_of(i64::MAX)) {
        let (key, value) = record?;
        crc = crc32c_append(crc32c_append(crc, key.to_bytes().as_slice()), &value);
    }
    Ok(crc)
}

/// The bucket as a commit at this moment would leave it.
fn hash_meta(image: &Image, rule: HashRule, mut crc: u32) -> Result<u32> {
    let mut pairs = image.layers.scan(Bucket::Meta, b"", None).collect::<Result<BTreeMap<Bytes, Bytes>>>()?;
    let applied = image.applied;
    for (key, number) in [(MetaKey::ConsistentIndex, applied.index), (MetaKey::Term, applied.term)] {
        if pairs.contains_key(key.bytes()) {
            pairs.insert(Bytes::from_static(key.bytes()), Bytes::copy_from_slice(&number.to_be_bytes()));
        }
    }
    for pair in pairs {
        if !rule.skips(&pair.0) {
            crc = append(crc, &pair);
        }
    }
    Ok(crc)
}

fn append(crc: u32, pair: &(Bytes, Bytes)) -> u32 {
    crc32c_append(crc32c_append(crc, &pair.0), &pair.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_hashes_to_the_crc_of_the_bucket_name() {
        assert_eq!(RevisionHash::new(-1, false).finish(), 1_084_519_789);
    }

    /// The rule asks beforehand whether anything is kept; the hash of a compaction learns it on the way.
    #[test]
    fn what_is_kept_last_counts_from_the_first_record_on() {
        let value = Bytes::from_static(b"\x0a\x01a");
        let records = [(2, false), (2, true), (3, false)]
            .map(|(main, tombstone)| RecordKey { revision: Revision { main, sub: i64::from(tombstone) }, tombstone });
        for kept in [[false, false, false], [false, false, true], [true, false, false]] {
            let mut rule = RevisionHash::new(2, kept.contains(&true));
            let mut swept = CompactionHash::new(2);
            for (record, kept) in records.into_iter().zip(kept) {
                rule.record(record, &value, || Ok(kept)).unwrap();
                swept.record(record, &value, kept).unwrap();
            }
            assert_eq!(swept.finish(), rule.finish(), "{kept:?}");
        }
    }
}
