//! Walking buckets in key order, through overlays and file.

use std::ops::Bound;

use bytes::Bytes;

use crate::backend::layers::Layers;
use crate::backend::log::Record;
use crate::backend::overlay::{Overlay, Table};
use crate::backend::schema::Bucket;
use crate::error::Result;
use crate::revision::{RecordKey, Revision};

/// The pairs of one bucket in key order. Ends after an error.
pub struct RawScan {
    /// Newest first; the newest that knows a key decides.
    tables: Vec<Tabled>,
    file: Filed,
    start: Bytes,
    end: Option<Bytes>,
    begun: bool,
}

struct Tabled {
    table: Table,
    next: Option<(Bytes, Option<Bytes>)>,
}

struct Filed {
    cursor: Option<bolt::Cursor>,
    next: Option<(Bytes, Bytes)>,
}

impl Tabled {
    fn advance(&mut self, from: Bound<&Bytes>) {
        self.next = self.table.range::<_, Bytes>((from, Bound::Unbounded)).next().map(|(k, v)| (k.clone(), v.clone()));
    }
}

impl RawScan {
    pub(crate) fn new(tables: Vec<Table>, cursor: Option<bolt::Cursor>, start: &[u8], end: Option<&[u8]>) -> RawScan {
        RawScan {
            tables: tables.into_iter().filter(|t| !t.is_empty()).map(|table| Tabled { table, next: None }).collect(),
            file: Filed { cursor, next: None },
            start: Bytes::copy_from_slice(start),
            end: end.map(Bytes::copy_from_slice),
            begun: false,
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.begun = true;
        for tabled in &mut self.tables {
            tabled.advance(Bound::Included(&self.start));
        }
        if let Some(cursor) = &mut self.file.cursor {
            self.file.next = cursor.seek(&self.start)?;
        }
        Ok(())
    }

    /// The smallest key that a layer knows, and what the newest of those layers says of it.
    fn step(&mut self) -> Result<Option<(Bytes, Option<Bytes>)>> {
        if !self.begun {
            self.begin()?;
        }
        let heads = self.tables.iter().filter_map(|tabled| tabled.next.as_ref().map(|next| &next.0));
        let Some(key) = heads.chain(self.file.next.as_ref().map(|next| &next.0)).min().cloned() else {
            return Ok(None);
        };
        let mut said = None;
        for tabled in &mut self.tables {
            if tabled.next.as_ref().is_some_and(|next| next.0 == key) {
                let value = tabled.next.take().and_then(|next| next.1);
                said.get_or_insert(value);
                tabled.advance(Bound::Excluded(&key));
            }
        }
        if self.file.next.as_ref().is_some_and(|next| next.0 == key) {
            let value = self.file.next.take().map(|next| next.1);
            said.get_or_insert(value);
            if let Some(cursor) = &mut self.file.cursor {
                self.file.next = cursor.next()?;
            }
        }
        Ok(Some((key, said.flatten())))
    }

    fn finish(&mut self) {
        self.tables.clear();
        self.file = Filed { cursor: None, next: None };
    }
}

impl Iterator for RawScan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some((key, _))) if self.end.as_ref().is_some_and(|end| key >= *end) => {
                    self.finish();
                    return None;
                }
                Ok(Some((key, Some(value)))) => return Some(Ok((key, value))),
                Ok(Some((_, None))) => {}
                Ok(None) => return None,
                Err(error) => {
                    self.finish();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The records of the `key` bucket in revision order. Overlays hold ever newer revisions, so the layers follow one
/// another. Ends after an error.
pub struct RecordScan {
    layers: Layers,
    from: Revision,
    end: Revision,
    stage: Stage,
}

enum Stage {
    Start,
    File(Box<bolt::Cursor>, Option<(Bytes, Bytes)>),
    /// Position among the frozen overlays (their number = the live one), and in its records.
    Overlay(usize, usize),
    End,
}

impl RecordScan {
    pub(crate) fn new(layers: Layers, from: Revision, end: Revision) -> RecordScan {
        RecordScan { layers, from, end, stage: Stage::Start }
    }

    fn overlay(&self, position: usize) -> Option<&Overlay> {
        match self.layers.frozen.get(position) {
            Some(frozen) => Some(frozen),
            None if position == self.layers.frozen.len() => Some(&self.layers.live),
            None => None,
        }
    }

    fn enter_overlay(&self, position: usize) -> Stage {
        let first = RecordKey { revision: self.from, tombstone: false };
        match self.overlay(position) {
            Some(overlay) => Stage::Overlay(position, overlay.records().position(first)),
            None => Stage::End,
        }
    }

    /// The next record of any layer, swept or not.
    fn step(&mut self) -> Result<Option<Record>> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::End) {
                Stage::Start => {
                    self.stage = match self.layers.root.cursor(Bucket::Key) {
                        Some(mut cursor) => {
                            let next = cursor.seek(&self.from.to_bytes())?;
                            Stage::File(Box::new(cursor), next)
                        }
                        None => self.enter_overlay(0),
                    };
                }
                Stage::File(mut cursor, Some((key, value))) => {
                    let record = (RecordKey::from_bytes(&key)?, value);
                    let next = cursor.next()?;
                    self.stage = Stage::File(cursor, next);
                    return Ok(Some(record));
                }
                Stage::File(_, None) => self.stage = self.enter_overlay(0),
                Stage::Overlay(position, at) => {
                    match self.overlay(position).and_then(|overlay| overlay.records().get(at)).cloned() {
                        Some(record) => {
                            self.stage = Stage::Overlay(position, at + 1);
                            return Ok(Some(record));
                        }
                        None => self.stage = self.enter_overlay(position + 1),
                    }
                }
                Stage::End => return Ok(None),
            }
        }
    }

    fn is_swept(&self, key: RecordKey) -> bool {
        self.layers.overlays().any(|overlay| !overlay.swept().is_empty() && overlay.swept().contains(&key))
    }
}

impl Iterator for RecordScan {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some((key, _))) if key.revision >= self.end => {
                    self.stage = Stage::End;
                    return None;
                }
                Ok(Some((key, _))) if self.is_swept(key) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Ok(None) => return None,
                Err(error) => {
                    self.stage = Stage::End;
                    return Some(Err(error));
                }
            }
        }
    }
}
