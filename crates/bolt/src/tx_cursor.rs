//! The cursor of a write transaction: its own changes merged over the state beneath.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::error::Result;

/// A cursor of a write transaction: its changes over the state that it began with.
pub struct TxCursor<'tx> {
    changes: Option<&'tx Changes>,
    base: Option<Cursor>,
    at: Option<Bytes>,
}

type Pair = (Bytes, Bytes);
/// `None` deletes.
type Changes = BTreeMap<Bytes, Option<Bytes>>;

impl<'tx> TxCursor<'tx> {
    pub(crate) fn new(changes: Option<&'tx Changes>, base: Option<Cursor>) -> TxCursor<'tx> {
        TxCursor { changes, base, at: None }
    }

    pub fn first(&mut self) -> Result<Option<Pair>> {
        self.forward(Bound::Unbounded)
    }

    pub fn last(&mut self) -> Result<Option<Pair>> {
        self.backward(Bound::Unbounded)
    }

    /// Moves to the first key that is not less than `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Pair>> {
        self.forward(Bound::Included(key))
    }

    /// Moves to the next key; `None` past the last one, or if the cursor is nowhere.
    #[expect(clippy::should_implement_trait, reason = "a cursor also goes back, and its steps can fail")]
    pub fn next(&mut self) -> Result<Option<Pair>> {
        match self.at.take() {
            Some(at) => self.forward(Bound::Excluded(&at)),
            None => Ok(None),
        }
    }

    /// Moves to the key before; `None` before the first one, or if the cursor is nowhere.
    pub fn prev(&mut self) -> Result<Option<Pair>> {
        match self.at.take() {
            Some(at) => self.backward(Bound::Excluded(&at)),
            None => Ok(None),
        }
    }

    fn forward(&mut self, from: Bound<&[u8]>) -> Result<Option<Pair>> {
        let beneath = self.base.as_mut().map_or(Ok(None), |base| base_from(base, from))?;
        let changes = self.changes.map(|changes| changes.range::<[u8], _>((from, Bound::Unbounded)));
        let nearest = merge(self.base.as_mut(), beneath, changes.into_iter().flatten(), Ordering::Less, Cursor::next)?;
        Ok(self.stand(nearest))
    }

    fn backward(&mut self, to: Bound<&[u8]>) -> Result<Option<Pair>> {
        let beneath = self.base.as_mut().map_or(Ok(None), |base| base_before(base, to))?;
        let changes = self.changes.map(|changes| changes.range::<[u8], _>((Bound::Unbounded, to)).rev());
        let nearest =
            merge(self.base.as_mut(), beneath, changes.into_iter().flatten(), Ordering::Greater, Cursor::prev)?;
        Ok(self.stand(nearest))
    }

    fn stand(&mut self, found: Option<Pair>) -> Option<Pair> {
        self.at = found.as_ref().map(|(key, _)| key.clone());
        found
    }
}

fn base_from(base: &mut Cursor, from: Bound<&[u8]>) -> Result<Option<Pair>> {
    match from {
        Bound::Unbounded => base.first(),
        Bound::Included(key) => base.seek(key),
        Bound::Excluded(key) => match base.current() {
            // The usual step: the base stands on the key.
            Some((at, _)) if at == key => base.next(),
            _ => match base.seek(key)? {
                Some((at, _)) if at == key => base.next(),
                found => Ok(found),
            },
        },
    }
}

fn base_before(base: &mut Cursor, to: Bound<&[u8]>) -> Result<Option<Pair>> {
    match to {
        Bound::Unbounded => base.last(),
        Bound::Included(key) | Bound::Excluded(key) => match base.seek(key)? {
            Some(_) => base.prev(),
            None => base.last(),
        },
    }
}

/// The nearest pair of both layers. `changes` run in the cursor's direction; the nearer of two keys is `nearer` than the
/// other; `step` takes the base on from a pair that a change hides.
fn merge<'a>(
    mut base: Option<&mut Cursor>,
    mut beneath: Option<Pair>,
    changes: impl Iterator<Item = (&'a Bytes, &'a Option<Bytes>)>,
    nearer: Ordering,
    step: fn(&mut Cursor) -> Result<Option<Pair>>,
) -> Result<Option<Pair>> {
    for (key, value) in changes {
        let order = beneath.as_ref().map_or(nearer, |(under, _)| key.cmp(under));
        if order == nearer.reverse() {
            break;
        }
        if let Some(value) = value {
            return Ok(Some((key.clone(), value.clone())));
        }
        if order == Ordering::Equal {
            beneath = base.as_mut().map_or(Ok(None), |base| step(base))?;
        }
    }
    Ok(beneath)
}
