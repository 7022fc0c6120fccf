//! What a file holds: as programs see it, as it is on the platter, and the changes in between.
//!
//! A cut keeps for each 512-byte sector the content it had at *some* moment since the last sync (a sector is never mixed
//! from writes in another order than they were made), and for the length likewise, changes of length keeping their order.

use std::collections::{BTreeMap, BTreeSet};

use super::rng::Rng;
use super::sparse::{Sparse, touched};

/// Bytes that reach the platter together.
pub const SECTOR: u64 = 512;

/// One unsynced change.
#[derive(Clone)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Resize { len: u64 },
}

#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) now: Sparse,
    durable: Sparse,
    pending: Vec<Change>,
}

impl Content {
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        if end > self.now.len() {
            self.now.set_len(end);
        }
        self.now.write(offset, data);
        self.pending.push(Change::Write { offset, data: data.to_vec() });
    }

    pub(super) fn resize(&mut self, len: u64) {
        if len != self.now.len() {
            self.now.set_len(len);
            self.pending.push(Change::Resize { len });
        }
    }

    /// Everything written so far survives from here on.
    pub(super) fn sync(&mut self) {
        let mut dirty = BTreeSet::new();
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, data } => dirty.extend(touched(offset, data.len())),
                Change::Resize { len } => self.durable.set_len(len),
            }
        }
        self.durable.set_len(self.now.len());
        for number in dirty {
            self.durable.adopt(&self.now, number);
        }
    }

    /// The outcome of a failed sync: any part of the changes may have reached the platter, and no later sync will try
    /// again, since the kernel takes the pages for clean.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        self.durable = self.survivor(rng);
        self.pending.clear();
    }

    /// The content after a power loss.
    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        self.durable = self.survivor(rng);
        self.now = self.durable.clone();
        self.pending.clear();
    }

    /// Changes bytes on the platter and in memory alike, as a failing medium does.
    pub(super) fn corrupt(&mut self, offset: u64, xor: u8) {
        for state in [&mut self.now, &mut self.durable] {
            let mut byte = [0];
            if state.read(offset, &mut byte) == 1 {
                state.write(offset, &[byte[0] ^ xor]);
            }
        }
    }

    fn survivor(&self, rng: &mut Rng) -> Sparse {
        let mut survivor = self.durable.clone();
        if self.pending.is_empty() {
            return survivor;
        }
        let mut sectors = Sectors::draw(self.pending.len(), rng);
        // Changes of length before this position are durable.
        let lengths_kept = sectors.common(rng);
        // Writes at or beyond this offset went to blocks of which the platter knows nothing.
        let mut unknown_from = u64::MAX;
        let mut len_seen = self.durable.len();
        for (position, change) in self.pending.iter().enumerate() {
            let kept = position < lengths_kept;
            match change {
                Change::Resize { len } if kept => survivor.set_len(*len),
                Change::Resize { len } if *len < len_seen => unknown_from = unknown_from.min(*len),
                Change::Resize { .. } => {}
                Change::Write { offset, data } => {
                    let end = offset + data.len() as u64;
                    if kept && end > survivor.len() {
                        survivor.set_len(end);
                    }
                    let visible = survivor.len().min(unknown_from);
                    sectors.write(&mut survivor, position, *offset, data, visible, rng);
                }
            }
            len_seen = match change {
                Change::Resize { len } => *len,
                Change::Write { offset, data } => len_seen.max(offset + data.len() as u64),
            };
        }
        survivor
    }
}

/// For each sector, how many of the changes reached it before the cut.
enum Sectors {
    /// The same moment for all sectors: nothing, everything, or a prefix.
    Together { moment: usize },
    /// Each sector has its own moment.
    Apart { changes: usize, moments: BTreeMap<u64, usize> },
}

impl Sectors {
    fn draw(changes: usize, rng: &mut Rng) -> Sectors {
        match rng.below(6) {
            0 => Sectors::Together { moment: 0 },
            1 => Sectors::Together { moment: changes },
            2 => Sectors::Together { moment: rng.below(changes as u64 + 1) as usize },
            _ => Sectors::Apart { changes, moments: BTreeMap::new() },
        }
    }

    fn common(&self, rng: &mut Rng) -> usize {
        match self {
            Sectors::Together { moment } => *moment,
            Sectors::Apart { changes, .. } => match rng.below(3) {
                0 => *changes,
                _ => rng.below(*changes as u64 + 1) as usize,
            },
        }
    }

    fn moment(&mut self, sector: u64, rng: &mut Rng) -> usize {
        match self {
            Sectors::Together { moment } => *moment,
            Sectors::Apart { changes, moments } => {
                *moments.entry(sector).or_insert_with(|| rng.below(*changes as u64 + 1) as usize)
            }
        }
    }

    /// Applies those sectors of the write at `position` that were in time, below the offset `visible`.
    fn write(&mut self, to: &mut Sparse, position: usize, offset: u64, data: &[u8], visible: u64, rng: &mut Rng) {
        let end = (offset + data.len() as u64).min(visible);
        let mut at = offset;
        while at < end {
            let stop = ((at / SECTOR + 1) * SECTOR).min(end);
            if position < self.moment(at / SECTOR, rng) {
                to.write(at, &data[(at - offset) as usize..(stop - offset) as usize]);
            }
            at = stop;
        }
    }
}
