//! The power goes at every write, sync and change of names. Whatever was synced before is there afterwards; what was
//! saved and not synced is there up to some record, whole.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::Path;

use common::*;
use disk::{Disk, MemDisk};
use proto::raftpb::{self, Entry, HardState};
use proto::walpb;
use wal::{FileKind, Initial, MemberDir, Options, SnapFiles, Wal, WalError, valid_snapshot_records};

const OPTIONS: Options = Options { segment_bytes: 6000 };

/// A record, as the model sees it.
#[derive(Clone, Debug)]
enum Saved {
    Entry(Entry),
    State(HardState),
    Snapshot(walpb::Snapshot),
}

/// What the log holds, as far as anybody was told, and what else may be there.
#[derive(Clone, Debug, Default)]
struct Model {
    created: bool,
    durable: Vec<Saved>,
    unsynced: Vec<Saved>,
}

impl Model {
    fn synced(&mut self) {
        self.durable.append(&mut self.unsynced);
    }

    /// Entries after `at` and the hard state that a log of these records holds.
    fn contents(records: &[Saved], at: u64) -> (Vec<Entry>, HardState) {
        let (mut entries, mut hard_state) = (Vec::<Entry>::new(), HardState::default());
        for record in records {
            match record {
                Saved::Entry(entry) if entry.index > at => {
                    entries.truncate((entry.index - at - 1) as usize);
                    entries.push(entry.clone());
                }
                Saved::State(state) => hard_state = *state,
                Saved::Entry(_) | Saved::Snapshot(_) => {}
            }
        }
        (entries, hard_state)
    }
}

