//! Restart from whatever mixture of log, snapshot files and database etcd accepts (facts: disk-formats, 9).

use std::path::Path;

use disk::Disk;
use proto::raftpb::{HardState, Snapshot};
use proto::walpb;
use state::{State, StateOptions, V2Snapshot, Version};
use wal::{Contents, MemberDir, Opened, SnapFiles, Wal, WalError};

use super::{BootError, BootOptions, Found, Note, force_new, install_received_db};
use crate::node::Log;
use crate::receive::received_dbs;

/// Where the log is read from: the newest snapshot file that the log knows, or else the newest record alone.
struct Base {
    record: walpb::Snapshot,
    json: bytes::Bytes,
}

impl Base {
    fn of_file(snapshot: Snapshot) -> Base {
        let metadata = snapshot.metadata.unwrap_or_default();
        let record = walpb::Snapshot { index: metadata.index, term: metadata.term, conf_state: metadata.conf_state };
        Base { record, json: snapshot.data }
    }

    fn of_record(record: walpb::Snapshot) -> Base {
        Base { record, json: bytes::Bytes::new() }
    }
}

pub(super) fn restart(options: &BootOptions, dir: &MemberDir, notes: &mut Vec<Note>) -> Result<Found, BootError> {
    let disk = options.disk.as_ref();
    let db_existed = exists(disk, &dir.db())?;
    let records = wal::valid_snapshot_records(disk, dir.wal())?;
    let newest = records.iter().max_by_key(|record| record.index).cloned().unwrap_or_default();
    let loaded = SnapFiles::new(options.disk.clone(), &dir.snap()).load_newest_of(&records)?;
    notes.extend(loaded.broken.into_iter().map(|(path, reason)| Note::BrokenSnapshot { path, reason }));
    notes.extend(loaded.ignored_names.into_iter().map(|name| Note::Ignored { name }));
    let base = loaded.snapshot.map_or_else(|| Base::of_record(newest.clone()), Base::of_file);
    let (base, opened) = open_log(options, dir, base, newest)?;
    let Opened { wal, contents, repaired } = opened;
    notes.extend(repaired.map(|cut| Note::Repaired { file: cut.file, offset: cut.offset, broken: cut.broken }));
    notes.extend(contents.ignored_names.iter().cloned().map(|name| Note::Ignored { name }));

    let identity = contents.identity;
    let mut state_options = options.state_options(dir, identity.node_id);
    if base.record.index > 0 {
        state_options.v2_snapshot = Some(V2Snapshot { index: base.record.index, json: base.json.clone() });
        state_options.snapshot_conf_state = base.record.conf_state.clone();
    }
    let state = open_state(&state_options, dir, &base, db_existed, notes)?;
    if state.members().is_removed(identity.node_id) {
        return Err(BootError::Removed);
    }
    let ReadLog { log, hard_state, wal } = finish(options, dir, base, contents, wal, &state, notes)?;
    remove_received_dbs(disk, dir, notes)?;
    Ok(Found {
        member_id: identity.node_id,
        cluster_id: identity.cluster_id,
        wal,
        hard_state,
        log,
        state,
        state_options,
        fresh: false,
    })
}

