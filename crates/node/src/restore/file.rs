//! What a database file says of itself, offline.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Open};
use mvcc::{Bucket, HashKv, HashRule, MetaKey, Options, Revision, Store};
use proto::mvccpb::KeyValue;
use wal::MemberDir;

use super::{ToolError, io_error};

/// A record's key is a revision, and for a tombstone one more byte.
const REVISION_BYTES: usize = 17;

/// The answer of `snapshot status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Over every pair of every bucket, with nothing left out.
    pub hash: u32,
    /// Main revision of the last record.
    pub revision: i64,
    /// Living keys, as from 3.6 on.
    pub total_keys: u64,
    /// Pairs in all buckets, as up to 3.5.
    pub total_pairs: u64,
    /// Bytes up to the high-water mark.
    pub total_size: u64,
    /// Empty where the file does not say.
    pub version: String,
}

fn must_exist(disk: &dyn Disk, path: &Path) -> Result<(), ToolError> {
    match disk.exists(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ToolError::NoFile { path: path.to_owned() }),
        Err(source) => Err(io_error("cannot stat", path)(source)),
    }
}

/// Checks the file's structure and walks all of it. Changes nothing; a checksum at the end does no harm.
pub fn status(disk: Arc<dyn Disk>, path: &Path) -> Result<FileStatus, ToolError> {
    must_exist(disk.as_ref(), path)?;
    let options = bolt::Options { read_only: true, ..bolt::Options::default() };
    let db = bolt::Db::open(disk, path, options)?;
    let tx = db.read();
    let report = tx.check()?;
    if let Some(first) = report.problems.first() {
        let first = format!("page {}: {}", first.page, first.reason);
        return Err(ToolError::Damaged { problems: report.problems.len(), first });
    }
    let mut status = FileStatus {
        hash: 0,
        revision: 0,
        total_keys: 0,
        total_pairs: 0,
        total_size: tx.size(),
        version: String::new(),
    };
    for name in tx.buckets()? {
        let Some(bucket) = tx.bucket(&name)? else { continue };
        walk_bucket(&name, &bucket, &mut status)?;
    }
    Ok(status)
}

fn walk_bucket(name: &[u8], bucket: &bolt::Bucket, status: &mut FileStatus) -> Result<(), ToolError> {
    status.hash = crc32c::crc32c_append(status.hash, name);
    let mut alive = std::collections::HashSet::new();
    let mut cursor = bucket.cursor();
    let mut pair = cursor.first()?;
    while let Some((key, value)) = pair {
        status.hash = crc32c::crc32c_append(status.hash, &key);
        status.hash = crc32c::crc32c_append(status.hash, &value);
        status.total_pairs += 1;
        if name == Bucket::Key.name().as_bytes() {
            walk_record(&key, &value, &mut alive, status)?;
        } else if name == Bucket::Meta.name().as_bytes() && key == MetaKey::StorageVersion.bytes() {
            status.version = String::from_utf8_lossy(&value).into_owned();
        }
        pair = cursor.next()?;
    }
    status.total_keys += alive.len() as u64;
    Ok(())
}

fn walk_record(
    key: &[u8],
    value: &[u8],
    alive: &mut std::collections::HashSet<bytes::Bytes>,
    status: &mut FileStatus,
) -> Result<(), ToolError> {
    let corrupt = |what: String| mvcc::Error::Corrupt { bucket: Bucket::Key.name(), what };
    let (revision, mark) = key.split_at_checked(REVISION_BYTES).unwrap_or((key, b""));
    let revision = Revision::from_bytes(revision).ok_or_else(|| corrupt(format!("{key:?} is no revision")))?;
    status.revision = revision.main;
    let kv = <KeyValue as prost::Message>::decode(value).map_err(|error| corrupt(error.to_string()))?;
    if mark == b"t" {
        alive.remove(&kv.key);
    } else {
        alive.insert(kv.key);
    }
    Ok(())
}

/// HashKV at `revision` (0 is the newest), equal to what a server on this file answers. Takes the file's lock, and leaves
/// it as it was.
pub fn hash_kv(disk: Arc<dyn Disk>, path: &Path, revision: i64) -> Result<HashKv, ToolError> {
    must_exist(disk.as_ref(), path)?;
    let store = Store::open(disk, path, Options::default())?;
    Ok(store.image().hash_kv(revision, HashRule::V3_7)?)
}

/// Rewrites the database of a data directory densely.
pub fn defragment(disk: Arc<dyn Disk>, data_dir: &Path) -> Result<(), ToolError> {
    let dir = MemberDir::new(data_dir, None);
    let (path, temporary) = (dir.db(), dir.db_tmp(0));
    must_exist(disk.as_ref(), &path)?;
    let db = match bolt::Db::open(disk.clone(), &path, bolt::Options::default()) {
        Err(bolt::Error::Locked) => return Err(ToolError::Locked { path }),
        other => other?,
    };
    if disk.exists(&temporary).map_err(io_error("cannot stat", &temporary))? {
        disk.remove_file(&temporary).map_err(io_error("cannot remove", &temporary))?;
    }
    let dense = bolt::Db::open(disk.clone(), &temporary, bolt::Options::default())?;
    bolt::compact_into(&db.read(), &dense)?;
    drop(dense);
    let file = disk.open(&temporary, Open::Write).map_err(io_error("cannot open", &temporary))?;
    file.sync_all().map_err(io_error("cannot sync", &temporary))?;
    disk.rename(&temporary, &path).map_err(io_error("cannot rename", &temporary))?;
    disk.sync_dir(&dir.snap()).map_err(io_error("cannot sync", &path))?;
    drop(db);
    Ok(())
}
