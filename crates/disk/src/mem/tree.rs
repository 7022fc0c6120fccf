//! Names and inodes: directories as programs see them, as they are on the platter, and a journal of changes in between.
//!
//! A name change is atomic. After a cut, the changes of names that were not made durable survive as a prefix of the
//! journal, or as any part of it in which nothing rests on a change that was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::content::Content;
use super::rng::Rng;
use super::sparse::CHUNK;

pub(super) type Ino = u64;
pub(super) const ROOT: Ino = 0;

/// Bits that every created name loses, as under the usual umask.
const UMASK: u32 = 0o022;

#[derive(Clone)]
pub(super) enum Node {
    Dir(Dir),
    File(FileNode),
}

#[derive(Clone, Default)]
pub(super) struct Dir {
    now: BTreeMap<String, Ino>,
    durable: BTreeMap<String, Ino>,
    pub(super) mode: u32,
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) content: Content,
    pub(super) mode: u32,
    /// How many handles are open.
    pub(super) open: u32,
    pub(super) locks: Locks,
    /// Space set aside up to this offset.
    pub(super) reserved: u64,
}

impl FileNode {
    /// Bytes of the device that the file takes.
    pub(super) fn used(&self) -> u64 {
        let reserved_chunks = self.reserved.div_ceil(CHUNK as u64);
        (reserved_chunks + self.content.now.chunks_from(reserved_chunks)) * CHUNK as u64
    }

    /// Bytes of the device that a write would add.
    pub(super) fn growth(&self, offset: u64, len: usize) -> u64 {
        self.content.now.chunks_added_by(offset, len, self.reserved.div_ceil(CHUNK as u64)) * CHUNK as u64
    }
}

/// Who holds which lock; holders are handles.
#[derive(Clone, Default)]
pub(super) struct Locks {
    pub(super) description: Option<u64>,
    pub(super) exclusive: Option<u64>,
    pub(super) shared: BTreeSet<u64>,
}

impl Locks {
    pub(super) fn release(&mut self, handle: u64) {
        self.description.take_if(|holder| *holder == handle);
        self.exclusive.take_if(|holder| *holder == handle);
        self.shared.remove(&handle);
    }
}

/// One atomic change of names: each (directory, name) gets an inode or loses it.
#[derive(Clone)]
struct NameChange(Vec<(Ino, String, Option<Ino>)>);

#[derive(Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    journal: Vec<NameChange>,
}

fn os_error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn not_found() -> io::Error {
    os_error(libc::ENOENT)
}

/// The names on the way to `path`; the root is where relative paths start as well.
fn names(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                names.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    names
}

impl Tree {
    pub(super) fn new() -> Tree {
        let root = Node::Dir(Dir { mode: 0o755, ..Dir::default() });
        Tree { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, journal: Vec::new() }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Ino> {
        self.walk(&names(path))
    }

    fn walk(&self, names: &[String]) -> io::Result<Ino> {
        let mut at = ROOT;
        for name in names {
            at = *self.dir(at)?.now.get(name).ok_or_else(not_found)?;
        }
        Ok(at)
    }

    pub(super) fn node(&self, ino: Ino) -> io::Result<&Node> {
        self.nodes.get(&ino).ok_or_else(not_found)
    }

    pub(super) fn dir(&self, ino: Ino) -> io::Result<&Dir> {
        match self.node(ino)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(os_error(libc::ENOTDIR)),
        }
    }

