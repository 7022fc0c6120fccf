//! Damaged files: a clear error or an intact answer, never a panic, never a walk without end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use bolt::{Db, Error, Options};
use bytes::Bytes;
use common::scenario::dump;
use common::{Model, PATH, Rng, content, open, options, random_changes, seeds};
use disk::{Disk, MemDisk, Open};

/// A file with several levels, overflow pages, inline buckets and free pages.
fn sample(seed: u64) -> (Vec<u8>, Options) {
    let mut rng = Rng(seed);
    let disk = MemDisk::new(seed);
    let mut options = options(1024);
    options.freelist_sync = seed % 2 == 1;
    let db = open(&disk, &options).unwrap();
    let mut model = Model::new();
    for _ in 0..12 {
        let mut tx = db.write().unwrap();
        random_changes(&mut rng, &mut tx, &mut model, 1024, 3_000);
        tx.commit().unwrap();
    }
    options.page_cache_bytes = 0;
    (dump(&disk)[..db.stats().size as usize].to_vec(), options)
}

fn disk_with(bytes: &[u8]) -> MemDisk {
    let disk = MemDisk::new(0);
    disk.open(Path::new(PATH), Open::CreateNew { mode: 0o600 }).unwrap().write_all_at(0, bytes).unwrap();
    disk
}

fn assert_clear(error: &Error) {
    // A flipped flag makes a bucket of a value, a flipped name takes it away.
    let plausible = matches!(error, Error::IncompatibleValue | Error::BucketNotFound);
    assert!(plausible || error.is_corruption(), "{error}");
    assert!(!error.to_string().is_empty());
}

/// Everything that reads; errors must be clear.
fn read_all(db: &Db) {
    let tx = db.read();
    if let Err(error) = content(&tx) {
        assert_clear(&error);
    }
    tx.check().unwrap();
    for name in common::BUCKETS {
        let Ok(Some(bucket)) = tx.bucket(name.as_bytes()) else { continue };
        let mut cursor = bucket.cursor();
        let mut at = cursor.last();
        while let Ok(Some(_)) = at {
            at = cursor.prev();
        }
        if let Err(error) = at.and_then(|_| bucket.get(b"\0\0\x01")).and_then(|_| cursor.seek(b"\0\x01")) {
            assert_clear(&error);
        }
    }
    tx.copy_to(&mut |_| Ok(())).unwrap();
}

/// Everything that writes; errors must be clear.
fn write_all(db: &Db, rng: &mut Rng) {
    for _ in 0..4 {
        let outcome = db.write().and_then(|mut tx| {
            let name = common::BUCKETS[rng.below(4) as usize].as_bytes();
            tx.create_bucket_if_missing(name)?;
            if rng.below(5) == 0 {
                tx.delete_bucket(name)?;
            } else {
                for _ in 0..rng.below(40) {
                    let key = Bytes::copy_from_slice(&rng.below(3_000).to_be_bytes()[5..]);
                    if rng.below(2) == 0 { tx.delete(name, key)? } else { tx.put(name, key, Bytes::from(vec![7; 50]))? }
                }
            }
            tx.commit().map(|_| ())
        });
        if let Err(error) = outcome.and_then(|()| db.shrink(10).map(|_| ())) {
            assert_clear(&error);
        }
    }
}

fn damage(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(6) {
            0 | 1 => bytes[at] ^= 1 << rng.below(8),
            // In the head of a page, where the structure is.
            2 => bytes[at / 1024 * 1024 + rng.below(48) as usize] = rng.next() as u8,
            3 => {
                let from = rng.below(bytes.len() as u64 / 1024) as usize * 1024;
                let page = bytes[from..from + 1024].to_vec();
                bytes[at / 1024 * 1024..at / 1024 * 1024 + 1024].copy_from_slice(&page);
            }
            4 => {
                let end = (at + rng.below(200) as usize).min(bytes.len());
                bytes[at..end].fill(rng.next() as u8);
            }
            _ if rng.below(4) == 0 => bytes.truncate((at / 1024).max(1) * 1024),
            _ => {
                // A child or root pointer to some page that exists.
                let target = rng.below(bytes.len() as u64 / 1024);
                let at = at / 8 * 8;
                if at + 8 <= bytes.len() {
                    bytes[at..at + 8].copy_from_slice(&target.to_le_bytes());
                }
            }
        }
    }
}

#[test]
fn damaged_before_it_is_opened() {
    for seed in 0..seeds(600) {
        let mut rng = Rng(seed);
        let (mut bytes, mut options) = sample(seed % 8);
        damage(&mut rng, &mut bytes);
        match open(&disk_with(&bytes), &options) {
            Ok(db) => {
                read_all(&db);
                write_all(&db, &mut rng);
            }
            Err(error) => assert_clear(&error),
        }
        options.read_only = true;
        match open(&disk_with(&bytes), &options) {
            Ok(db) => read_all(&db),
            Err(error) => assert_clear(&error),
        }
    }
}

