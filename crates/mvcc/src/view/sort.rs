//! Ranges sorted by something else than the key. Equal ones stand in key order, ascending and descending.
//!
//! A sort holds per key a few bytes to compare by and a pointer to the index entry, never a value; with a limit it holds
//! a small multiple of the limit.

use std::cmp::Ordering;

use crate::error::Result;
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
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        self.candidates.sort_by(|a, b| turned(a.rank.cmp_start(&b.rank)));
        if self.target == SortTarget::Value {
            // What starts alike is told apart by reading it, which can fail, and the library's sort must not.
            let mut sorted = Vec::with_capacity(self.candidates.len());
            let mut rest = std::mem::take(&mut self.candidates).into_iter().peekable();
            while let Some(first) = rest.next() {
                let mut alike = vec![first];
                while let Some(next) = rest.next_if(|next| next.rank.cmp_start(&alike[0].rank).is_eq()) {
                    alike.push(next);
                }
                sorted.extend(try_sort(alike, &|a, b| Ok(turned(compare_values(image, a.rank, b.rank)?)))?);
            }
            self.candidates = sorted;
        }
        self.candidates.truncate(self.limit);
        Ok(())
    }
}

impl Rank {
    /// By the number, or by the start of the value.
    fn cmp_start(&self, other: &Rank) -> Ordering {
        match (self, other) {
            (Rank::Number(a), Rank::Number(b)) => a.cmp(b),
            (Rank::Value(a, _), Rank::Value(b, _)) => a.cmp(b),
            // One sort has one kind.
            (Rank::Number(_), Rank::Value(..)) => Ordering::Less,
            (Rank::Value(..), Rank::Number(_)) => Ordering::Greater,
        }
    }
}

fn compare_values(image: &Image, a: Rank, b: Rank) -> Result<Ordering> {
    match (a, b) {
        (Rank::Value(_, a), Rank::Value(_, b)) => {
            let value = |at| record::decode(image.record(at)?).map(|kv| kv.value);
            Ok(value(a)?.cmp(&value(b)?))
        }
        _ => Ok(Ordering::Equal),
    }
}

/// A stable merge sort that ends with the first comparison that fails.
fn try_sort<T>(mut items: Vec<T>, compare: &impl Fn(&T, &T) -> Result<Ordering>) -> Result<Vec<T>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let len = items.len();
    let right = items.split_off(len / 2);
    let mut left = try_sort(items, compare)?.into_iter().peekable();
    let mut right = try_sort(right, compare)?.into_iter().peekable();
    let mut sorted = Vec::with_capacity(len);
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if compare(b, a)?.is_lt() { right.next() } else { left.next() };
        sorted.extend(next);
    }
    sorted.extend(left);
    sorted.extend(right);
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn sorting_is_stable_and_ends_with_a_failure() {
        let items: Vec<(u32, u32)> = (0..500).map(|at| (at * 7919 % 13, at)).collect();
        let mut expected = items.clone();
        expected.sort();
        assert_eq!(try_sort(items.clone(), &|a, b| Ok(a.0.cmp(&b.0))).unwrap(), expected);
        let fails = |a: &(u32, u32), b: &(u32, u32)| match a.1 + b.1 {
            700.. => Err(Error::Corrupt { bucket: "key", what: String::new() }),
            _ => Ok(a.cmp(b)),
        };
        assert!(try_sort(items, &fails).is_err());
    }
}