    pub(super) fn file(&self, ino: Ino) -> io::Result<&FileNode> {
        match self.node(ino)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(os_error(libc::EISDIR)),
        }
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&ino).ok_or_else(not_found)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(os_error(libc::EISDIR)),
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.dir(self.find(path)?)?.now.keys().cloned().collect())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &FileNode> {
        self.nodes.values().filter_map(|node| match node {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        })
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut FileNode> {
        self.nodes.values_mut().filter_map(|node| match node {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        })
    }

    /// The directory that holds the last name of `path`, and that name.
    fn parent(&self, path: &Path) -> io::Result<(Ino, String)> {
        let mut names = names(path);
        let last = names.pop().ok_or_else(|| os_error(libc::EINVAL))?;
        let parent = self.walk(&names)?;
        self.dir(parent)?;
        Ok((parent, last))
    }

    fn add(&mut self, node: Node) -> Ino {
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, node);
        ino
    }

    pub(super) fn create_file(&mut self, path: &Path, mode: u32) -> io::Result<Ino> {
        let (parent, name) = self.parent(path)?;
        let ino = self.add(Node::File(FileNode { mode: mode & !UMASK, ..FileNode::default() }));
        self.change(NameChange(vec![(parent, name, Some(ino))]));
        Ok(ino)
    }

    pub(super) fn create_dirs(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let mut at = ROOT;
        for name in names(path) {
            at = match self.dir(at)?.now.get(&name) {
                Some(ino) => *ino,
                None => {
                    let ino = self.add(Node::Dir(Dir { mode: mode & !UMASK, ..Dir::default() }));
                    self.change(NameChange(vec![(at, name, Some(ino))]));
                    ino
                }
            };
        }
        self.dir(at).map(drop).map_err(|_| os_error(libc::EEXIST))
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let moved = self.find(from)?;
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        if let Some(target) = self.dir(to_dir)?.now.get(&to_name).copied() {
            if target == moved {
                return Ok(());
            }
            match (self.node(moved)?, self.node(target)?) {
                (Node::File(_), Node::File(_)) => {}
                (Node::Dir(_), Node::Dir(dir)) if dir.now.is_empty() => {}
                (Node::Dir(_), Node::Dir(_)) => return Err(os_error(libc::ENOTEMPTY)),
                (Node::Dir(_), Node::File(_)) => return Err(os_error(libc::ENOTDIR)),
                (Node::File(_), Node::Dir(_)) => return Err(os_error(libc::EISDIR)),
            }
        }
        self.change(NameChange(vec![(from_dir, from_name, None), (to_dir, to_name, Some(moved))]));
        self.sweep();
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(self.find(path)?)?;
        let (parent, name) = self.parent(path)?;
        self.change(NameChange(vec![(parent, name, None)]));
        self.sweep();
        Ok(())
    }

    pub(super) fn remove_dirs(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.find(path)?;
        self.dir(dir)?;
        let (parent, name) = self.parent(path)?;
        self.empty(dir);
        self.change(NameChange(vec![(parent, name, None)]));
        self.sweep();
        Ok(())
    }

    /// Removes all names under a directory, the deepest first.
    fn empty(&mut self, dir: Ino) {
        let Some(Node::Dir(Dir { now, .. })) = self.nodes.get(&dir) else { return };
        for (name, ino) in now.clone() {
            self.empty(ino);
            self.change(NameChange(vec![(dir, name, None)]));
        }
    }

    fn change(&mut self, change: NameChange) {
        for (dir, name, ino) in &change.0 {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(dir) {
                set(&mut dir.now, name, *ino);
            }
        }
        self.journal.push(change);
    }

    fn make_durable(&mut self, change: &NameChange) {
        for (dir, name, ino) in &change.0 {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(dir) {
                set(&mut dir.durable, name, *ino);
            }
        }
    }

    /// Makes the names of one directory durable, and with them what they rest on.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.find(path)?;
        self.dir(dir)?;
        let mut dirs = BTreeSet::from([dir]);
        let mut kept = Vec::new();
        let mut synced = Vec::new();
        // A rename between directories drags the other directory's earlier changes along.
        for change in std::mem::take(&mut self.journal).into_iter().rev() {
            if change.0.iter().any(|(dir, ..)| dirs.contains(dir)) {
                dirs.extend(change.0.iter().map(|(dir, ..)| *dir));
                synced.push(change);
            } else {
                kept.push(change);
            }
        }
        kept.reverse();
        self.journal = kept;
        for change in synced.iter().rev() {
            self.make_durable(change);
        }
        self.sweep();
        Ok(())
    }

    /// What is left after a power loss: durable names, files with what survived of their content, no handles, no locks.
    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        let journal = std::mem::take(&mut self.journal);
        let any_part = rng.below(2) == 0;
        let prefix = rng.below(journal.len() as u64 + 1) as usize;
        let mut lost_names = BTreeSet::new();
        for (position, change) in journal.iter().enumerate() {
            let names = || change.0.iter().map(|(dir, name, _)| (*dir, name.as_str()));
            let kept = if any_part {
                !names().any(|name| lost_names.contains(&name)) && rng.below(2) == 0
            } else {
                position < prefix
            };
            if kept {
                self.make_durable(change);
            } else {
                lost_names.extend(names());
            }
        }
        for node in self.nodes.values_mut() {
            match node {
                Node::Dir(dir) => dir.now = dir.durable.clone(),
                Node::File(file) => {
                    file.content.lose_power(rng);
                    file.reserved = file.reserved.min(file.content.now.len());
                }
            }
        }
        self.close_all();
    }

    /// Forgets all handles and locks.
    pub(super) fn close_all(&mut self) {
        for file in self.files_mut() {
            file.open = 0;
            file.locks = Locks::default();
        }
        self.sweep();
    }

    /// Drops the inodes that no name, present or durable or in the journal, and no handle can reach.
    pub(super) fn sweep(&mut self) {
        let mut seen = BTreeSet::from([ROOT]);
        let mut to_visit = vec![ROOT];
        to_visit.extend(self.journal.iter().flat_map(|change| change.0.iter().filter_map(|(.., ino)| *ino)));
        to_visit.extend(self.nodes.iter().filter_map(|(ino, node)| match node {
            Node::File(file) if file.open > 0 => Some(*ino),
            Node::File(_) | Node::Dir(_) => None,
        }));
        while let Some(ino) = to_visit.pop() {
            seen.insert(ino);
            if let Some(Node::Dir(dir)) = self.nodes.get(&ino) {
                to_visit.extend(dir.now.values().chain(dir.durable.values()).filter(|child| !seen.contains(child)));
            }
        }
        self.nodes.retain(|ino, _| seen.contains(ino));
    }
}

fn set(names: &mut BTreeMap<String, Ino>, name: &str, ino: Option<Ino>) {
    match ino {
        Some(ino) => names.insert(name.to_string(), ino),
        None => names.remove(name),
    };
}
