//! Which pages are free, and which will be once no reader needs them.
//!
//! Free pages are a bitmap; the lowest run that is long enough is taken first, so that a file fills from its beginning
//! and its end can be given back.

use std::collections::BTreeMap;

/// The free pages of a database between two commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreeList {
    /// Bit `id % 64` of word `id / 64` is set while the page is free.
    words: Vec<u64>,
    free: u64,
    /// For runs of at least this many pages: no such run begins before this page. Holds until a page becomes free.
    hints: BTreeMap<u64, u64>,
    /// Pages that the commit with this id replaced: the states before it still need them.
    pending: BTreeMap<u64, Vec<u64>>,
    pending_pages: u64,
}

impl FreeList {
    pub(crate) fn is_free(&self, id: u64) -> bool {
        self.words.get((id / 64) as usize).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub(crate) fn free_pages(&self) -> u64 {
        self.free
    }

    pub(crate) fn pending_pages(&self) -> u64 {
        self.pending_pages
    }

    /// Ids in rising order of all free and pending pages: what a stored free list holds.
    pub(crate) fn all_ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.free_ids().collect();
        ids.extend(self.pending.values().flatten());
        ids.sort_unstable();
        ids
    }

    /// Ids of the pending pages, in rising order.
    pub(crate) fn pending_ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.pending.values().flatten().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn free_ids(&self) -> impl Iterator<Item = u64> + '_ {
        let bits = |(index, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index as u64 * 64 + bit)
        };
        self.words.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(bits)
    }

    /// Marks `count` pages from `id` on as free.
    pub(crate) fn add(&mut self, id: u64, count: u64) {
        let words_needed = ((id + count).div_ceil(64)) as usize;
        if self.words.len() < words_needed {
            self.words.resize(words_needed, 0);
        }
        for page in id..id + count {
            let word = &mut self.words[(page / 64) as usize];
            self.free += u64::from(*word >> (page % 64) & 1 == 0);
            *word |= 1 << (page % 64);
        }
        self.hints.clear();
    }

    fn take(&mut self, id: u64, count: u64) {
        for page in id..id + count {
            self.words[(page / 64) as usize] &= !(1 << (page % 64));
        }
        self.free -= count;
    }

    /// Takes the lowest run of `count` pages.
    pub(crate) fn allocate(&mut self, count: u64) -> Option<u64> {
        if count == 0 || self.free < count {
            return None;
        }
        let from = self.hints.range(..=count).map(|(_, from)| *from).max().unwrap_or(0);
        match self.find_run(from, count) {
            Some(id) => {
                self.take(id, count);
                self.hints.insert(count, id);
                Some(id)
            }
            None => {
                self.hints.insert(count, self.words.len() as u64 * 64);
                None
            }
        }
    }

    fn find_run(&self, from: u64, count: u64) -> Option<u64> {
        let mut run = 0;
        let mut id = from;
        let end = self.words.len() as u64 * 64;
        while id < end {
            let word = self.words[(id / 64) as usize] >> (id % 64);
            if word == 0 {
                run = 0;
                id = (id / 64 + 1) * 64;
                continue;
            }
            let used = u64::from(word.trailing_zeros());
            if used > 0 {
                run = 0;
                id += used;
            }
            let ones = u64::from((!(word >> used)).trailing_zeros()).min(64 - id % 64);
            run += ones;
            id += ones;
            if run >= count {
                return Some(id - run);
            }
        }
        None
    }

    /// Records what the commit `txid` no longer needs.
    pub(crate) fn retire(&mut self, txid: u64, pages: Vec<u64>) {
        self.pending_pages += pages.len() as u64;
        self.pending.entry(txid).or_default().extend(pages);
    }

    /// Frees what the commits up to `txid` have replaced: no reader is older than `txid`, and its meta page is durable.
    pub(crate) fn release(&mut self, txid: u64) {
        let later = self.pending.split_off(&(txid + 1));
        for pages in std::mem::replace(&mut self.pending, later).into_values() {
            self.pending_pages -= pages.len() as u64;
            for page in pages {
                self.add(page, 1);
            }
        }
    }

    /// Drops the free pages that end the file below `high_water`; answers the new mark.
    pub(crate) fn trim(&mut self, high_water: u64) -> u64 {
        let mut mark = high_water;
        while mark > 2 && self.is_free(mark - 1) {
            self.take(mark - 1, 1);
            mark -= 1;
        }
        if mark < high_water {
            self.words.truncate(mark.div_ceil(64) as usize);
            self.hints.clear();
        }
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[u64]) -> FreeList {
        let mut list = FreeList::default();
        for id in ids {
            list.add(*id, 1);
        }
        list
    }

    #[test]
    fn takes_the_lowest_run_that_is_long_enough() {
        let mut free = list(&[3, 5, 6, 62, 63, 64, 65, 200]);
        assert_eq!(free.allocate(3), Some(62));
        assert_eq!(free.allocate(1), Some(3));
        assert_eq!(free.allocate(2), Some(5));
        assert_eq!(free.allocate(2), None);
        assert_eq!(free.allocate(1), Some(65));
        assert_eq!(free.allocate(1), Some(200));
        assert_eq!(free.allocate(1), None);
        assert_eq!(free.free_pages(), 0);
    }

    #[test]
    fn runs_longer_than_a_word() {
        let mut free = FreeList::default();
        free.add(60, 300);
        assert_eq!(free.allocate(257), Some(60));
        assert_eq!(free.allocate(44), None);
        assert_eq!(free.allocate(43), Some(317));
    }

    #[test]
    fn hints_do_not_hide_what_is_freed_later() {
        let mut free = list(&[10, 11, 20]);
        assert_eq!(free.allocate(3), None);
        free.add(12, 1);
        assert_eq!(free.allocate(3), Some(10));
        free.retire(7, vec![4, 5]);
        free.retire(8, vec![30]);
        assert_eq!((free.free_pages(), free.pending_pages()), (1, 3));
        assert_eq!(free.all_ids(), [4, 5, 20, 30]);
        free.release(7);
        assert_eq!((free.free_pages(), free.pending_pages()), (3, 1));
        assert_eq!(free.allocate(2), Some(4));
    }

    #[test]
    fn the_end_is_trimmed() {
        let mut free = list(&[4, 97, 98, 99]);
        assert_eq!(free.trim(100), 97);
        assert_eq!(free.free_ids().collect::<Vec<_>>(), [4]);
        assert_eq!(free.trim(97), 97);
        assert_eq!(free.trim(5), 4);
        assert_eq!(free.free_pages(), 0);
    }

    #[test]
    fn agrees_with_a_plain_set() {
        let mut seed = 1u64;
        let mut next = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % bound
        };
        let mut free = FreeList::default();
        let mut model = std::collections::BTreeSet::new();
        for _ in 0..3000 {
            if next(2) == 0 {
                let id = 2 + next(400);
                if model.insert(id) {
                    free.add(id, 1);
                }
            } else {
                let count = 1 + next(4);
                let expected = model.iter().copied().find(|id| (*id..id + count).all(|page| model.contains(&page)));
                assert_eq!(free.allocate(count), expected);
                for id in expected.iter().flat_map(|id| *id..id + count) {
                    model.remove(&id);
                }
            }
            assert_eq!(free.free_pages(), model.len() as u64);
        }
    }
}