#[test]
fn damaged_while_it_is_open() {
    for seed in 0..seeds(300) {
        println!("seed {seed}");
        let mut rng = Rng(seed);
        let (bytes, options) = sample(seed % 8);
        let disk = disk_with(&bytes);
        let db = open(&disk, &options).unwrap();
        let mut bad = bytes.clone();
        damage(&mut rng, &mut bad);
        for (at, (old, new)) in bytes.iter().zip(&bad).enumerate().skip(2048) {
            if old != new {
                disk.corrupt(Path::new(PATH), at as u64, old ^ new).unwrap();
            }
        }
        read_all(&db);
        write_all(&db, &mut rng);
    }
}

#[test]
fn every_truncation_is_refused() {
    let (bytes, options) = sample(1);
    for len in (1..bytes.len()).step_by(97) {
        let error = open(&disk_with(&bytes[..len]), &options).err().expect("a truncated file is refused");
        assert_clear(&error);
    }
}

#[test]
fn one_damaged_meta_page_is_survived() {
    let (bytes, options) = sample(2);
    for slot in [0, 1] {
        let disk = disk_with(&bytes);
        disk.corrupt(Path::new(PATH), slot * 1024 + 60, 0xff).unwrap();
        let db = open(&disk, &options).unwrap();
        assert!(db.check().unwrap().is_ok());
        for _ in 0..3 {
            let mut tx = db.write().unwrap();
            tx.create_bucket_if_missing(b"after").unwrap();
            tx.put(b"after", Bytes::from("k"), Bytes::from("v")).unwrap();
            tx.commit().unwrap();
            db.shrink(10).unwrap();
        }
        assert!(db.check().unwrap().is_ok());
    }
    let disk = disk_with(&bytes);
    disk.corrupt(Path::new(PATH), 60, 0xff).unwrap();
    disk.corrupt(Path::new(PATH), 1024 + 60, 0xff).unwrap();
    assert!(matches!(open(&disk, &options).err(), Some(Error::Invalid { .. })));
}

/// The stored free list is read by every commit that replaces it, by the checker and when space is given back.
#[test]
fn a_damaged_free_list_is_refused_or_harmless() {
    let (bytes, options) = sample(1);
    let pages = bytes.len() / 1024;
    let id = |page: usize| u64::from_le_bytes(bytes[page * 1024..page * 1024 + 8].try_into().unwrap());
    let is_list = |page: &usize| bytes[page * 1024 + 8] == 0x10 && id(*page) == *page as u64;
    let lists: Vec<usize> = (2..pages).filter(is_list).collect();
    assert!(!lists.is_empty(), "the sample stores its free list");
    let (mut refused, mut reported) = (0, 0);
    for seed in 0..seeds(400) {
        let mut rng = Rng(seed);
        let mut bad = bytes.clone();
        // Old lists may still lie in free pages; all are damaged alike.
        for list in &lists {
            let head = list * 1024;
            match rng.below(6) {
                0 => bad[head + 8..head + 10].copy_from_slice(&(rng.next() as u16).to_le_bytes()),
                1 => bad[head + 10..head + 12].copy_from_slice(&[0xff, 0xff]),
                2 => {
                    bad[head + 10..head + 12].copy_from_slice(&[0xff, 0xff]);
                    let count = [0, 1, rng.below(200), u64::MAX, u64::MAX - 1][rng.below(5) as usize];
                    bad[head + 16..head + 24].copy_from_slice(&count.to_le_bytes());
                }
                3 => bad[head + 12..head + 16].copy_from_slice(&(rng.below(300) as u32).to_le_bytes()),
                4 => bad[head + 12..head + 16].copy_from_slice(&[0xff; 4]),
                _ => {
                    let at = head + 16 + 8 * rng.below(10) as usize;
                    let id = [0, 1, u64::MAX, pages as u64, rng.below(pages as u64)][rng.below(5) as usize];
                    bad[at..at + 8].copy_from_slice(&id.to_le_bytes());
                }
            }
        }
        let db = match open(&disk_with(&bad), &options) {
            Ok(db) => db,
            Err(error) => {
                assert_clear(&error);
                refused += 1;
                continue;
            }
        };
        // The free pages are found by a walk, so the content is whole; the checker sees the difference.
        let sound = open(&disk_with(&bytes), &options).unwrap();
        assert!(content(&db.read()).unwrap() == content(&sound.read()).unwrap(), "seed {seed}");
        reported += u64::from(!db.check().unwrap().is_ok());
        write_all(&db, &mut rng);
    }
    assert!(refused > 50 && reported > 20, "{refused} refused, {reported} reported");
}
