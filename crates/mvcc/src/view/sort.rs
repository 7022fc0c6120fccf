//! Ranges sorted by something else than the key. Equal ones stand in key order, ascending and descending.
//!
//! A sort holds per key a few bytes to compare by and a pointer to the index entry, never a value; with a limit it holds
//! a small multiple of the limit.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::index::{Entry, KeyMeta};
use crate::record;
use crate::revision::Revision;
use crate::view::image::Image;
use crate::view::query::{RangeQuery, SortOrder, SortTarget};
use crate::view::range::limit;

/// Candidates that are kept beyond the limit before they are sorted and cut.
const SLACK: usize = 1024;
/// Bytes of a value that are compared without reading it again.
const PREFIX: usize = 16;

/// Takes keys in key order and gives the first ones by the query's order.
pub struct Sorter<'a> {
    image: &'a Image,
    target: SortTarget,
    descending: bool,
    limit: usize,
    candidates: Vec<Candidate>,
}

struct Candidate {
    rank: Rank,
    entry: Entry,
}

#[derive(Clone, Copy)]
enum Rank {
    Number(i64),
    /// The start of a value, filled up with zeros; the record tells the rest.
    Value([u8; PREFIX], Revision),
}

impl<'a> Sorter<'a> {
    pub fn new(image: &'a Image, query: &RangeQuery) -> Sorter<'a> {
        Sorter {
            image,
            target: query.sort_target,
            descending: query.sort_order == SortOrder::Descend,
            limit: limit(query),
            candidates: Vec::new(),
        }
    }

    pub fn push(&mut self, entry: &Entry, meta: &KeyMeta) -> Result<()> {
        let rank = match self.target {
            SortTarget::Version => Rank::Number(meta.version),
            SortTarget::Create => Rank::Number(meta.create_revision),
            SortTarget::Mod => Rank::Number(meta.mod_revision()),
            // A sort by key is a walk of the index; keys arrive in order, so equal ranks leave them so.
            SortTarget::Key => Rank::Number(0),
            SortTarget::Value => {
                let value = record::decode(self.image.record(meta.revision)?)?.value;
                let mut prefix = [0; PREFIX];
                let len = value.len().min(PREFIX);
                prefix[..len].copy_from_slice(&value[..len]);
                Rank::Value(prefix, meta.revision)
            }
        };
        self.candidates.push(Candidate { rank, entry: entry.clone() });
        if self.candidates.len() >= self.limit.saturating_mul(2).saturating_add(SLACK) {
            self.cut()?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<Entry>> {
        self.cut()?;
        Ok(self.candidates.into_iter().map(|candidate| candidate.entry).collect())
    }

    /// Sorts what there is and keeps what the limit can still need. Later keys stand behind equal ones, because the
    /// sort is stable and they are pushed behind them.
    fn cut(&mut self) -> Result<()> {
        let (image, descending) = (self.image, self.descending);
        let mut failure = None;
        self.candidates.sort_by(|a, b| {
            let order = compare(image, a.rank, b.rank).unwrap_or_else(|error: Error| {
                failure.get_or_insert(error);
                Ordering::Equal
            });
            if descending { order.reverse() } else { order }
        });
        self.candidates.truncate(self.limit);
        match failure {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

fn compare(image: &Image, a: Rank, b: Rank) -> Result<Ordering> {
    match (a, b) {
        (Rank::Number(a), Rank::Number(b)) => Ok(a.cmp(&b)),
        (Rank::Value(a, a_at), Rank::Value(b, b_at)) => match a.cmp(&b) {
            Ordering::Equal => {
                let value = |at| record::decode(image.record(at)?).map(|kv| kv.value);
                Ok(value(a_at)?.cmp(&value(b_at)?))
            }
            order => Ok(order),
        },
        (Rank::Number(_), Rank::Value(..)) => Ok(Ordering::Less),
        (Rank::Value(..), Rank::Number(_)) => Ok(Ordering::Greater),
    }
}
