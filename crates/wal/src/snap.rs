//! Snapshot files: `%016x-%016x.snap` (term, index), and the databases received beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use disk::{Disk, Open};
use prost::Message;
use proto::raftpb::Snapshot;
use proto::{snappb, walpb};

use crate::WalError;
use crate::error::Context;
use crate::names::{parse_hex, parse_pair};
use crate::open::with_suffix;

/// The folder of `.snap` files.
#[derive(Clone)]
pub struct SnapFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// What loading found.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// `None` where no file fits.
    pub snapshot: Option<Snapshot>,
    /// Unreadable files, with the reason, renamed to `.broken`.
    pub broken: Vec<(PathBuf, String)>,
    /// Names that mean nothing here.
    pub ignored_names: Vec<String>,
}

impl SnapFiles {
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> SnapFiles {
        SnapFiles { disk, dir: dir.to_path_buf() }
    }

    /// Writes the file of this snapshot and makes it durable. Its record in the log must come after. An empty snapshot
    /// (index 0) is not written: `None`.
    pub fn save(&self, snapshot: &Snapshot) -> Result<Option<PathBuf>, WalError> {
        let (index, term) = snapshot.metadata.as_ref().map_or((0, 0), |metadata| (metadata.index, metadata.term));
        if index == 0 {
            return Ok(None);
        }
        let name = format!("{term:016x}-{index:016x}.snap");
        // The next start removes names with this prefix, so that a cut leaves no unreadable `.snap`.
        let tmp = self.dir.join(format!("tmp-{name}"));
        let path = self.dir.join(name);
        let file = self.disk.open(&tmp, Open::Create { mode: 0o666 }).context("create", &tmp)?;
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all_at(0, &encode(snapshot)))
            .and_then(|()| file.sync_all())
            .and_then(|()| self.disk.rename(&tmp, &path))
            .context("write", &tmp);
        drop(file);
        if let Err(error) = written {
            // The first failure is what matters; a leftover goes at the next start.
            drop(self.disk.remove_file(&tmp));
            return Err(error);
        }
        self.disk.sync_dir(&self.dir).context("sync", &self.dir)?;
        Ok(Some(path))
    }

    /// Loads the newest readable file.
    pub fn load_newest(&self) -> Result<Loaded, WalError> {
        self.load(|_, _| true)
    }

    /// Loads the newest readable file that belongs to one of these records of the log.
    pub fn load_newest_of(&self, records: &[walpb::Snapshot]) -> Result<Loaded, WalError> {
        self.load(|term, index| records.iter().any(|record| (record.term, record.index) == (term, index)))
    }

    fn load(&self, wanted: impl Fn(u64, u64) -> bool) -> Result<Loaded, WalError> {
        let mut loaded = Loaded::default();
        let mut candidates = Vec::new();
        for name in self.disk.list(&self.dir).context("list", &self.dir)? {
            if name.strip_suffix(".snap").and_then(parse_pair).is_some() {
                candidates.push(name);
            } else if !is_known(&name) {
                loaded.ignored_names.push(name);
            }
        }
        for name in candidates.iter().rev() {
            let path = self.dir.join(name);
            match self.read(&path) {
                Ok(snapshot) => {
                    let found = snapshot.metadata.as_ref().map_or((0, 0), |m| (m.term, m.index));
                    if wanted(found.0, found.1) {
                        loaded.snapshot = Some(snapshot);
                        return Ok(loaded);
                    }
                }
                Err(error @ WalError::BadSnapshot { .. }) => {
                    let broken = with_suffix(&path, ".broken");
                    self.disk.rename(&path, &broken).context("rename", &path)?;
                    loaded.broken.push((broken, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }

    /// Reads one file.
    pub fn read(&self, path: &Path) -> Result<Snapshot, WalError> {
        let file = self.disk.open(path, Open::Read).context("open", path)?;
        let mut bytes = vec![0; file.len().context("stat", path)? as usize];
        file.read_exact_at(0, &mut bytes).context("read", path)?;
        decode(bytes.into()).map_err(|what| WalError::BadSnapshot { file: path.to_path_buf(), what })
    }

    /// Where a database received with the snapshot at `index` lies until it is installed.
    pub fn received_db(&self, index: u64) -> PathBuf {
        self.dir.join(format!("{index:016x}.snap.db"))
    }

    /// Removes received databases of snapshots before `index`; answers the names.
    pub fn release_dbs_before(&self, index: u64) -> Result<Vec<String>, WalError> {
        let mut removed = Vec::new();
        for name in self.disk.list(&self.dir).context("list", &self.dir)? {
            let of = name.strip_suffix(".snap.db").and_then(parse_hex);
            if of.is_some_and(|of| of < index) {
                let path = self.dir.join(&name);
                self.disk.remove_file(&path).context("remove", &path)?;
                removed.push(name);
            }
        }
        Ok(removed)
    }
}

/// Names beside `.snap` files that have a meaning of their own.
fn is_known(name: &str) -> bool {
    name == "db" || name.starts_with("db.tmp") || name.starts_with("tmp") || name.ends_with(".snap.db")
}

/// The bytes of a `.snap` file.
pub(crate) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let data = Bytes::from(snapshot.encode_to_vec());
    let crc = crc32c::crc32c(&data);
    snappb::Snapshot { crc, data }.encode_to_vec()
}

/// Reads the bytes of a `.snap` file, or says what is wrong with them.
pub(crate) fn decode(bytes: Bytes) -> Result<Snapshot, &'static str> {
    if bytes.is_empty() {
        return Err("empty snapshot");
    }
    let envelope = snappb::Snapshot::decode(bytes).map_err(|_| "unreadable envelope")?;
    if envelope.crc == 0 || envelope.data.is_empty() {
        return Err("empty snapshot");
    }
    if crc32c::crc32c(&envelope.data) != envelope.crc {
        return Err("crc mismatch");
    }
    let snapshot = Snapshot::decode(envelope.data).map_err(|_| "unreadable snapshot")?;
    if snapshot.metadata.is_none() {
        return Err("snapshot without metadata");
    }
    Ok(snapshot)
}
