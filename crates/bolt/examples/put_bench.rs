//! Measures bulk insertion, random updates and point reads: `cargo run --release -p bolt --example put_bench [dir] [keys]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bolt::{Db, Options};
use bytes::Bytes;
use disk::RealDisk;

const BATCH: u64 = 10_000;
const VALUE: usize = 256;

fn key(n: u64) -> Bytes {
    let mut key = n.to_be_bytes().to_vec();
    key.extend_from_slice(b"_\0\0\0\0\0\0\0\0");
    Bytes::from(key)
}

fn scattered(n: u64, bound: u64) -> u64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % bound
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let keys: u64 = args.next().map_or(Ok(300_000), |text| text.parse())?;
    let path = dir.join(format!("put_bench.{}.db", std::process::id()));
    let db = Db::open(Arc::new(RealDisk), &path, Options::default())?;

    let report = |what: &str, count: u64, start: Instant| {
        let seconds = start.elapsed().as_secs_f64();
        println!("{what:24} {count:9} in {seconds:7.3} s, {:10.0} a second", count as f64 / seconds);
    };
    let start = Instant::now();
    for batch in 0..keys.div_ceil(BATCH) {
        let mut tx = db.write()?;
        tx.create_bucket_if_missing(b"key")?;
        tx.set_fill_percent(b"key", 90)?;
        let changes = (batch * BATCH..(batch + 1) * BATCH).map(|n| (key(n), Some(Bytes::from(vec![n as u8; VALUE]))));
        tx.apply_sorted(b"key", changes)?;
        tx.commit()?;
    }
    report("rising puts", keys, start);

    let start = Instant::now();
    let bucket = db.read().bucket(b"key")?.ok_or("the bucket is gone")?;
    for n in 0..keys {
        bucket.get(&key(scattered(n, keys)))?.ok_or("a key is gone")?;
    }
    report("scattered gets", keys, start);

    let start = Instant::now();
    let mut cursor = bucket.cursor();
    let mut count = 0;
    let mut at = cursor.first()?;
    while at.is_some() {
        count += 1;
        at = cursor.next()?;
    }
    report("a scan", count, start);
    drop((cursor, bucket));

    let start = Instant::now();
    for batch in 0..10 {
        let mut tx = db.write()?;
        for n in 0..BATCH / 10 {
            tx.delete(b"key", key(scattered(batch * BATCH + n, keys)))?;
        }
        tx.commit()?;
    }
    report("scattered deletes", BATCH, start);

    let start = Instant::now();
    let mut tx = db.write()?;
    for n in 0..keys / 2 {
        tx.delete(b"key", key(n))?;
    }
    tx.commit()?;
    report("deletes of half", keys / 2, start);

    let (start, before) = (Instant::now(), db.stats());
    let (mut moved, mut slices) = (0, 0);
    loop {
        let slice = db.shrink(256)?;
        (moved, slices) = (moved + slice.moved, slices + 1);
        if slice.done {
            break;
        }
    }
    report("pages moved", moved, start);
    let after = db.stats();
    println!("{slices} slices, from {} to {} bytes, file {}", before.size, after.size, after.file_len);
    println!("cache: {} hits, {} misses, {} bytes", after.cache_hits, after.cache_misses, after.cache_bytes);
    drop(db);
    let start = Instant::now();
    let db = Db::open(Arc::new(RealDisk), &path, Options::default())?;
    report("open: pages walked", db.stats().size / 4096, start);
    std::fs::remove_file(&path)?;
    Ok(())
}
