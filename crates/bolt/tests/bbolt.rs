//! Real bbolt judges our files: after long random runs, after every slice of shrinking, after power losses, a cut at each
//! step of a shrink among them; and it writes files that we judge.
//!
//! The program is the one that `QUORATE_BBOLT` names, or `bbolt` in the `PATH`, or one that `go` builds. Without any of
//! these each test says on standard error that it is left out, and passes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use bolt::{Db, Options};
use bytes::Bytes;
use common::scenario::{Scenario, dump};
use common::{Model, Rng, content, open, options, random_changes, seeds};
use disk::{MemDisk, RealDisk};

const MODULE: &str = "go.etcd.io/bbolt/cmd/bbolt@v1.4.3";

/// The program. `None` where there is none.
fn bbolt() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| named().or_else(in_path).or_else(build)).as_deref();
    if found.is_none() {
        // Past the test runner, which hides the output of tests that pass.
        let line = "\n*** LEFT OUT: no bbolt (QUORATE_BBOLT, PATH, go) to judge files ***";
        writeln!(std::io::stderr(), "{line}").expect("standard error");
    }
    found
}

fn named() -> Option<PathBuf> {
    let program = PathBuf::from(std::env::var_os("QUORATE_BBOLT")?);
    assert!(program.is_file(), "QUORATE_BBOLT names no file: {}", program.display());
    Some(program)
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("bbolt")).find(|program| program.is_file())
}

