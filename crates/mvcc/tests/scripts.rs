//! Behaviour as text: the scripts in `scripts/`, each on a store of its own. Commands:
//!
//! ```text
//! txn [index=n] [term=n] [drop]    input: put k v [lease] | del k [end] | get k | raw bucket k [v]
//! compact at=n                     the transaction of a compaction
//! sweep budget=n
//! range k [end=e] [at=n] [limit=n] [order=..] [target=..] [keys-only] [count-only] [min-mod=n] ... [view=name]
//! publish                          prints the events
//! view name=v                      holds what is published
//! events from=n                    history, of what is published
//! hash at=n [rule=3.4|3.5|3.7]
//! raw bucket=b                     the pairs of a bucket
//! seal [durable=n]                 prints what the job holds
//! run                              runs the oldest job and takes its result
//! bump by=n [compacted] | force index=n term=n | clear bucket=b | storage-version [v=..]
//! reopen [kill]                    what was not committed is gone
//! status
//! ```

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use disk::MemDisk;
use mvcc::{
    Bucket, CommitJob, EntryId, Event, EventKind, HashKv, HashRule, Image, KeysOnly, Options, RangeQuery, SortOrder,
    SortTarget, Store, Txn, View,
};
use proto::mvccpb::KeyValue;
use testkit::datadriven::{self, Case};

#[test]
fn scripts() {
    for path in datadriven::scripts(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")) {
        let mut session = Session::new();
        datadriven::run(path, |case| session.execute(case).unwrap_or_else(|error| format!("error: {error}")));
    }
}

struct Session {
    disk: MemDisk,
    store: Store,
    jobs: VecDeque<CommitJob>,
    views: BTreeMap<String, View>,
}

fn open(disk: &MemDisk) -> Store {
    let options = Options { frozen_max: 2, ..Options::default() };
    Store::open(Arc::new(disk.clone()), Path::new("/db"), options).unwrap()
}

impl Session {
    fn new() -> Session {
        let disk = MemDisk::new(1);
        Session { store: open(&disk), disk, jobs: VecDeque::new(), views: BTreeMap::new() }
    }

    fn execute(&mut self, case: &Case) -> mvcc::Result<String> {
        let store = &mut self.store;
        match case.command.as_str() {
            "txn" => return txn(store, case),
            "compact" => {
                let entry = next_entry(store, case);
                let mut txn = store.begin(entry);
                txn.compact(case.parsed("at").unwrap())?;
                txn.commit();
            }
            "sweep" => return Ok(format!("{:?}", store.sweep(case.parsed("budget").unwrap())?)),
            "range" => match case.value("view") {
                Some(name) => return range(&self.views[name], case),
                None => return range(store.image(), case),
            },
            "publish" => {
                let batch = store.publish();
                return Ok(batch.map_or(String::new(), |batch| batch.events.iter().map(event_line).collect()));
            }
            "view" => {
                self.views.insert(case.value("name").unwrap().to_string(), store.reader().view());
            }
            "events" => {
                let events = store.reader().view().events(case.parsed("from").unwrap())?;
                return events.map(|event| Ok(event_line(&event?))).collect();
            }
            "hash" => return hash(store.image(), case),
            "raw" => return raw(store.image(), bucket(case.value("bucket").unwrap())),
            "seal" => {
                let job = store.seal(case.parsed("durable").unwrap_or(u64::MAX));
                let line = job.as_ref().map_or("nothing".to_string(), |job| entry_text(job.last()));
                self.jobs.extend(job);
                return Ok(line);
            }
            "run" => {
                let committed = self.jobs.pop_front().expect("a job").run()?;
                let snapshot = committed.snapshot();
                let mut chunks = snapshot.stream();
                let mut streamed = 0;
                while let Some(chunk) = chunks.next_chunk()? {
                    streamed += chunk.len() as u64;
                }
                assert_eq!((streamed, chunks.remaining()), (snapshot.len(), 0));
                store.committed(committed);
                return Ok(entry_text(snapshot.last()));
            }
            "bump" => {
                let compacted = case.words().any(|word| word == "compacted");
                return Ok(format!("rev={}", store.offline().bump_revision(case.parsed("by").unwrap(), compacted)?));
            }
            "force" => {
                let entry = next_entry(store, case);
                store.offline().force_applied(entry);
            }
            "clear" => store.offline().clear(bucket(case.value("bucket").unwrap()))?,
            "storage-version" => store.migrate_storage(case.value("v")),
            "reopen" => {
                self.jobs.clear();
                self.views.clear();
                self.disk =
                    if case.words().any(|word| word == "kill") { self.disk.kill() } else { self.disk.power_loss() };
                self.store = open(&self.disk);
            }
            "status" => return Ok(status(store)),
            other => panic!("line {}: no command {other}", case.line),
        }
        Ok("ok".to_string())
    }
}

fn next_entry(store: &Store, case: &Case) -> EntryId {
    let before = store.applied();
    EntryId {
        term: case.parsed("term").unwrap_or(before.term.max(1)),
        index: case.parsed("index").unwrap_or(before.index + 1),
    }
}

fn txn(store: &mut Store, case: &Case) -> mvcc::Result<String> {
    let entry = next_entry(store, case);
    let mut txn = store.begin(entry);
    let mut out = String::new();
    for line in case.input.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        out += &step(&mut txn, &words)?;
    }
    if case.words().any(|word| word == "drop") {
        return Ok(out + "dropped");
    }
    let rev = txn.commit();
    Ok(format!("{out}rev={rev}"))
}

