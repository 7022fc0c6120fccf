//! A fresh file: four pages, written under another name and renamed, so that after a crash it is whole or absent.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use disk::{Disk, File, Lock, Open};

use crate::db::Options;
use crate::error::{During, Error, Result};
use crate::meta::{Meta, PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::page::{FREE_LIST, Header, LEAF};

/// etcd removes `db.tmp.*` at its next start, should it be the one to find it.
const SUFFIX: &str = ".tmp.new";

const FREE_LIST_PAGE: u64 = 2;
const ROOT_PAGE: u64 = 3;
const HIGH_WATER: u64 = 4;

/// Creates the file at `path` and answers it locked.
pub(crate) fn create(disk: &dyn Disk, path: &Path, options: &Options) -> Result<Arc<dyn File>> {
    if !options.page_size.is_power_of_two() || !(PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&options.page_size) {
        return Err(Error::Invalid { reason: "impossible page size" });
    }
    let draft = draft_name(path);
    let file = disk.open(&draft, Open::Create { mode: options.mode }).during("create the database")?;
    if !file.try_lock(Lock::FlockExclusive).during("lock the database")? {
        return Err(Error::Locked);
    }
    file.set_len(0).during("create the database")?;
    file.write_all_at(0, &fresh(options.page_size)).during("create the database")?;
    file.sync_all().during("sync the new database")?;
    disk.rename(&draft, path).during("name the new database")?;
    let dir = path.parent().unwrap_or(Path::new(""));
    disk.sync_dir(dir).during("sync the directory of the new database")?;
    Ok(file)
}

fn draft_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(SUFFIX);
    path.with_file_name(name)
}

fn fresh(page_size: u32) -> BytesMut {
    let mut bytes = BytesMut::new();
    for txid in [0, 1] {
        let meta =
            Meta { page_size, root: ROOT_PAGE, sequence: 0, free_list: FREE_LIST_PAGE, high_water: HIGH_WATER, txid };
        bytes.extend_from_slice(&meta.encode(txid));
    }
    for (id, flags) in [(FREE_LIST_PAGE, FREE_LIST), (ROOT_PAGE, LEAF)] {
        Header { id, flags, count: 0, overflow: 0 }.encode(&mut bytes);
        bytes.resize((id as usize + 1) * page_size as usize, 0);
    }
    bytes
}