/// Built once, into the target directory.
fn build() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bbolt-1.4.3");
    let program = dir.join("bbolt");
    if program.exists() {
        return Some(program);
    }
    Command::new("go").arg("version").output().ok()?;
    let output = Command::new("go").args(["install", MODULE]).env("GOBIN", &dir).output().unwrap();
    assert!(output.status.success(), "go install {MODULE}: {}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

fn run(program: &Path, args: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(args).arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bbolt {args:?}: {text}{errors}");
    text
}

struct Judge {
    program: &'static Path,
    dir: tempfile::TempDir,
}

impl Judge {
    fn new() -> Option<Judge> {
        bbolt().map(|program| Judge { program, dir: tempfile::tempdir().unwrap() })
    }

    /// bbolt finds nothing wrong with these bytes.
    fn check(&self, bytes: &[u8], what: &str) -> PathBuf {
        let path = self.dir.path().join("db");
        std::fs::write(&path, bytes).unwrap();
        let text = run(self.program, &["check"], &path);
        assert!(text.contains("OK"), "{what}: {text}");
        path
    }

    /// bbolt reads exactly `expected` from these bytes; what it writes of it, we read.
    fn compare(&self, bytes: &[u8], expected: &Model, what: &str) {
        let path = self.check(bytes, what);
        let copy = self.dir.path().join("copy");
        if copy.exists() {
            std::fs::remove_file(&copy).unwrap();
        }
        run(self.program, &["compact", "-no-sync=true", "-o", copy.to_str().unwrap()], &path);
        let db = real(&copy);
        assert!(db.check().unwrap().is_ok(), "{what}: the copy by bbolt");
        assert!(content(&db.read()).unwrap() == *expected, "{what}: bbolt reads something else");
    }

    /// bbolt writes to our file, and we go on.
    fn take_turns(&self, bytes: &[u8], expected: &Model, what: &str) {
        let path = self.check(bytes, what);
        run(self.program, &["bench", "-work", "-count", "2000", "-batch-size", "500", "-no-sync", "-path"], &path);
        let db = real(&path);
        assert!(db.check().unwrap().is_ok(), "{what}: after bbolt wrote to it");
        let mut found = content(&db.read()).unwrap();
        found.remove("bench").unwrap();
        assert!(found == *expected, "{what}: bbolt wrote to it");
        let mut tx = db.write().unwrap();
        tx.delete_bucket(b"bench").unwrap();
        tx.commit().unwrap();
        while !db.shrink(100).unwrap().done {}
        assert!(content(&db.read()).unwrap() == *expected);
        drop(db);
        let text = run(self.program, &["check"], &path);
        assert!(text.contains("OK"), "{what}: {text}");
    }
}

fn real(path: &Path) -> Db {
    Db::open(Arc::new(RealDisk), path, Options::default()).unwrap()
}

#[test]
fn after_random_runs() {
    let Some(judge) = Judge::new() else { return };
    for seed in 0..seeds(6) {
        let mut rng = Rng(seed);
        let disk = MemDisk::new(seed);
        let mut options = options(if seed.is_multiple_of(2) { 4096 } else { 1024 });
        options.freelist_sync = seed % 3 == 1;
        let page_size = u64::from(options.page_size);
        let db = open(&disk, &options).unwrap();
        let mut model = Model::new();
        for _ in 0..40 {
            let mut tx = db.write().unwrap();
            for _ in 0..1 + rng.below(8) {
                random_changes(&mut rng, &mut tx, &mut model, page_size, 30_000);
            }
            tx.commit().unwrap();
        }
        let what = format!("seed {seed}");
        judge.compare(&dump(&disk), &model, &what);
        judge.take_turns(&dump(&disk), &model, &what);
        let mut image = Vec::new();
        db.read()
            .copy_to(&mut |chunk| {
                image.extend_from_slice(chunk);
                Ok(())
            })
            .unwrap();
        assert_eq!(image.len() as u64, db.stats().size);
        judge.compare(&image, &model, &format!("{what}, its snapshot"));
    }
}

/// A stored free list of more ids than its page header can count.
#[test]
fn a_long_free_list() {
    let Some(judge) = Judge::new() else { return };
    let disk = MemDisk::new(1);
    let options = Options { freelist_sync: true, ..options(1024) };
    let db = open(&disk, &options).unwrap();
    for value in [Bytes::from(vec![5; 70_000 * 1024]), Bytes::from("short")] {
        let mut tx = db.write().unwrap();
        tx.create_bucket_if_missing(b"key").unwrap();
        tx.put(b"key", Bytes::from("k"), value).unwrap();
        tx.commit().unwrap();
    }
    assert!(db.stats().pending_pages > 0xffff);
    let expected = content(&db.read()).unwrap();
    judge.take_turns(&dump(&disk), &expected, "70,000 pending pages");
    drop(db);
    let db = open(&disk, &options).unwrap();
    assert!(db.check().unwrap().is_ok());
    assert!(db.stats().free_pages > 0xffff);
}

#[test]
fn after_every_slice_of_shrinking() {
    let Some(judge) = Judge::new() else { return };
    for seed in 0..seeds(3) {
        let scenario = Scenario::new(seed, 30);
        let disk = MemDisk::new(seed);
        scenario.run(&disk, &mut |what, _| {
            if what == "a slice of shrinking" {
                judge.check(&dump(&disk), what);
            }
        });
    }
}

#[test]
fn after_power_losses() {
    let Some(judge) = Judge::new() else { return };
    for seed in 0..seeds(3) {
        let scenario = Scenario::new(seed, 24);
        let whole = MemDisk::new(seed);
        scenario.run(&whole, &mut |_, _| {});
        let stride = 1 + whole.operations() / 40;
        for cut in (seed % stride..whole.operations()).step_by(stride as usize) {
            let disk = MemDisk::new(seed ^ cut << 8);
            disk.cut_after(cut);
            let ended = scenario.run(&disk, &mut |_, _| {});
            let disk = scenario.survive(&disk, &ended);
            judge.check(&dump(&disk), &format!("seed {seed}, cut {cut} during {:?}", ended.during));
        }
    }
}

/// A file of which most was deleted, its content, and how it is to be opened.
fn half_empty(seed: u64) -> (MemDisk, Model, Options) {
    let mut rng = Rng(seed);
    let disk = MemDisk::new(seed);
    let mut options = options(if seed % 3 == 2 { 4096 } else { 1024 });
    options.freelist_sync = seed % 3 == 1;
    let db = open(&disk, &options).unwrap();
    let mut model = Model::new();
    for round in 0..8 {
        let mut tx = db.write().unwrap();
        for name in ["key", "lease"] {
            tx.create_bucket_if_missing(name.as_bytes()).unwrap();
            let pairs = model.entry(name.to_owned()).or_default();
            for n in 0..25 {
                let (key, len) = (format!("{round}-{n:04}"), 100 + rng.below(900) as usize);
                let value = vec![rng.next() as u8; if rng.below(20) == 0 { len * 10 } else { len }];
                tx.put(name.as_bytes(), Bytes::from(key.clone()), Bytes::from(value.clone())).unwrap();
                pairs.insert(key.into_bytes(), value);
            }
        }
        tx.commit().unwrap();
    }
    let mut tx = db.write().unwrap();
    for (name, pairs) in &mut model {
        // What stays lies at the end of the file as well as in front.
        for key in pairs.keys().filter(|_| rng.below(5) > 0).cloned().collect::<Vec<_>>() {
            pairs.remove(&key);
            tx.delete(name.as_bytes(), Bytes::from(key)).unwrap();
        }
    }
    tx.commit().unwrap();
    drop(db);
    (disk, model, options)
}

/// Slice after slice until nothing is left to give back; for some steps a reader holds on to what it sees.
fn shrink_all(db: &Db) -> bolt::Result<u64> {
    let mut reader = Some(db.read());
    for step in 0.. {
        let shrunk = db.shrink(12)?;
        if step == 3 {
            reader = None;
        } else if shrunk.done && reader.is_none() {
            return Ok(shrunk.new_size);
        }
    }
    unreachable!("the loop ends when a slice changes nothing")
}

#[test]
fn after_a_cut_at_each_step_of_a_shrink() {
    let Some(judge) = Judge::new() else { return };
    for seed in 0..seeds(3) {
        let (start, model, options) = half_empty(seed);
        let whole = start.fork(seed);
        let db = open(&whole, &options).unwrap();
        let before = db.stats().size;
        let shrunk_size = shrink_all(&db).unwrap();
        assert!(shrunk_size < before / 2, "seed {seed}: {shrunk_size} of {before} bytes are left");
        drop(db);
        judge.compare(&dump(&whole), &model, "shrunk");
        let operations = whole.operations() - start.operations();
        assert!(operations > 20, "seed {seed}: only {operations} places to cut");
        for cut in 0..operations {
            let disk = start.fork(cut);
            disk.cut_after(cut);
            let outcome = open(&disk, &options).and_then(|db| shrink_all(&db));
            assert!(outcome.is_err() && disk.is_cut(), "seed {seed}, cut {cut}");
            for loss in 0..3 {
                let disk = disk.fork(seed ^ loss << 8 ^ cut << 16).power_loss();
                let what = format!("seed {seed}, cut {cut} of {operations}, loss {loss}");
                judge.check(&dump(&disk), &what);
                let db = open(&disk, &options).unwrap();
                assert!(db.check().unwrap().is_ok() && content(&db.read()).unwrap() == model, "{what}");
                // The shrink goes on to the same end.
                let size = shrink_all(&db).unwrap();
                assert!(size <= shrunk_size + 8 * u64::from(options.page_size), "{what}: {size}, not {shrunk_size}");
            }
        }
        println!("seed {seed}: bbolt has checked what was left of {operations} cuts");
    }
}