fn step(txn: &mut Txn<'_>, words: &[&str]) -> mvcc::Result<String> {
    Ok(match words {
        ["put", key, value, rest @ ..] => {
            let lease = rest.first().map_or(0, |lease| lease.parse().unwrap());
            let put = txn.put(key.as_bytes(), value.as_bytes(), lease);
            format!("put {}_{} version={}\n", put.revision.main, put.revision.sub, put.version)
        }
        ["del", key, end @ ..] => {
            let (key, end) = (key.replace("first", "\0"), range_end(end.first().copied()));
            let mut gone = Vec::new();
            txn.delete_range(key.as_bytes(), end.as_bytes(), &mut |key| {
                gone.push(String::from_utf8_lossy(key).into_owned());
            });
            format!("deleted {gone:?}\n")
        }
        ["get", key] => {
            let kv = txn.get_kv(key.as_bytes())?;
            format!("{} at {}\n", kv.map_or("none".to_string(), |kv| kv_text(&kv)), txn.revision())
        }
        ["raw", name, key] => {
            txn.delete_raw(bucket(name), key.as_bytes());
            String::new()
        }
        ["raw", name, key, value] => {
            txn.put_raw(bucket(name), key.as_bytes(), value.as_bytes());
            String::new()
        }
        other => panic!("no step {other:?}"),
    })
}

fn range_end(end: Option<&str>) -> &str {
    match end {
        None => "",
        Some("all") => "\0",
        Some(end) => end,
    }
}

fn range(image: &Image, case: &Case) -> mvcc::Result<String> {
    let has = |word: &str| case.words().any(|w| w == word);
    let number = |name: &str| case.parsed(name).unwrap_or(0);
    let query = RangeQuery {
        key: case.args[0].key.replace("first", "\0").into_bytes().into(),
        range_end: range_end(case.value("end")).as_bytes().to_vec().into(),
        limit: number("limit"),
        revision: number("at"),
        sort_order: match case.value("order") {
            Some("asc") => SortOrder::Ascend,
            Some("desc") => SortOrder::Descend,
            _ => SortOrder::None,
        },
        sort_target: match case.value("target") {
            Some("version") => SortTarget::Version,
            Some("create") => SortTarget::Create,
            Some("mod") => SortTarget::Mod,
            Some("value") => SortTarget::Value,
            _ => SortTarget::Key,
        },
        keys_only: match (has("keys-only"), has("keys-only-with-lease")) {
            (true, _) => KeysOnly::FromIndex,
            (_, true) => KeysOnly::FromRecords,
            _ => KeysOnly::No,
        },
        count_only: has("count-only"),
        uncounted: has("uncounted"),
        min_mod_revision: number("min-mod"),
        max_mod_revision: number("max-mod"),
        min_create_revision: number("min-create"),
        max_create_revision: number("max-create"),
    };
    let mut range = image.range(&query)?;
    let mut out = String::new();
    while let Some(kv) = range.next_kv()? {
        writeln!(out, "{}", kv_text(&kv)).unwrap();
    }
    let more = if range.more() { " more" } else { "" };
    Ok(format!("{out}count={} rev={}{more}", range.count(), range.revision()))
}

fn kv_text(kv: &KeyValue) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let lease = if kv.lease == 0 { String::new() } else { format!(" lease={}", kv.lease) };
    let (key, value) = (text(&kv.key), text(&kv.value));
    format!("{key}={value} create={} mod={} version={}{lease}", kv.create_revision, kv.mod_revision, kv.version)
}

fn event_line(event: &Event) -> String {
    let at = format!("{}_{}", event.revision.main, event.revision.sub);
    match event.kind {
        EventKind::Put if event.is_create() => format!("{at} create {}\n", kv_text(&event.kv)),
        EventKind::Put => format!("{at} put {}\n", kv_text(&event.kv)),
        EventKind::Delete => format!("{at} delete {}\n", String::from_utf8_lossy(&event.kv.key)),
    }
}

fn hash(image: &Image, case: &Case) -> mvcc::Result<String> {
    let rule = match case.value("rule") {
        Some("3.4") => HashRule::V3_4,
        Some("3.5") => HashRule::V3_5,
        _ => HashRule::V3_7,
    };
    let hash = image.hash_kv(case.parsed("at").unwrap(), rule)?;
    let HashKv { hash, hash_revision, compact_revision, current_revision } = hash;
    Ok(format!("{hash} at={hash_revision} compacted={compact_revision} current={current_revision}"))
}
fn raw(image: &Image, bucket: Bucket) -> mvcc::Result<String> {
    let mut out = String::new();
    for pair in image.scan(bucket, b"", None) {
        let (key, value) = pair?;
        let is_text = |byte: &u8| (b' '..=b'~').contains(byte);
        let value =
            if value.iter().all(is_text) { String::from_utf8_lossy(&value).into_owned() } else { format!("{value:x}") };
        writeln!(out, "{} = {value}", String::from_utf8_lossy(&key)).unwrap();
    }
    Ok(out)
}

fn bucket(name: &str) -> Bucket {
    Bucket::ALL.into_iter().find(|bucket| bucket.name() == name).expect("a bucket")
}

fn entry_text(entry: EntryId) -> String {
    format!("index={} term={}", entry.index, entry.term)
}

fn status(store: &Store) -> String {
    let image = store.image();
    format!(
        "rev={} compacted={} published={}\napplied {}\nin file {}{}",
        image.revision(),
        image.compact_revision(),
        store.reader().view().revision(),
        entry_text(store.applied()),
        entry_text(store.committed_entry()),
        if store.is_sweeping() { "\nsweeping" } else { "" },
    )
}
