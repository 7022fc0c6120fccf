//! Giving space of the file back to the disk, in steps beside the commits.

use bolt::Db;

use crate::backend::base::Root;
use crate::error::Result;

/// A step of giving space back, to be run where commit jobs run and in order with them.
pub struct ShrinkJob {
    db: Db,
    pages_max: u64,
}

impl ShrinkJob {
    pub(crate) fn new(db: Db, pages_max: u64) -> ShrinkJob {
        ShrinkJob { db, pages_max }
    }

    /// Moves pages to the front, commits, and cuts the file where no open view needs its end. Blocks on the disk.
    pub fn run(self) -> Result<Shrunk> {
        let shrink = self.db.shrink(self.pages_max)?;
        Ok(Shrunk { root: Root::pin(&self.db)?, shrink })
    }
}

/// A [`ShrinkJob`] that is done.
pub struct Shrunk {
    pub(crate) root: Root,
    shrink: bolt::Shrink,
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

    /// Whether another step would achieve nothing now: there is no room in front, or an open view holds what is left.
    pub fn is_done(&self) -> bool {
        self.shrink.done
    }

    /// Whether an open view keeps freed space from being given back; trying later can achieve more.
    pub fn is_held(&self) -> bool {
        self.shrink.held_by.is_some()
    }
}
