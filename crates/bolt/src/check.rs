//! The checker: every page below the high-water mark is reachable or free, exactly once; keys are in order and inside
//! their parents' bounds; what is stored about free pages is true.

use crate::error::Result;
use crate::freelist::FreeList;
use crate::read::ReadTx;
use crate::walk::Walk;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub page: u64,
    pub reason: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first hundred things that are wrong, in the order in which the walk met them.
    pub problems: Vec<Problem>,
    pub high_water: u64,
    pub branch_pages: u64,
    pub leaf_pages: u64,
    pub overflow_pages: u64,
    /// Pages that nothing reaches, pending ones included.
    pub free_pages: u64,
    /// Keys in all buckets.
    pub keys: u64,
    pub buckets: u64,
    /// Levels of the deepest tree, counted from the tree of buckets.
    pub depth: u64,
}

impl Report {
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

impl ReadTx {
    /// Walks the whole state. Damage is in the report; only a failing disk is an error.
    pub fn check(&self) -> Result<Report> {
        check(self, None)
    }
}

/// Checks the state of `tx`; `free` is the writer's list for that state.
pub(crate) fn check(tx: &ReadTx, free: Option<&FreeList>) -> Result<Report> {
    let meta = tx.meta();
    let (mut walk, stored) = Walk::over(&tx.shared().source, meta)?;
    if let Some(ids) = &stored {
        compare(&mut walk, meta.high_water, ids);
    }
    if let Some(free) = free {
        compare(&mut walk, meta.high_water, &free.all_ids());
    }
    let free_pages = (2..meta.high_water).filter(|id| !walk.is_claimed(*id)).count() as u64;
    Ok(Report {
        high_water: meta.high_water,
        branch_pages: walk.branch_pages,
        leaf_pages: walk.leaf_pages,
        overflow_pages: walk.overflow_pages,
        free_pages,
        keys: walk.keys,
        buckets: walk.buckets,
        depth: walk.depth as u64,
        problems: walk.problems,
    })
}

/// Reports where a list of free pages and the walk disagree.
fn compare(walk: &mut Walk<'_>, high_water: u64, ids: &[u64]) {
    let mut listed = vec![false; high_water as usize];
    for id in ids {
        match listed.get_mut(*id as usize) {
            None => walk.report(*id, "a free page lies beyond the high-water mark"),
            Some(true) => walk.report(*id, "it is free twice"),
            Some(listed) => {
                *listed = true;
                if walk.is_claimed(*id) {
                    walk.report(*id, "it is reachable and free");
                }
            }
        }
    }
    for id in 2..high_water {
        if !listed[id as usize] && !walk.is_claimed(id) {
            walk.report(id, "it is neither reachable nor free");
        }
    }
}