/// Opens the log after the snapshot file; where the segments it needs are gone, after the newest record.
fn open_log(
    options: &BootOptions,
    dir: &MemberDir,
    base: Base,
    newest: walpb::Snapshot,
) -> Result<(Base, Opened), BootError> {
    let wal_options = wal::Options { segment_bytes: options.wal_segment_bytes };
    match Wal::open(options.disk.clone(), dir.wal(), &base.record, wal_options) {
        Ok(opened) => Ok((base, opened)),
        Err(WalError::FileNotFound { .. }) if newest.index > base.record.index => {
            let base = Base::of_record(newest);
            let opened = Wal::open(options.disk.clone(), dir.wal(), &base.record, wal_options)?;
            Ok((base, opened))
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the database; puts the one received with the snapshot in its place where it is behind that.
fn open_state(
    options: &StateOptions,
    dir: &MemberDir,
    base: &Base,
    db_existed: bool,
    notes: &mut Vec<Note>,
) -> Result<State, BootError> {
    let open = || State::open(options.clone()).map_err(|error| state_error(error, dir));
    let snapshot_index = base.record.index;
    let state = open()?;
    let consistent_index = state.consistent().index;
    if consistent_index >= snapshot_index {
        return Ok(state);
    }
    let received = SnapFiles::new(options.disk.clone(), &dir.snap()).received_db(snapshot_index);
    if exists(options.disk.as_ref(), &received)? {
        drop(state);
        install_received_db(options.disk.as_ref(), &received, &options.db_path).map_err(|source| BootError::Io {
            what: "cannot install",
            path: received,
            source,
        })?;
        notes.push(Note::InstalledDb { index: snapshot_index });
        return open();
    }
    // Members that only ever saw v2 requests have a database without a consistent index, and a snapshot with a tree; but
    // once there was a cluster version of 3, there was a database.
    let has_tree = !base.json.is_empty();
    let is_v3 = state.versions().cluster.is_some_and(|version| version >= Version::V3_0);
    if !db_existed && (is_v3 || !has_tree) {
        // The one that was just made must not be taken for it at the next start.
        drop(state);
        let path = options.db_path.clone();
        let removed = options.disk.remove_file(&path);
        removed.map_err(|source| BootError::Io { what: "cannot remove", path: path.clone(), source })?;
        return Err(BootError::DbMissing { path });
    }
    if consistent_index > 0 || !has_tree {
        return Err(BootError::ReceivedDbMissing { path: received, consistent_index, snapshot_index });
    }
    notes.push(Note::DbWithoutEntries { snapshot_index });
    Ok(state)
}

/// What was received and is not the present database is of no use to anyone: the log does not know of its snapshot, or
/// has passed it.
fn remove_received_dbs(disk: &dyn Disk, dir: &MemberDir, notes: &mut Vec<Note>) -> Result<(), BootError> {
    let failed = |what| move |source| BootError::Io { what, path: dir.snap(), source };
    for (_, path) in received_dbs(disk, dir).map_err(failed("cannot list"))? {
        disk.remove_file(&path).map_err(failed("cannot remove a received database in"))?;
        notes.push(Note::Removed { path });
    }
    Ok(())
}

/// The log, ready to go on.
struct ReadLog {
    log: Log,
    /// As it is in the log.
    hard_state: HardState,
    wal: Wal,
}

/// Holds log and database against each other, and has the log say of the database's entries that they are committed.
fn finish(
    options: &BootOptions,
    dir: &MemberDir,
    base: Base,
    mut contents: Contents,
    mut wal: Wal,
    state: &State,
    notes: &mut Vec<Note>,
) -> Result<ReadLog, BootError> {
    let consistent_index = state.consistent().index;
    let last_index = contents.entries.last().map_or(base.record.index, |entry| entry.index);
    let commit = contents.hard_state.commit;
    if commit > last_index {
        return Err(BootError::CommitBeyondLog { wal: dir.wal().to_owned(), commit, last_index });
    }
    if consistent_index > last_index {
        return Err(BootError::LogBehindDb { wal: dir.wal().to_owned(), consistent_index, last_index });
    }
    let known_commit = commit.max(consistent_index).max(base.record.index);
    if options.force_new_cluster {
        let dropped = force_new::rewrite(&mut contents, &mut wal, &state.conf_state(), known_commit)?;
        notes.extend((dropped > 0).then_some(Note::Discarded { entries: dropped }));
    } else if known_commit > commit {
        // etcd commits its backend without waiting for the hard state that covers it.
        commit_to(known_commit, &mut contents, &mut wal)?;
    }
    let entries = std::mem::take(&mut contents.entries);
    let log = Log { index: base.record.index, term: base.record.term, conf_state: state.conf_state(), entries };
    Ok(ReadLog { log, hard_state: contents.hard_state, wal })
}

/// Raises the commit index, durably.
pub(super) fn commit_to(commit: u64, contents: &mut Contents, wal: &mut Wal) -> Result<(), BootError> {
    let HardState { term, vote, .. } = contents.hard_state;
    // Entries come before the hard state of their term; a cut may have left them without it.
    let entry_term = contents.entries.iter().rev().find(|entry| entry.index <= commit).map_or(0, |entry| entry.term);
    let vote = if entry_term > term { 0 } else { vote };
    contents.hard_state = HardState { term: term.max(entry_term), vote, commit };
    wal.save(&contents.hard_state, &[])?;
    wal.sync()?;
    Ok(())
}

fn exists(disk: &dyn Disk, path: &Path) -> Result<bool, BootError> {
    disk.exists(path).map_err(|source| BootError::Io { what: "cannot stat", path: path.to_owned(), source })
}

/// A database held by another process is worth its own error: the caller may wait.
pub(super) fn state_error(error: state::Error, dir: &MemberDir) -> BootError {
    if is_locked(&error) { BootError::Locked { path: dir.db() } } else { BootError::State(error) }
}

fn is_locked(error: &state::Error) -> bool {
    matches!(error, state::Error::Store(mvcc::Error::Bolt(bolt::Error::Locked)))
}