/// A member that writes its log by chance, and a model that follows it.
struct Run {
    rng: Rng,
    dir: MemberDir,
    model: Model,
    term: u64,
    last: u64,
    commit: u64,
    /// The last snapshot.
    snapshot: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let dir = MemberDir::new(Path::new("/data"), None);
        Run { rng: Rng(seed), dir, model: Model::default(), term: 1, last: 0, commit: 0, snapshot: 0 }
    }

    /// Creates the directory and works until the disk fails.
    fn go(&mut self, disk: &MemDisk, steps: u64) -> Result<(), WalError> {
        self.dir.prepare(disk)?;
        self.model.unsynced = vec![Saved::Entry(entry(1, 1, vec![9; 40])), Saved::State(state(1, 7, 1))];
        let initial = Initial { hard_state: state(1, 7, 1), entries: vec![entry(1, 1, vec![9; 40])], snapshot: None };
        (self.last, self.commit) = (1, 1);
        let mut wal = Wal::create_with(shared(disk), self.dir.wal(), 5, 6, &initial, OPTIONS)?;
        self.model.created = true;
        self.model.synced();
        for _ in 0..steps {
            self.step(disk, &mut wal)?;
        }
        wal.close()?;
        self.model.synced();
        Ok(())
    }

    fn step(&mut self, disk: &MemDisk, wal: &mut Wal) -> Result<(), WalError> {
        match self.rng.below(12) {
            0..6 => self.save(wal),
            6..9 => {
                wal.sync()?;
                self.model.synced();
                Ok(())
            }
            9 => wal.flush(),
            10 => self.take_snapshot(disk, wal),
            _ => {
                wal.prepare_next()?;
                self.dir.purge(disk, FileKind::Wal, 2)?;
                self.dir.purge(disk, FileKind::Snap, 2)?;
                Ok(())
            }
        }
    }

    fn save(&mut self, wal: &mut Wal) -> Result<(), WalError> {
        let mut entries = Vec::new();
        if self.rng.one_in(8) && self.commit < self.last {
            // Another leader's entries replace the tail.
            self.term += 1;
            self.last = self.commit + self.rng.below(self.last - self.commit);
        }
        for _ in 0..self.rng.below(4) {
            self.last += 1;
            let data = vec![self.rng.below(3) as u8; self.rng.below(900) as usize];
            entries.push(entry(self.last, self.term, data));
        }
        self.commit += self.rng.below(self.last - self.commit + 1);
        let hard_state = state(self.term, 7, self.commit);
        self.model.unsynced.extend(entries.iter().cloned().map(Saved::Entry));
        self.model.unsynced.push(Saved::State(hard_state));
        wal.save(&hard_state, &entries)?;
        if wal.unsynced_bytes() == 0 {
            self.model.synced();
        }
        Ok(())
    }

    fn take_snapshot(&mut self, disk: &MemDisk, wal: &mut Wal) -> Result<(), WalError> {
        // A record leaves only after a hard state that covers it is durable (contract 2).
        wal.sync()?;
        self.model.synced();
        let (entries, hard_state) = Model::contents(&self.model.durable, 0);
        let index = hard_state.commit;
        if index <= self.snapshot {
            return Ok(());
        }
        let term = entries[index as usize - 1].term;
        let record = record(index, term);
        let metadata = raftpb::SnapshotMetadata { conf_state: record.conf_state.clone(), index, term };
        let snapshot = raftpb::Snapshot { data: vec![1; 700].into(), metadata: Some(metadata) };
        SnapFiles::new(shared(disk), &self.dir.snap()).save(&snapshot)?;
        self.model.unsynced.push(Saved::Snapshot(record.clone()));
        wal.save_snapshot(&record)?;
        self.model.synced();
        self.snapshot = index;
        wal.release_to(index);
        Ok(())
    }

    /// Checks what is left after a cut, works on, and checks again.
    fn check(&self, disk: &MemDisk, context: &str) {
        if !wal::exists(disk, self.dir.wal()).unwrap() {
            assert!(!self.model.created, "{context}: the log is gone");
            return;
        }
        let at = self.newest_snapshot(disk, context);
        let opened = Wal::open(shared(disk), self.dir.wal(), &at, OPTIONS).unwrap_or_else(|e| panic!("{context}: {e}"));
        let found = (opened.contents.entries, opened.contents.hard_state);
        let all = [&self.model.durable[..], &self.model.unsynced[..]].concat();
        let fits = (self.model.durable.len()..=all.len()).any(|n| Model::contents(&all[..n], at.index) == found);
        assert!(fits, "{context}: at {at:?} found {} entries, {:?}\n{:?}", found.0.len(), found.1, self.model);
        assert_eq!((opened.contents.identity.node_id, opened.contents.identity.cluster_id), (5, 6));
        assert!(at.index == 0 || opened.contents.snapshot_found);

        let mut wal = opened.wal;
        let next = entry(at.index + found.0.len() as u64 + 1, self.term + 1, vec![3; 2000]);
        wal.save(&state(self.term + 1, 8, found.1.commit), std::slice::from_ref(&next)).unwrap();
        wal.sync().unwrap();
        drop(wal);
        let disk = disk.power_loss();
        let again = Wal::open(shared(&disk), self.dir.wal(), &at, OPTIONS).unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!(again.repaired, None, "{context}");
        assert_eq!(again.contents.hard_state.vote, 8, "{context}");
        assert_eq!(again.contents.entries.last(), Some(&next), "{context}");
        assert_eq!(again.contents.entries.len(), found.0.len() + 1, "{context}");
    }

    /// The newest snapshot whose file is there; every record known to be durable must be found.
    fn newest_snapshot(&self, disk: &MemDisk, context: &str) -> walpb::Snapshot {
        self.dir.prepare(disk).unwrap();
        let records = valid_snapshot_records(disk, self.dir.wal()).unwrap_or_else(|e| panic!("{context}: {e}"));
        let newest_durable = self.model.durable.iter().rev().find_map(|saved| match saved {
            Saved::Snapshot(record) => Some(record.index),
            Saved::Entry(_) | Saved::State(_) => None,
        });
        let newest = records.last().map_or(0, |record| record.index);
        assert!(newest >= newest_durable.unwrap_or(0), "{context}: {newest} < {newest_durable:?}");
        let loaded = SnapFiles::new(shared(disk), &self.dir.snap()).load_newest_of(&records).unwrap();
        assert_eq!(loaded.broken, [], "{context}");
        let index = loaded.snapshot.map_or(0, |snapshot| snapshot.metadata.unwrap().index);
        assert_eq!(index, newest, "{context}: the snapshot file of the newest record");
        records.last().cloned().unwrap_or_default()
    }
}

