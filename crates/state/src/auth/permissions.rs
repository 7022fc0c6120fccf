//! The key ranges a user may read and write: the ranges of all roles, merged (facts: errors, 11).

use bytes::Bytes;
use proto::authpb::{self, permission::Type};

/// What an operation does to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Whether a permission of this range can be granted: a key, and an end beyond it, open (`\0`) or none.
pub fn is_valid_range(key: &[u8], range_end: &[u8]) -> bool {
    !key.is_empty() && (range_end.is_empty() || range_end == b"\0" || key < range_end)
}

/// Half-open ranges, sorted, none touching the next. `None` as end = no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges(Vec<(Bytes, Option<Bytes>)>);

impl Ranges {
    fn merge(mut ranges: Vec<(Bytes, Option<Bytes>)>) -> Ranges {
        ranges.sort_by(|a, b| a.0.cmp(&b.0));
        let mut merged: Vec<(Bytes, Option<Bytes>)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match merged.last_mut() {
                Some((_, None)) => break,
                Some((_, Some(last_end))) if start <= *last_end => match end {
                    None => merged.last_mut().expect("matched just now").1 = None,
                    Some(end) if end > *last_end => *last_end = end,
                    Some(_) => {}
                },
                _ => merged.push((start, end)),
            }
        }
        Ranges(merged)
    }

    /// Whether `[start, end)` lies inside; `end` `None` = no end.
    fn contain(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let after = self.0.partition_point(|(s, _)| s.as_ref() <= start);
        let Some((_, own_end)) = after.checked_sub(1).map(|i| &self.0[i]) else {
            return false;
        };
        match (own_end, end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(end)) => start < own.as_ref() && end <= own.as_ref(),
        }
    }
}

/// The merged permissions of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    read: Ranges,
    write: Ranges,
}

impl Permissions {
    /// Merges the permissions of a user's roles.
    pub fn merge<'a>(granted: impl IntoIterator<Item = &'a authpb::Permission>) -> Permissions {
        let (mut read, mut write) = (Vec::new(), Vec::new());
        for permission in granted {
            let range = range_of(permission);
            match Type::try_from(permission.perm_type) {
                Ok(Type::Read) => read.push(range),
                Ok(Type::Write) => write.push(range),
                Ok(Type::Readwrite) => {
                    read.push(range.clone());
                    write.push(range);
                }
                Err(_) => {}
            }
        }
        Permissions { read: Ranges::merge(read), write: Ranges::merge(write) }
    }

    /// Whether a request's range lies inside: `range_end` empty = one key, `\0` = to the end of the keys. A range that
    /// ends before it starts is not inside anything.
    pub fn allow(&self, access: Access, key: &[u8], range_end: &[u8]) -> bool {
        let ranges = match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
        };
        match range_end {
            b"" => ranges.contain(key, Some(&successor(key))),
            b"\0" => ranges.contain(key, None),
            end => key < end && ranges.contain(key, Some(end)),
        }
    }
}

fn range_of(permission: &authpb::Permission) -> (Bytes, Option<Bytes>) {
    let key = permission.key.clone();
    let end = match permission.range_end.as_ref() {
        b"" => Some(successor(&key).into()),
        b"\0" => None,
        _ => Some(permission.range_end.clone()),
    };
    (key, end)
}

/// The smallest key above.
fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(kind: Type, key: &'static str, end: &'static str) -> authpb::Permission {
        authpb::Permission { perm_type: kind as i32, key: key.into(), range_end: end.into() }
    }

    #[test]
    fn a_range_may_span_several_grants() {
        let p = Permissions::merge(&[
            grant(Type::Read, "c", "e"),
            grant(Type::Readwrite, "a", "c"),
            grant(Type::Read, "x", ""),
        ]);
        assert!(p.allow(Access::Read, b"a", b"e"));
        assert!(!p.allow(Access::Write, b"a", b"e"));
        assert!(p.allow(Access::Write, b"bzz", b""));
        assert!(!p.allow(Access::Read, b"a", b"f"));
        assert!(p.allow(Access::Read, b"x", b""));
        assert!(!p.allow(Access::Read, b"x", b"y"));
        assert!(!p.allow(Access::Read, b"x", b"\0"), "a point is no open range");
        assert!(!p.allow(Access::Read, b"e", b""));
        assert!(!p.allow(Access::Read, b"d", b"b"));
    }

    #[test]
    fn open_ends() {
        let p = Permissions::merge(&[
            grant(Type::Write, "m", "\0"),
            grant(Type::Write, "a", "n"),
            grant(Type::Write, "z", "zz"),
        ]);
        assert!(p.allow(Access::Write, b"b", b"\0"));
        assert!(p.allow(Access::Write, b"zzz", b""));
        assert!(!p.allow(Access::Write, b"A", b"\0"));
        assert!(is_valid_range(b"a", b"\0") && is_valid_range(b"a", b"") && is_valid_range(b"a", b"b"));
        assert!(!is_valid_range(b"", b"") && !is_valid_range(b"b", b"b") && !is_valid_range(b"b", b"a"));
    }
}
