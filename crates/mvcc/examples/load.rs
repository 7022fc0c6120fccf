//! Measures the store on a real directory: processor time of puts, reads and commits, and memory per key.
//!
//! ```text
//! cargo run --release -p mvcc --example load -- [keys] [value bytes] [puts between publishing] [cache MiB]
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use disk::{Disk, RealDisk};
use mvcc::{EntryId, HashRule, Options, RangeQuery, Store, SweepProgress};

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let keys = args.next().unwrap_or(100_000);
    let value = vec![b'v'; args.next().unwrap_or(256) as usize];
    let batch = args.next().unwrap_or(20);
    let cache_bytes = args.next().unwrap_or(32) as usize * (1 << 20);
    let dir = std::env::temp_dir().join(format!("mvcc-load-{}", std::process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    disk.create_dir_all(&dir, 0o700).expect("a directory");
    let path = dir.join("db");

    let mut store = open(&disk, &path, cache_bytes);
    let before = resident_bytes();
    let mut commits = (Duration::ZERO, 0);
    put(&mut store, "new keys", keys, keys, &value, batch, &mut commits);
    commit(&mut store, &mut commits);
    store.publish();
    println!("memory: {} bytes a key over the empty store", resident_bytes().saturating_sub(before) / keys);
    println!("commits: {} in {:.2?}", commits.1, commits.0);
    put(&mut store, "old keys", keys, keys, &value, batch, &mut commits);
    read(&mut store, keys);
    compact(&mut store, &mut commits);
    println!("memory: {} MiB resident", resident_bytes() >> 20);
    drop(store);
    let start = Cpu::now();
    let store = open(&disk, &path, cache_bytes);
    println!("open: {:.2?} for {} keys", start.elapsed(), store.image().index_len());
    println!("memory: {} bytes resident a key", resident_bytes() / keys);
    drop(store);
    disk.remove_dir_all(&dir).expect("the directory goes");
}

fn open(disk: &Arc<dyn Disk>, path: &Path, cache_bytes: usize) -> Store {
    let options = Options { cache_bytes, ..Options::default() };
    Store::open(disk.clone(), path, options).expect("the store opens")
}

fn key(number: u64) -> Vec<u8> {
    // Scattered, as keys of many kinds are.
    format!("/registry/{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

fn put(store: &mut Store, what: &str, count: u64, keys: u64, value: &[u8], batch: u64, commits: &mut (Duration, u32)) {
    let mut committing = Duration::ZERO;
    let start = Cpu::now();
    for number in 0..count {
        let index = store.applied().index + 1;
        let mut txn = store.begin(EntryId { term: 1, index });
        txn.put(&key(number % keys), value, 0);
        txn.commit();
        if number % batch == 0 {
            store.publish();
        }
        if number % 10_000 == 9_999 {
            let start = Cpu::now();
            commit(store, commits);
            committing += start.elapsed();
        }
    }
    rate(&format!("puts of {what}"), count, start.elapsed() - committing);
}

fn commit(store: &mut Store, commits: &mut (Duration, u32)) {
    let Some(job) = store.seal(u64::MAX) else { return };
    let start = Cpu::now();
    let committed = job.run().expect("the commit succeeds");
    commits.0 += start.elapsed();
    commits.1 += 1;
    store.committed(committed);
}

fn read(store: &mut Store, keys: u64) {
    store.publish();
    let reader = store.reader();
    let start = Cpu::now();
    for number in 0..keys {
        let view = reader.view();
        let query = RangeQuery { key: key(number).into(), ..RangeQuery::default() };
        let mut range = view.range(&query).expect("the range opens");
        assert!(range.next_item().expect("the record is there").is_some());
    }
    rate("gets of one key", keys, start.elapsed());

    let view = reader.view();
    let all = RangeQuery { key: vec![0].into(), range_end: vec![0].into(), ..RangeQuery::default() };
    let start = Cpu::now();
    let mut encoded = view.range(&all).expect("the range opens").encode().expect("the first pass");
    let (mut out, mut bytes) = (bytes::BytesMut::new(), 0);
    while encoded.fill(&mut out, 1 << 20).expect("the second pass") {
        bytes += out.len();
        out.clear();
    }
    assert_eq!(bytes + out.len(), encoded.len());
    rate("keys of a whole range, both passes", keys, start.elapsed());

    let start = Cpu::now();
    let count = RangeQuery { count_only: true, ..all };
    assert_eq!(view.range(&count).expect("the range opens").count(), keys as i64);
    rate("keys counted", keys, start.elapsed());

    let start = Cpu::now();
    view.hash_kv(0, HashRule::V3_7).expect("the hash");
    rate("keys hashed", keys, start.elapsed());
}

fn compact(store: &mut Store, commits: &mut (Duration, u32)) {
    let EntryId { term, index } = store.applied();
    let mut txn = store.begin(EntryId { term, index: index + 1 });
    let revision = txn.revision();
    txn.compact(revision).expect("the compaction is new");
    txn.commit();
    let (start, mut slices, mut longest) = (Cpu::now(), 0, Duration::ZERO);
    loop {
        let slice = Cpu::now();
        let progress = store.sweep(1000).expect("the sweep");
        longest = longest.max(slice.elapsed());
        slices += 1;
        if let SweepProgress::Finished { .. } = progress {
            break;
        }
    }
    println!("sweep: {slices} slices in {:.2?}, the longest {longest:.2?}", start.elapsed());
    commit(store, commits);
    println!("file: {} MiB, {} MiB in use", store.stats().size >> 20, store.stats().in_use >> 20);
}

fn rate(what: &str, count: u64, took: Duration) {
    let each = took.as_nanos() as f64 / count as f64;
    println!("{what}: {:.0} ns each, {:.0} a second", each, 1e9 / each);
}

/// A moment in the processor time of this thread, so that what else runs on the machine does not count.
#[derive(Clone, Copy)]
struct Cpu(Duration);

impl Cpu {
    fn now() -> Cpu {
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells the processor time");
        let nanos = schedstat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("a number");
        Cpu(Duration::from_nanos(nanos))
    }

    fn elapsed(self) -> Duration {
        Cpu::now().0 - self.0
    }
}

/// Resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4096)
}
