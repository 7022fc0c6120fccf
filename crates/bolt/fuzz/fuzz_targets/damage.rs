//! A sound file with bytes changed at chosen places: each five bytes of input are an offset and a value.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use bolt::{Db, Options};
use bytes::Bytes;
use disk::{Disk, MemDisk, Open};
use libfuzzer_sys::fuzz_target;

const SOUND: &[u8] = include_bytes!("../../tests/fixtures/nested.db");

fuzz_target!(|data: &[u8]| {
    let mut bytes = SOUND.to_vec();
    for change in data.chunks_exact(5).take(16) {
        let offset = u32::from_le_bytes([change[0], change[1], change[2], change[3]]) as usize % bytes.len();
        bytes[offset] = change[4];
    }
    for read_only in [true, false] {
        let disk = MemDisk::new(0);
        let file = disk.open(Path::new("db"), Open::CreateNew { mode: 0o600 }).expect("an empty disk takes a file");
        file.write_all_at(0, &bytes).expect("a disk without bounds takes all");
        drop(file);
        let options = Options { read_only, page_cache_bytes: 0, ..Options::default() };
        let Ok(db) = Db::open(Arc::new(disk), Path::new("db"), options) else { continue };
        db.check().expect("the disk does not fail");
        change(&db).ok();
        db.shrink(8).ok();
    }
});

fn change(db: &Db) -> bolt::Result<()> {
    let mut tx = db.write()?;
    for i in 0..100 {
        tx.put(b"a", Bytes::from(format!("i{i}")), Bytes::from("value"))?;
        tx.delete(b"a", Bytes::from(format!("plain{i:03}")))?;
    }
    tx.commit()?;
    let mut tx = db.write()?;
    tx.delete_bucket(b"small")?;
    tx.commit().map(|_| ())
}
