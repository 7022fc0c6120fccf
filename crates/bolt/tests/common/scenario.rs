//! A run of commits and shrink slices on a disk whose power can go at any moment.

use bolt::{Db, Options};
use disk::{Disk, File, MemDisk, Open};
use std::path::Path;
use std::sync::Arc;

use super::{Model, PATH, Rng, content, open, options, random_changes};

pub struct Scenario {
    pub seed: u64,
    pub options: Options,
    steps: u64,
}

/// What a run knew when it ended.
pub struct Ended {
    /// The content after the last commit that was acknowledged.
    pub committed: Model,
    /// The content if the commit under way counts.
    pub in_flight: Model,
    /// What was under way when the power went, if it went.
    pub during: Option<&'static str>,
}

impl Scenario {
    pub fn new(seed: u64, steps: u64) -> Scenario {
        let mut options = options(if seed % 3 == 2 { 4096 } else { 1024 });
        options.freelist_sync = seed % 4 == 1;
        options.grow_bytes = if seed.is_multiple_of(2) { 4096 } else { 64 << 10 };
        Scenario { seed, options, steps }
    }

    /// Runs until the end or until the power goes. `on_step` sees the disk after each step that succeeded.
    pub fn run(&self, disk: &MemDisk, on_step: &mut dyn FnMut(&'static str, &Db)) -> Ended {
        let mut rng = Rng(self.seed);
        let mut ended = Ended { committed: Model::new(), in_flight: Model::new(), during: None };
        let Ok(mut db) = open(disk, &self.options) else {
            assert!(disk.is_cut());
            return Ended { during: Some("creation"), ..ended };
        };
        let mut reader = None;
        for step in 0..self.steps {
            // The first part grows, the second decays and shrinks.
            let shrink = step > self.steps / 3 && rng.below(2) == 0;
            let what = if shrink { "a slice of shrinking" } else { "a commit" };
            let done = if shrink {
                db.shrink(1 + rng.below(30)).map(|_| ())
            } else {
                commit(&mut rng, &db, &mut ended.in_flight, u64::from(self.options.page_size))
            };
            if let Err(error) = done {
                assert!(disk.is_cut(), "{error}");
                return Ended { during: Some(what), ..ended };
            }
            ended.committed.clone_from(&ended.in_flight);
            on_step(what, &db);
            match rng.below(12) {
                0 => reader = Some(db.read()),
                1 => reader = None,
                2 => {
                    drop((reader.take(), db));
                    db = open(disk, &self.options).expect("reading does not fail before the power goes");
                }
                _ => {}
            }
        }
        ended
    }

    /// Switches the machine on again after the power went; the content must be whole, and the database usable.
    pub fn survive(&self, disk: &MemDisk, ended: &Ended) -> MemDisk {
        let disk = disk.power_loss();
        let db = open(&disk, &self.options).expect("the file opens after a power loss");
        super::assert_sound(&db, "after a power loss");
        let found = content(&db.read()).unwrap();
        assert!(
            found == ended.committed || found == ended.in_flight,
            "power went during {:?}: the content is neither the one before nor the one after",
            ended.during
        );
        disk
    }
}

fn commit(rng: &mut Rng, db: &Db, model: &mut Model, page_size: u64) -> bolt::Result<()> {
    let mut tx = db.write()?;
    let space = if rng.below(2) == 0 { 2_000 } else { 200 };
    random_changes(rng, &mut tx, model, page_size, space);
    tx.commit().map(|_| ())
}

/// The bytes of the database file as programs see them now.
pub fn dump(disk: &MemDisk) -> Vec<u8> {
    let file: Arc<dyn File> = disk.open(Path::new(PATH), Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}
