//! `snapshot restore`: a data directory for one member of a new cluster, out of a snapshot file
//! (facts: disk-formats, 8.3).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, Open};
use mvcc::{Bucket, EntryId, MetaKey, Options, Store};
use proto::raftpb::{ConfState, HardState, Snapshot, SnapshotMetadata};
use proto::walpb;
use sha2::{Digest, Sha256};
use state::members::{Member, id_text};
use state::{State, StateOptions, V2Snapshot};
use wal::{Initial, MemberDir, SnapFiles, Wal};

use super::{ToolError, io_error};
use crate::boot::{InitialMember, founders, founding_entries, own_founder};
use crate::ids::cluster_id;

const CHECKSUM_BYTES: u64 = 32;
const COPY_BYTES: usize = 1 << 20;
/// The term of everything a restored directory begins with.
const TERM: u64 = 1;

/// What to restore, and as whom.
#[derive(Clone)]
pub struct RestoreOptions {
    pub disk: Arc<dyn Disk>,
    pub snapshot: PathBuf,
    pub data_dir: PathBuf,
    pub wal_dir: Option<PathBuf>,
    pub name: String,
    pub initial_cluster: Vec<InitialMember>,
    pub initial_cluster_token: String,
    pub peer_urls: Vec<String>,
    pub skip_hash_check: bool,
    /// Raise the revision by this much; 0 leaves it.
    pub bump_revision: i64,
    /// Whether everything before the bump counts as compacted, so that watchers start anew.
    pub mark_compacted: bool,
}

/// Makes the directory. A failure leaves behind what was made so far; it is unusable.
pub fn restore(options: &RestoreOptions) -> Result<(), ToolError> {
    let disk = &options.disk;
    let dir = MemberDir::new(&options.data_dir, options.wal_dir.as_deref());
    refuse_existing(options, &dir)?;
    let founders = founders(&options.initial_cluster, &options.initial_cluster_token)?;
    let own = own_founder(&founders, &options.name, &options.peer_urls)?;
    dir.prepare(disk.as_ref())?;
    copy_checked(disk.as_ref(), &options.snapshot, &dir.db(), options.skip_hash_check)?;
    let last = EntryId { term: TERM, index: founders.len() as u64 };
    rewrite_db(options, &dir.db(), &founders, last)?;
    write_log(disk, &dir, &founders, own.id, last)
}

fn refuse_existing(options: &RestoreOptions, dir: &MemberDir) -> Result<(), ToolError> {
    let disk = &options.disk;
    let not_empty = || ToolError::DataDirNotEmpty { path: options.data_dir.clone() };
    match disk.list(&options.data_dir) {
        Ok(names) if names.is_empty() => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(_) | Err(_) => return Err(not_empty()),
    }
    match disk.exists(dir.wal()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(ToolError::WalDirExists { path: dir.wal().to_owned() }),
        Err(source) => Err(io_error("cannot stat", dir.wal())(source)),
    }
}

/// Copies the image without the checksum at its end, which is compared unless that shall be skipped.
fn copy_checked(disk: &dyn Disk, from: &Path, to: &Path, skip_hash_check: bool) -> Result<(), ToolError> {
    let source = match disk.open(from, Open::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ToolError::NoFile { path: from.to_owned() });
        }
        other => other.map_err(io_error("cannot open", from))?,
    };
    let len = source.len().map_err(io_error("cannot measure", from))?;
    let has_checksum = len % 512 == CHECKSUM_BYTES;
    if !has_checksum && !skip_hash_check {
        return Err(ToolError::NoChecksum);
    }
    let image_len = if has_checksum { len - CHECKSUM_BYTES } else { len };
    let target = disk.open(to, Open::CreateNew { mode: 0o600 }).map_err(io_error("cannot create", to))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < image_len {
        let want = usize::try_from(image_len - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        source.read_exact_at(offset, &mut buffer[..want]).map_err(io_error("cannot read", from))?;
        hash.update(&buffer[..want]);
        target.write_all_at(offset, &buffer[..want]).map_err(io_error("cannot write", to))?;
        offset += want as u64;
    }
    target.sync_all().map_err(io_error("cannot sync", to))?;
    if has_checksum && !skip_hash_check {
        let mut expected = vec![0; CHECKSUM_BYTES as usize];
        source.read_exact_at(image_len, &mut expected).map_err(io_error("cannot read", from))?;
        let got = hash.finalize().to_vec();
        if got != expected {
            return Err(ToolError::WrongChecksum { expected, got });
        }
    }
    Ok(())
}

/// Puts the new members in the place of the old, raises the revision if asked to, and has the database stand at the
/// last of the founding entries. Everything else stays.
fn rewrite_db(options: &RestoreOptions, db: &Path, founders: &[Member], last: EntryId) -> Result<(), ToolError> {
    let write_term = names_its_term(options, db)?;
    let mut store = Store::open(options.disk.clone(), db, Options { write_term, ..Options::default() })?;
    let mut edit = store.offline();
    edit.clear(Bucket::Members)?;
    edit.clear(Bucket::MembersRemoved)?;
    for member in founders {
        edit.put_raw(Bucket::Members, id_text(member.id).as_bytes(), &member.to_json());
    }
    if options.bump_revision > 0 {
        edit.bump_revision(options.bump_revision, options.mark_compacted)?;
    }
    edit.force_applied(last);
    if let Some(job) = store.seal(u64::MAX) {
        let committed = job.run()?;
        store.committed(committed);
    }
    Ok(())
}

/// Whether the database has the key `term`, by which 3.5 and later know themselves. One of 3.4 stays one of 3.4: a member that
/// is started as 3.4 takes no newer one.
fn names_its_term(options: &RestoreOptions, db: &Path) -> Result<bool, ToolError> {
    let store = Store::open(options.disk.clone(), db, Options::default())?;
    Ok(store.image().get(Bucket::Meta, MetaKey::Term.name().as_bytes())?.is_some())
}

/// The snapshot file comes first, then the log with the founding entries and the record of the snapshot.
fn write_log(
    disk: &Arc<dyn Disk>,
    dir: &MemberDir,
    founders: &[Member],
    own: u64,
    last: EntryId,
) -> Result<(), ToolError> {
    let conf_state = ConfState { voters: founders.iter().map(|member| member.id).collect(), ..ConfState::default() };
    let EntryId { term, index } = last;
    let mut state_options = StateOptions::new(disk.clone(), dir.db(), own);
    state_options.v2_snapshot = Some(V2Snapshot { index, json: bytes::Bytes::new() });
    let data = State::open(state_options)?.snapshot_json();
    let metadata = SnapshotMetadata { conf_state: Some(conf_state.clone()), index, term };
    SnapFiles::new(disk.clone(), &dir.snap()).save(&Snapshot { data, metadata: Some(metadata) })?;
    let initial = Initial {
        hard_state: HardState { term, vote: founders.first().map_or(0, |member| member.id), commit: index },
        entries: founding_entries(founders),
        snapshot: Some(walpb::Snapshot { index, term, conf_state: Some(conf_state) }),
    };
    let ids: Vec<u64> = founders.iter().map(|member| member.id).collect();
    Wal::create_with(disk.clone(), dir.wal(), own, cluster_id(&ids), &initial, wal::Options::default())?.close()?;
    Ok(())
}
