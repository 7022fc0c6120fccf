//! Opening the data directory: waiting where another process holds it, and telling what was found.

use super::clock::Clock;
use super::metered_disk::MeteredDisk;
use super::options;
use super::serve::ServeError;
use crate::config::Config;
use crate::logging::lines::ElectionTimeout;
use crate::logging::{self, lines};
use crate::metrics::Metrics;
use disk::Disk;
use node::boot::{BootError, BootOptions, Booted, Note};
use state::quota::Quota;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a directory that another process holds is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(50);
/// After this time the operator is told what is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A data directory in use.
pub struct Opened {
    pub booted: Booted,
    pub disk: Arc<dyn Disk>,
}

/// Opens or creates the data directory. Waits for as long as another process holds it.
pub fn open(config: &Config, metrics: &Arc<Metrics>, clock: Clock) -> Result<Opened, ServeError> {
    let db = config.data_dir.join("member").join("snap").join("db");
    let disk = MeteredDisk::new(metrics.clone(), config.wal_path(), db.clone());
    lines::bootstrapping_cluster();
    let options = options::boot_options(config, disk.clone())?;
    lines::bootstrapping_storage();
    let began = Instant::now();
    let mut told = false;
    let booted = loop {
        match node::boot::boot(options.clone(), clock.now()) {
            Ok(booted) => break booted,
            Err(BootError::Locked { path }) => {
                if !told && began.elapsed() >= LOCK_PATIENCE {
                    told = true;
                    lines::waiting_for_lock(&path, began.elapsed());
                }
                std::thread::sleep(LOCK_RETRY);
            }
            Err(failure) => return Err(failure.into()),
        }
    };
    lines::opened_backend(&db, disk.opened_db());
    booted.notes.iter().for_each(tell);
    describe(config, &booted);
    tell_ticks(&options, &booted);
    Ok(Opened { booted, disk })
}

fn describe(config: &Config, booted: &Booted) {
    let (member, cluster) = (booted.member_id, booted.cluster_id);
    let view = booted.reader.view();
    if booted.fresh {
        lines::starting_local_member(member, cluster);
    } else {
        lines::restarting_local_member(member, cluster, booted.node.status().committed);
    }
    lines::bootstrapped();
    lines::kvstore_restored(view.kv().revision());
    lines::quota(config.quota_backend_bytes, Quota::from_flag(config.quota_backend_bytes).bytes());
    let cluster_version = view.versions().cluster.map(|version| version.to_string());
    let version = options::version(config.compat_version).to_string();
    lines::starting_etcd_server(member, &version, cluster_version.as_deref().unwrap_or("to_be_decided"));
}

/// A lone member campaigns at once; others hasten their first election where they are told to.
fn tell_ticks(options: &BootOptions, booted: &Booted) {
    let members = match (booted.fresh, &options.join) {
        (true, Some(existing)) => existing.members.len(),
        (true, None) => options.founding().map_or(0, |founding| founding.members.len()),
        (false, _) => booted.reader.view().members().len(),
    };
    let timeout = ElectionTimeout { ticks: options.node.election_ticks(), tick: options.node.heartbeat };
    if members == 1 || options.force_new_cluster {
        lines::single_node_ticks(booted.member_id, timeout);
    } else {
        lines::cluster_ticks(options.node.initial_election_tick_advance, timeout);
    }
}

fn tell(note: &Note) {
    let shown = |path: &std::path::Path| logging::Value::from(path.to_string_lossy().into_owned());
    match note {
        Note::OpenMode { path, mode } => {
            let why = format!("others can look into {}: its mode is {mode:04o}, not 0700", path.display());
            logging::warn("check file permission", &[("error", why.into())]);
        }
        Note::Removed { path } => logging::info("removed a leftover of an earlier process", &[("path", shown(path))]),
        Note::BrokenSnapshot { path, reason } => {
            logging::warn("set a broken snapshot file aside", &[("path", shown(path)), ("error", reason.into())]);
        }
        Note::Ignored { name } => {
            logging::warn("ignored a file of unknown meaning in the member directory", &[("name", name.into())]);
        }
        Note::Repaired { file, offset, broken } => {
            let fields = [("path", shown(file)), ("offset", (*offset).into()), ("copy", shown(broken))];
            logging::warn("repaired the end of the write-ahead log, which was cut short", &fields);
        }
        Note::InstalledDb { index } => {
            logging::info("put the received database in place", &[("snapshot-index", (*index).into())]);
        }
        Note::DbWithoutEntries { snapshot_index } => {
            let message = "the database knows of no entry; it is built from the log";
            logging::warn(message, &[("snapshot-index", (*snapshot_index).into())]);
        }
        Note::Discarded { entries } => {
            logging::warn("discarded uncommitted entries to force a new cluster", &[("entries", (*entries).into())]);
        }
    }
}
