//! Giving space of the file back to the disk, in steps beside the commits.

use bolt::Db;

use crate::backend::base::Root;
use crate::error::Result;

/// Steps without a new low after which a series ends. Moved pages come free one commit later, so a step or two gain
/// nothing yet; and while writes go on, each commit leaves a few pages to be moved, for ever.
const IDLE_STEPS_MAX: u32 = 3;

/// How a series of steps gets on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series {
    /// The smallest size so far.
    lowest: u64,
    /// Steps since then.
    idle: u32,
}

impl Series {
    pub fn new(size: u64) -> Series {
        Series { lowest: size, idle: 0 }
    }

    fn step(self, size: u64) -> Series {
        if size < self.lowest { Series::new(size) } else { Series { idle: self.idle + 1, ..self } }
    }
}

/// A step of giving space back, to be run where commit jobs run and in order with them.
pub struct ShrinkJob {
    db: Db,
    pages_max: u64,
    series: Series,
}

impl ShrinkJob {
    pub(crate) fn new(db: Db, pages_max: u64, series: Series) -> ShrinkJob {
        ShrinkJob { db, pages_max, series }
    }

    /// Moves pages to the front, commits, and cuts the file where no open view needs its end. Blocks on the disk.
    pub fn run(self) -> Result<Shrunk> {
        let shrink = self.db.shrink(self.pages_max)?;
        Ok(Shrunk { root: Root::pin(&self.db)?, shrink, series: self.series.step(shrink.new_size) })
    }
}

/// A [`ShrinkJob`] that is done.
pub struct Shrunk {
    pub(crate) root: Root,
    shrink: bolt::Shrink,
    pub(crate) series: Series,
}

impl Shrunk {
    /// Pages that were moved.
    pub fn pages_moved(&self) -> u64 {
        self.shrink.moved
    }

    /// Size of the file in bytes after the step.
    pub fn size(&self) -> u64 {
        self.root.size()
    }

    /// Whether another step would achieve nothing worth it now: there is no room in front, an open view holds what is
    /// left, or the last steps gained nothing.
    pub fn is_done(&self) -> bool {
        self.shrink.done || self.series.idle >= IDLE_STEPS_MAX
    }

    /// Whether an open view keeps freed space from being given back; trying later can achieve more.
    pub fn is_held(&self) -> bool {
        self.shrink.held_by.is_some()
    }
}
