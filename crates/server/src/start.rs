//! What stands between the configuration and the threads: the look at the data directory.

use std::fs;
use std::io;
use std::path::Path;

use crate::config::go_io_text;
use crate::exit;
use crate::logging::{self, Value, lines};

/// What a data directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDir {
    Empty,
    Member,
    /// What etcd's v2 proxy has left.
    Proxy,
    Both,
}

/// Looks into the data directory and logs what is found; ends the process where it cannot be used.
pub fn look_at_data_dir(dir: &Path) {
    let shown = || Value::from(dir.to_string_lossy().into_owned());
    let found = match identify(dir) {
        Ok((found, strange)) => {
            for name in strange {
                let fields = [("filename", name.into()), ("data-dir", shown())];
                logging::warn("found invalid file under data directory", &fields);
            }
            found
        }
        Err(e) => {
            let call = if e.kind() == io::ErrorKind::NotADirectory { "readdirent" } else { "open" };
            let why = format!("{call} {}: {}", dir.display(), go_io_text(&e));
            logging::fatal("failed to list data directory", &[("dir", shown()), ("error", why.into())]);
        }
    };
    match found {
        DataDir::Empty => lines::data_dir(dir, "empty"),
        DataDir::Member => lines::data_dir(dir, "member"),
        DataDir::Proxy => {
            logging::error("v2 http proxy has already been deprecated in 3.6", &[("dir-type", "proxy".into())]);
            std::process::exit(exit::MISUSE);
        }
        DataDir::Both => {
            logging::fatal("invalid datadir; both member and proxy directories exist", &[("data-dir", shown())]);
        }
    }
}

/// What is there, and names that do not belong there. A missing directory is empty.
fn identify(dir: &Path) -> io::Result<(DataDir, Vec<String>)> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((DataDir::Empty, Vec::new())),
        Err(e) => return Err(e),
    };
    let (mut member, mut proxy, mut strange) = (false, false, Vec::new());
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            "member" => member = true,
            "proxy" => proxy = true,
            _ => strange.push(name),
        }
    }
    strange.sort();
    let found = match (member, proxy) {
        (false, false) => DataDir::Empty,
        (true, false) => DataDir::Member,
        (false, true) => DataDir::Proxy,
        (true, true) => DataDir::Both,
    };
    Ok((found, strange))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_a_directory_holds() {
        let dir = std::env::temp_dir().join(format!("quorate-start-{}", std::process::id()));
        assert_eq!(identify(&dir).unwrap(), (DataDir::Empty, vec![]));
        fs::create_dir_all(dir.join("member")).unwrap();
        fs::write(dir.join("notes"), "x").unwrap();
        assert_eq!(identify(&dir).unwrap(), (DataDir::Member, vec!["notes".to_owned()]));
        fs::create_dir_all(dir.join("proxy")).unwrap();
        assert_eq!(identify(&dir).unwrap().0, DataDir::Both);
        fs::remove_dir_all(dir.join("member")).unwrap();
        assert_eq!(identify(&dir).unwrap().0, DataDir::Proxy);
        assert_eq!(identify(&dir.join("notes")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        fs::remove_dir_all(&dir).unwrap();
    }
}
