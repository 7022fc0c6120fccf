//! A walk over everything that a state reaches, which claims each page once.

use bytes::Bytes;

use crate::check::Problem;
use crate::error::{Error, Result};
use crate::freelist::FreeList;
use crate::meta::{Meta, NO_FREE_LIST};
use crate::page::{BucketValue, DEPTH_MAX, FREE_LIST, HEADER, Header, Page, u64_at};
use crate::source::Source;

/// A walk stops counting problems here.
const PROBLEMS_MAX: usize = 100;

pub(crate) struct Walk<'a> {
    source: &'a Source,
    meta: &'a Meta,
    /// Bit per page.
    claimed: Vec<u64>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) branch_pages: u64,
    pub(crate) leaf_pages: u64,
    pub(crate) overflow_pages: u64,
    pub(crate) keys: u64,
    pub(crate) buckets: u64,
    pub(crate) depth: usize,
}

/// The keys that a page may hold: from the first, up to but not including the second.
type Bounds = (Option<Bytes>, Option<Bytes>);

impl<'a> Walk<'a> {
    fn new(source: &'a Source, meta: &'a Meta) -> Walk<'a> {
        Walk {
            source,
            meta,
            claimed: vec![0; meta.high_water.div_ceil(64) as usize],
            problems: Vec::new(),
            branch_pages: 0,
            leaf_pages: 0,
            overflow_pages: 0,
            keys: 0,
            buckets: 0,
            depth: 0,
        }
    }

    /// Walks the trees and the stored free list of `meta`. Only failures of the disk are errors; damage is collected.
    pub(crate) fn over(source: &'a Source, meta: &'a Meta) -> Result<(Walk<'a>, Option<Vec<u64>>)> {
        let mut walk = Walk::new(source, meta);
        walk.claim(0, 2);
        walk.tree(meta.root, 1, &(None, None))?;
        let stored = if meta.free_list == NO_FREE_LIST { None } else { walk.stored_free_list()? };
        Ok((walk, stored))
    }

    /// Every page that is not reachable; errs with the first damage that is found.
    pub(crate) fn free_pages(source: &'a Source, meta: &'a Meta) -> Result<FreeList> {
        let (walk, _) = Walk::over(source, meta)?;
        if let Some(problem) = walk.problems.first() {
            return Err(Error::corrupt(problem.page, problem.reason.clone()));
        }
        let mut free = FreeList::default();
        for id in (2..meta.high_water).filter(|id| !walk.is_claimed(*id)) {
            free.add(id, 1);
        }
        Ok(free)
    }

    pub(crate) fn is_claimed(&self, id: u64) -> bool {
        self.claimed.get((id / 64) as usize).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub(crate) fn report(&mut self, page: u64, reason: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { page, reason: reason.into() });
        }
    }

    /// Claims `count` pages from `id` on; false, with a problem reported, if one of them is taken or out of bounds.
    fn claim(&mut self, id: u64, count: u64) -> bool {
        if count > self.meta.high_water.saturating_sub(id) {
            self.report(id, format!("{count} pages reach beyond the high-water mark {}", self.meta.high_water));
            return false;
        }
        for page in id..id + count {
            if self.is_claimed(page) {
                self.report(page, "it is reached more than once");
                return false;
            }
            self.claimed[(page / 64) as usize] |= 1 << (page % 64);
        }
        true
    }

    fn tree(&mut self, id: u64, depth: usize, bounds: &Bounds) -> Result<()> {
        if depth > DEPTH_MAX {
            self.report(id, "the tree is too deep");
            return Ok(());
        }
        self.depth = self.depth.max(depth);
        // Claimed before it is read, so that a circle of pages is read once.
        if id < 2 || !self.claim(id, 1) {
            if id < 2 {
                self.report(id, "a tree points to a meta page");
            }
            return Ok(());
        }
        let page = match self.source.read_page(id, self.meta.high_water) {
            Ok(page) => page,
            Err(Error::Corrupt { page, reason }) => {
                self.report(page, reason);
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let overflow = u64::from(page.header().overflow);
        if overflow > 0 && !self.claim(id + 1, overflow) {
            return Ok(());
        }
        self.overflow_pages += overflow;
        self.check_bounds(&page, bounds);
        if page.is_leaf() { self.leaf(&page, depth) } else { self.branch(&page, depth, bounds) }
    }

    fn branch(&mut self, page: &Page, depth: usize, bounds: &Bounds) -> Result<()> {
        self.branch_pages += 1;
        for i in 0..page.count() {
            // The first child may hold keys before its own entry's.
            let low = if i == 0 { bounds.0.clone() } else { Some(page.key_bytes(i)) };
            let high = if i + 1 < page.count() { Some(page.key_bytes(i + 1)) } else { bounds.1.clone() };
            self.tree(page.child(i), depth + 1, &(low, high))?;
        }
        Ok(())
    }

    fn leaf(&mut self, page: &Page, depth: usize) -> Result<()> {
        self.leaf_pages += 1;
        self.leaf_elements(page, depth)
    }

    fn leaf_elements(&mut self, page: &Page, depth: usize) -> Result<()> {
        for i in 0..page.count() {
            if page.is_bucket(i) {
                self.bucket(page, i, depth)?;
            } else {
                self.keys += 1;
            }
        }
        Ok(())
    }

    fn bucket(&mut self, page: &Page, i: usize, depth: usize) -> Result<()> {
        self.buckets += 1;
        if depth > DEPTH_MAX {
            self.report(page.id(), "its inline buckets are nested too deep");
            return Ok(());
        }
        let inline = BucketValue::decode(page.id(), &page.value_bytes(i)).and_then(|value| match value.inline {
            Some(image) => BucketValue::inline_page(page.id(), image).map(Ok),
            None => Ok(Err(value.root)),
        });
        match inline {
            Ok(Ok(inline)) => self.leaf_elements(&inline, depth + 1),
            Ok(Err(root)) => self.tree(root, depth + 1, &(None, None)),
            Err(Error::Corrupt { page, reason }) => {
                self.report(page, reason);
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    fn check_bounds(&mut self, page: &Page, (low, high): &Bounds) {
        let Some(last) = page.count().checked_sub(1) else { return };
        if low.as_deref().is_some_and(|low| page.key(0) < low) {
            self.report(page.id(), "its first key lies before its parent's");
        }
        if high.as_deref().is_some_and(|high| page.key(last) >= high) {
            self.report(page.id(), "its last key lies beyond its parent's next");
        }
    }

    /// The ids in the stored free list; its own pages are claimed.
    fn stored_free_list(&mut self) -> Result<Option<Vec<u64>>> {
        let id = self.meta.free_list;
        let bytes = match self.source.read_raw(id, self.meta.high_water) {
            Ok(bytes) => bytes,
            Err(Error::Corrupt { page, reason }) => {
                self.report(page, reason);
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        let header = Header::decode(&bytes);
        if header.id != id || header.flags != FREE_LIST {
            self.report(id, "it is no free list");
            return Ok(None);
        }
        if !self.claim(id, header.pages()) {
            return Ok(None);
        }
        Ok(self.decode_free_list(&header, &bytes))
    }

    fn decode_free_list(&mut self, header: &Header, bytes: &Bytes) -> Option<Vec<u64>> {
        let room = (bytes.len() - HEADER) / 8;
        let (first, count) = match header.count {
            u16::MAX if room > 0 => (1, u64_at(bytes, HEADER)),
            count => (0, u64::from(count)),
        };
        if count > room as u64 - first {
            self.report(header.id, format!("{count} ids do not fit"));
            return None;
        }
        Some((first..first + count).map(|i| u64_at(bytes, HEADER + i as usize * 8)).collect())
    }
}