#[test]
fn what_was_synced_survives_a_cut_at_every_operation() {
    let losses = rounds("QUORATE_LOSSES", 6);
    for seed in 0..rounds("QUORATE_SEEDS", 4) {
        let whole = MemDisk::new(seed);
        Run::new(seed).go(&whole, 40).unwrap();
        for cut in 0..whole.operations() {
            let disk = MemDisk::new(seed);
            disk.cut_after(cut);
            let mut run = Run::new(seed);
            assert!(run.go(&disk, 40).is_err());
            for loss in 0..losses {
                let survivor = disk.fork(seed ^ loss << 32 ^ cut << 40).power_loss();
                run.check(&survivor, &format!("seed {seed} cut {cut} loss {loss}"));
            }
        }
    }
}

#[test]
fn killing_the_process_loses_nothing_handed_over() {
    for seed in 0..rounds("QUORATE_SEEDS", 4) {
        let disk = MemDisk::new(seed);
        let mut run = Run::new(seed);
        run.go(&disk, 60).unwrap();
        let disk = disk.kill();
        let at = run.newest_snapshot(&disk, "kill");
        let opened = Wal::open(shared(&disk), run.dir.wal(), &at, OPTIONS).unwrap();
        assert_eq!(
            (opened.contents.entries, opened.contents.hard_state),
            Model::contents(&run.model.durable, at.index)
        );
    }
}

#[test]
fn a_cut_during_recovery_loses_nothing_either() {
    for seed in 0..rounds("QUORATE_SEEDS", 4) {
        let disk = MemDisk::new(seed);
        let mut run = Run::new(seed);
        disk.cut_after(50 + seed % 20);
        assert!(run.go(&disk, 60).is_err());
        let survivor = disk.power_loss();
        for cut in 0..12 {
            let disk = survivor.fork(cut);
            disk.cut_after(cut);
            if let Ok(opened) = Wal::open(shared(&disk), run.dir.wal(), &walpb::Snapshot::default(), OPTIONS) {
                drop(opened);
            }
            run.check(&disk.power_loss(), &format!("seed {seed} cut {cut} in recovery"));
        }
    }
}

#[test]
fn a_failed_sync_stops_the_log() {
    let disk = MemDisk::new(1);
    let dir = Path::new("/wal");
    let mut wal = Wal::create(shared(&disk), dir, 1, 2, OPTIONS).unwrap();
    wal.save(&state(1, 1, 0), &[entry(1, 1, vec![1])]).unwrap();
    let error = std::io::ErrorKind::Other;
    disk.inject(disk::Fault { operation: disk::Operation::Sync, after: 0, times: 1, error });
    assert!(wal.sync().unwrap_err().is_io());
    assert!(matches!(wal.sync(), Err(WalError::Stopped)));
    assert!(matches!(wal.save(&state(1, 1, 1), &[]), Err(WalError::Stopped)));
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let disk = MemDisk::new(1);
    let dir = Path::new("/wal");
    disk.set_capacity(Some(16 * 4096));
    let mut wal = Wal::create(shared(&disk), dir, 1, 2, OPTIONS).unwrap();
    let mut synced = 0;
    let error = loop {
        let next = synced + 1;
        let step = wal.save(&state(1, 1, synced), &[entry(next, 1, vec![1; 1000])]).and_then(|_| wal.sync());
        match step {
            Ok(()) => synced = next,
            Err(error) => break error,
        }
    };
    assert_eq!(error.io().unwrap().kind(), std::io::ErrorKind::StorageFull);
    drop(wal);
    disk.set_capacity(None);
    let opened = Wal::open(shared(&disk), dir, &walpb::Snapshot::default(), OPTIONS).unwrap();
    assert!(opened.contents.entries.len() as u64 >= synced);
    assert!(disk.list(dir).unwrap().len() > 3);
}
