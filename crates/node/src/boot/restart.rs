//! Restart from whatever mixture of log, snapshot files and database etcd accepts (facts: disk-formats, 9).

use std::path::Path;

use disk::Disk;
use proto::raftpb::{ConfState, Snapshot};
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
    remove_received_dbs(disk, dir, notes)?;
    let (log, contents, wal) = finish(options, state.conf_state(), base, contents, wal, &state, notes)?;
    Ok(Found {
        member_id: identity.node_id,
        cluster_id: identity.cluster_id,
        wal,
        hard_state: contents.hard_state,
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
    if consistent_index > 0 {
        return Err(BootError::ReceivedDbMissing { path: received, consistent_index, snapshot_index });
    }
    // Members that only ever saw v2 requests have a database without a consistent index; but once there was a cluster
    // version of 3, there was a database.
    let is_v3 = state.versions().cluster.is_some_and(|version| version >= Version::V3_0);
    if is_v3 && !db_existed {
        return Err(BootError::DbMissing { path: options.db_path.clone() });
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

fn finish(
    options: &BootOptions,
    conf_state: ConfState,
    base: Base,
    mut contents: Contents,
    mut wal: Wal,
    state: &State,
    notes: &mut Vec<Note>,
) -> Result<(Log, Contents, Wal), BootError> {
    let consistent_index = state.consistent().index;
    let last_index = contents.entries.last().map_or(base.record.index, |entry| entry.index);
    if consistent_index > last_index {
        return Err(BootError::LogBehindDb { consistent_index, last_index });
    }
    if options.force_new_cluster {
        let dropped = force_new::rewrite(&mut contents, &mut wal, &conf_state, base.record.index, consistent_index)?;
        notes.extend((dropped > 0).then_some(Note::Discarded { entries: dropped }));
    }
    let entries = std::mem::take(&mut contents.entries);
    let log = Log { index: base.record.index, term: base.record.term, conf_state, entries };
    Ok((log, contents, wal))
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
