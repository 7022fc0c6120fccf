//! Watchers by what they watch: single keys in a hash table, ranges in an interval tree.

use std::collections::HashMap;

use bytes::Bytes;

use super::intervals::{End, Intervals};

/// What a watcher watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Key(Bytes),
    Range(Bytes, End),
}

impl Target {
    /// By etcd's rules for `range_end`; `None` where the range is empty.
    pub(super) fn new(key: &Bytes, range_end: &Bytes) -> Option<Target> {
        let key = if key.is_empty() { Bytes::from_static(b"\0") } else { key.clone() };
        Some(match &range_end[..] {
            [] => Target::Key(key),
            [0] => Target::Range(key, None),
            end if *end <= key[..] => return None,
            _ => Target::Range(key, Some(range_end.clone())),
        })
    }
}

/// Numbers of watchers, found by an event's key.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: HashMap<Bytes, Vec<u32>>,
    ranges: Intervals,
}

impl Index {
    /// Adds a watcher and gives its place, which its removal needs.
    pub(super) fn insert(&mut self, target: &Target, watcher: u32) -> u32 {
        match target {
            Target::Key(key) => {
                let members = self.keys.entry(key.clone()).or_default();
                members.push(watcher);
                members.len() as u32 - 1
            }
            Target::Range(start, end) => self.ranges.insert(start, end, watcher),
        }
    }

    /// Removes the watcher at a place. Gives the one that took the place, if any.
    pub(super) fn remove(&mut self, target: &Target, place: u32) -> Option<u32> {
        match target {
            Target::Key(key) => {
                let members = self.keys.get_mut(key)?;
                members.swap_remove(place as usize);
                let moved = members.get(place as usize).copied();
                if members.is_empty() {
                    self.keys.remove(key);
                }
                moved
            }
            Target::Range(start, end) => self.ranges.remove(start, end, place),
        }
    }

    /// Adds all watchers of the key to `found`.
    pub(super) fn find_all(&self, key: &[u8], found: &mut Vec<u32>) {
        if let Some(members) = self.keys.get(key) {
            found.extend_from_slice(members);
        }
        self.ranges.find_all(key, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_ends_are_read_as_in_a_range_request() {
        let b = |s: &'static str| Bytes::from_static(s.as_bytes());
        assert_eq!(Target::new(&b("a"), &b("")), Some(Target::Key(b("a"))));
        assert_eq!(Target::new(&b(""), &b("")), Some(Target::Key(b("\0"))));
        assert_eq!(Target::new(&b("a"), &b("\0")), Some(Target::Range(b("a"), None)));
        assert_eq!(Target::new(&b(""), &b("\0")), Some(Target::Range(b("\0"), None)));
        assert_eq!(Target::new(&b("a"), &b("b")), Some(Target::Range(b("a"), Some(b("b")))));
        assert_eq!(Target::new(&b("a"), &b("a")), None);
        assert_eq!(Target::new(&b("b"), &b("a")), None);
    }
}
