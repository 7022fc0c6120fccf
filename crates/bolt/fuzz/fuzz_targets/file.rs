//! Any bytes as a database file.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use bolt::{Db, Options};
use disk::{Disk, MemDisk, Open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for read_only in [true, false] {
        let disk = MemDisk::new(0);
        let file = disk.open(Path::new("db"), Open::CreateNew { mode: 0o600 }).expect("an empty disk takes a file");
        file.write_all_at(0, data).expect("a disk without bounds takes all");
        drop(file);
        let options = Options { read_only, page_cache_bytes: 0, ..Options::default() };
        let Ok(db) = Db::open(Arc::new(disk), Path::new("db"), options) else { continue };
        walk(&db);
    }
});

fn walk(db: &Db) {
    let tx = db.read();
    tx.check().expect("the disk does not fail");
    for name in tx.buckets().unwrap_or_default() {
        let Ok(Some(bucket)) = tx.bucket(&name) else { continue };
        let mut cursor = bucket.cursor();
        let mut at = cursor.first();
        while let Ok(Some(_)) = at {
            at = cursor.next();
        }
    }
    for _ in 0..3 {
        if let Ok(tx) = db.write() {
            tx.commit().ok();
        }
        db.shrink(8).ok();
    }
}
