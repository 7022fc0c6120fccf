//! Random transactions against a map: contents agree, and the checker finds nothing, after every step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bolt::{Db, Options, ReadTx};
use common::{Model, Rng, assert_sound, content, open, options, random_changes, seeds};
use disk::MemDisk;

struct Run {
    rng: Rng,
    disk: MemDisk,
    options: Options,
    db: Db,
    model: Model,
    /// Readers that stay open, with what they must see.
    readers: Vec<(ReadTx, Model)>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng(seed);
        let disk = MemDisk::new(seed);
        let mut options = options(if rng.below(2) == 0 { 1024 } else { 4096 });
        options.freelist_sync = rng.below(3) == 0;
        let db = open(&disk, &options).unwrap();
        Run { rng, disk, options, db, model: Model::new(), readers: Vec::new() }
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0 => self.reopen(),
            1..=4 => self.shrink(),
            5 => self.roll_back(),
            6 | 7 => self.readers.push((self.db.read(), self.model.clone())),
            8 | 9 if !self.readers.is_empty() => {
                let i = self.rng.below(self.readers.len() as u64) as usize;
                let (reader, expected) = self.readers.swap_remove(i);
                assert_eq!(content(&reader).unwrap(), expected, "a reader's view has changed");
                assert!(reader.check().unwrap().is_ok());
                let mut len = 0;
                reader
                    .copy_to(&mut |chunk| {
                        len += chunk.len() as u64;
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(len, reader.size());
            }
            _ => self.commit(),
        }
        assert_sound(&self.db, "after a step");
        assert_eq!(content(&self.db.read()).unwrap(), self.model);
        let stats = self.db.stats();
        assert!(stats.file_len >= stats.size);
    }

    fn commit(&mut self) {
        let mut tx = self.db.write().unwrap();
        let space = if self.rng.below(2) == 0 { 5_000 } else { 300 };
        random_changes(&mut self.rng, &mut tx, &mut self.model, u64::from(self.options.page_size), space);
        tx.commit().unwrap();
    }

    fn roll_back(&mut self) {
        let before = self.db.stats();
        let mut tx = self.db.write().unwrap();
        random_changes(&mut self.rng, &mut tx, &mut self.model.clone(), 1024, 300);
        drop(tx);
        assert_eq!(self.db.stats().txid, before.txid);
    }

    fn shrink(&mut self) {
        let before = self.db.stats();
        let budget = 1 + self.rng.below(40);
        let shrink = self.db.shrink(budget).unwrap();
        // A stored list of free pages may need a place of its own.
        let list = if self.options.freelist_sync { 4 * before.page_size } else { 0 };
        assert!(shrink.new_size <= before.size + list);
        assert!(shrink.done || self.db.stats().txid > before.txid || self.db.stats().file_len < before.file_len);
    }

    fn shrink_to_the_end(&mut self) {
        self.readers.clear();
        for slice in 0.. {
            assert!(slice < 1000, "shrinking does not end");
            if self.db.shrink(1 + self.rng.below(50)).unwrap().done {
                break;
            }
        }
        assert_sound(&self.db, "after shrinking to the end");
        assert_eq!(content(&self.db.read()).unwrap(), self.model);
        let stats = self.db.stats();
        if !self.options.freelist_sync {
            // Room that was reserved and never written takes no space; it may stay.
            assert!(stats.file_len <= stats.size + stats.page_size + self.options.grow_bytes);
        }
        println!("{} of {} pages free after shrinking", stats.free_pages, stats.size / stats.page_size);
    }

    fn reopen(&mut self) {
        self.readers.clear();
        self.disk = self.disk.kill();
        self.db = open(&self.disk, &self.options).unwrap();
    }
}

#[test]
fn agrees_with_a_map() {
    for seed in 0..seeds(12) {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..60 {
            run.step();
        }
        run.shrink_to_the_end();
    }
}
