//! A bounded cache of pages, in shards with short locks; within a shard the clock algorithm chooses what goes.
//!
//! Pages are kept by id. That is sound because a page id changes its content only while no reader can reach it, and the
//! commit that changes it replaces the cached page before the new root is published.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::page::Page;

/// A shard holds at least this much, so that small caches have few shards.
const SHARD_BYTES_MIN: usize = 2 << 20;
const SHARDS_MAX: usize = 16;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 128;

pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

struct Shard {
    capacity: usize,
    used: usize,
    places: HashMap<u64, usize>,
    slots: Vec<Slot>,
    hand: usize,
}

struct Slot {
    page: Page,
    recent: bool,
}

impl Cache {
    pub(crate) fn new(capacity_bytes: usize) -> Cache {
        let shards = (capacity_bytes / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let capacity = capacity_bytes / shards;
        let shard = || Mutex::new(Shard { capacity, used: 0, places: HashMap::new(), slots: Vec::new(), hand: 0 });
        Cache {
            shards: std::iter::repeat_with(shard).take(shards).collect(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = (mixed % self.shards.len() as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Page> {
        let mut shard = self.shard(id);
        let found = shard.places.get(&id).copied().map(|place| {
            let slot = &mut shard.slots[place];
            slot.recent = true;
            slot.page.clone()
        });
        drop(shard);
        if found.is_some() { &self.hits } else { &self.misses }.fetch_add(1, Relaxed);
        found
    }

    /// Keeps `page`, in place of an older page of the same id.
    pub(crate) fn insert(&self, page: Page) {
        let mut shard = self.shard(page.id());
        shard.remove(page.id());
        shard.insert(page);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    pub(crate) fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).used).sum()
    }
}

fn cost(page: &Page) -> usize {
    page.bytes().len() + ENTRY_BYTES
}

impl Shard {
    fn insert(&mut self, page: Page) {
        let cost = cost(&page);
        // A page that would push out half of the rest is not worth it.
        if cost > self.capacity / 2 {
            return;
        }
        while self.used + cost > self.capacity {
            self.evict_one();
        }
        self.used += cost;
        self.places.insert(page.id(), self.slots.len());
        self.slots.push(Slot { page, recent: false });
    }

    fn evict_one(&mut self) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let slot = &mut self.slots[self.hand];
            if !slot.recent {
                let id = slot.page.id();
                self.remove(id);
                return;
            }
            slot.recent = false;
            self.hand += 1;
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(place) = self.places.remove(&id) else { return };
        let gone = self.slots.swap_remove(place);
        self.used -= cost(&gone.page);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.page.id(), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::page::{Header, LEAF};

    fn leaf(id: u64, len: usize) -> Page {
        let mut bytes = BytesMut::new();
        Header { id, flags: LEAF, count: 0, overflow: 0 }.encode(&mut bytes);
        bytes.resize(len, 0);
        Page::decode(id, bytes.freeze()).unwrap()
    }

    #[test]
    fn stays_within_its_capacity_and_keeps_what_is_used() {
        let capacity = 100 * (4096 + ENTRY_BYTES);
        let cache = Cache::new(capacity);
        for id in 2..1002 {
            cache.insert(leaf(id, 4096));
            assert!(cache.used_bytes() <= capacity);
            assert!(cache.get(2).is_some(), "page 2 is asked for after each insertion, {id} pushed it out");
        }
        let kept = (2..1002).filter(|id| cache.get(*id).is_some()).count();
        assert_eq!(kept, 100);
    }

    #[test]
    fn a_page_replaces_an_older_one() {
        let cache = Cache::new(1 << 20);
        cache.insert(leaf(7, 4096));
        cache.insert(leaf(7, 8192));
        assert_eq!(cache.get(7).map(|page| page.bytes().len()), Some(8192));
        cache.insert(leaf(7, 1 << 20));
        assert!(cache.get(7).is_none(), "a page larger than half of the cache is not kept");
        assert_eq!(cache.used_bytes(), 0);
    }

    #[test]
    fn a_cache_of_nothing_keeps_nothing() {
        let cache = Cache::new(0);
        cache.insert(leaf(7, 4096));
        assert!(cache.get(7).is_none());
    }
}
