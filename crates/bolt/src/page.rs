//! A page of the tree: its bytes, checked once when they are read, and its elements (docs/formats/bolt.md, "Pages").
//!
//! Invariant of [`Page`]: it is a branch or a leaf, and every element with its key and value lies inside its bytes; so the
//! accessors need no further check for indices below [`Page::count`].

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Error, Result};

pub(crate) const HEADER: usize = 16;
pub(crate) const ELEMENT: usize = 16;
/// Root id and sequence number before an inline bucket's page.
pub(crate) const BUCKET_HEADER: usize = 16;

pub(crate) const BRANCH: u16 = 0x01;
pub(crate) const LEAF: u16 = 0x02;
pub(crate) const META: u16 = 0x04;
pub(crate) const FREE_LIST: u16 = 0x10;

/// Leaf element flag: the value is a bucket.
pub(crate) const BUCKET_VALUE: u32 = 1;

/// More levels than a tree of 2^64 bytes has.
pub(crate) const DEPTH_MAX: usize = 64;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The first 16 bytes of every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u64,
    pub(crate) flags: u16,
    pub(crate) count: u16,
    /// Further pages that belong to this one.
    pub(crate) overflow: u32,
}

impl Header {
    /// `bytes` holds at least [`HEADER`] bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Header {
        Header { id: u64_at(bytes, 0), flags: u16_at(bytes, 8), count: u16_at(bytes, 10), overflow: u32_at(bytes, 12) }
    }

    pub(crate) fn encode(&self, to: &mut BytesMut) {
        to.put_u64_le(self.id);
        to.put_u16_le(self.flags);
        to.put_u16_le(self.count);
        to.put_u32_le(self.overflow);
    }

    /// Pages taken, this one included.
    pub(crate) fn pages(&self) -> u64 {
        u64::from(self.overflow) + 1
    }
}

/// A checked branch or leaf page with its overflow pages.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    id: u64,
    bytes: Bytes,
}

impl Page {
    /// Checks the bytes of page `id`. `bytes` spans the page and its overflow pages, or the rest of an inline bucket.
    pub(crate) fn decode(id: u64, bytes: Bytes) -> Result<Page> {
        if bytes.len() < HEADER {
            return Err(Error::corrupt(id, "shorter than a page header"));
        }
        let header = Header::decode(&bytes);
        if header.id != id {
            return Err(Error::corrupt(id, format!("its header names page {}", header.id)));
        }
        let elements_end = HEADER + usize::from(header.count) * ELEMENT;
        if elements_end > bytes.len() {
            return Err(Error::corrupt(id, format!("{} elements do not fit", header.count)));
        }
        let page = Page { id, bytes };
        match header.flags {
            LEAF => page.check_leaf(elements_end)?,
            BRANCH if header.count == 0 => return Err(Error::corrupt(id, "a branch without children")),
            BRANCH => page.check_branch(elements_end)?,
            other => return Err(Error::corrupt(id, format!("flags {other:#x} are neither branch nor leaf"))),
        }
        page.check_order()?;
        Ok(page)
    }

    /// Strictly rising keys are what makes every walk over a damaged tree finite.
    fn check_order(&self) -> Result<()> {
        for i in 1..self.count() {
            if self.key(i - 1) >= self.key(i) {
                return Err(Error::corrupt(self.id, format!("its keys {} and {i} are out of order", i - 1)));
            }
        }
        Ok(())
    }

    fn check_leaf(&self, elements_end: usize) -> Result<()> {
        for i in 0..self.count() {
            let at = HEADER + i * ELEMENT;
            let start = at as u64 + u64::from(u32_at(&self.bytes, at + 4));
            let key = u64::from(u32_at(&self.bytes, at + 8));
            let value = u64::from(u32_at(&self.bytes, at + 12));
            self.check_bounds(i, start, key, key + value, elements_end)?;
            if u32_at(&self.bytes, at) & BUCKET_VALUE != 0 && (value as usize) < BUCKET_HEADER {
                return Err(Error::corrupt(self.id, format!("element {i}: a bucket of {value} bytes")));
            }
        }
        Ok(())
    }

    fn check_branch(&self, elements_end: usize) -> Result<()> {
        for i in 0..self.count() {
            let at = HEADER + i * ELEMENT;
            let start = at as u64 + u64::from(u32_at(&self.bytes, at));
            let key = u64::from(u32_at(&self.bytes, at + 4));
            self.check_bounds(i, start, key, key, elements_end)?;
        }
        Ok(())
    }

    fn check_bounds(&self, i: usize, start: u64, key: u64, len: u64, elements_end: usize) -> Result<()> {
        if key == 0 {
            return Err(Error::corrupt(self.id, format!("element {i} has an empty key")));
        }
        if start < elements_end as u64 || start + len > self.bytes.len() as u64 {
            return Err(Error::corrupt(self.id, format!("element {i} lies outside of the page")));
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn header(&self) -> Header {
        Header::decode(&self.bytes)
    }

    pub(crate) fn is_leaf(&self) -> bool {
        u16_at(&self.bytes, 8) == LEAF
    }

    /// Number of elements.
    pub(crate) fn count(&self) -> usize {
        usize::from(u16_at(&self.bytes, 10))
    }

    fn key_range(&self, i: usize) -> (usize, usize) {
        let at = HEADER + i * ELEMENT;
        let (pos, len) = if self.is_leaf() { (at + 4, at + 8) } else { (at, at + 4) };
        (at + u32_at(&self.bytes, pos) as usize, u32_at(&self.bytes, len) as usize)
    }

    pub(crate) fn key(&self, i: usize) -> &[u8] {
        let (start, len) = self.key_range(i);
        &self.bytes[start..start + len]
    }

    pub(crate) fn key_bytes(&self, i: usize) -> Bytes {
        let (start, len) = self.key_range(i);
        self.bytes.slice(start..start + len)
    }

    /// Value of a leaf element.
    pub(crate) fn value_bytes(&self, i: usize) -> Bytes {
        debug_assert!(self.is_leaf(), "page {} is a branch", self.id);
        let (start, len) = self.key_range(i);
        let value = u32_at(&self.bytes, HEADER + i * ELEMENT + 12) as usize;
        self.bytes.slice(start + len..start + len + value)
    }

    /// Flags of a leaf element.
    pub(crate) fn flags(&self, i: usize) -> u32 {
        u32_at(&self.bytes, HEADER + i * ELEMENT)
    }

    pub(crate) fn is_bucket(&self, i: usize) -> bool {
        self.is_leaf() && self.flags(i) & BUCKET_VALUE != 0
    }

    /// Child of a branch element.
    pub(crate) fn child(&self, i: usize) -> u64 {
        u64_at(&self.bytes, HEADER + i * ELEMENT + 8)
    }

    /// The first element whose key is not less than `key`, and whether it is equal.
    pub(crate) fn search(&self, key: &[u8]) -> (usize, bool) {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = (low + high) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return (middle, true),
            }
        }
        (low, false)
    }

    /// The branch element to descend into for `key`: the last with a key at or before it, or else the first.
    pub(crate) fn child_for(&self, key: &[u8]) -> usize {
        match self.search(key) {
            (i, true) => i,
            (i, false) => i.saturating_sub(1),
        }
    }
}

/// The value of a bucket element.
#[derive(Clone, Debug)]
pub(crate) struct BucketValue {
    /// 0 for an inline bucket.
    pub(crate) root: u64,
    pub(crate) sequence: u64,
    /// Page image of an inline bucket.
    pub(crate) inline: Option<Bytes>,
}

impl BucketValue {
    /// Reads the value of a bucket element found on page `holder`.
    pub(crate) fn decode(holder: u64, value: &Bytes) -> Result<BucketValue> {
        if value.len() < BUCKET_HEADER {
            return Err(Error::corrupt(holder, "a bucket value is shorter than its header"));
        }
        let root = u64_at(value, 0);
        let inline = (root == 0).then(|| value.slice(BUCKET_HEADER..));
        Ok(BucketValue { root, sequence: u64_at(value, 8), inline })
    }

    /// The value of a bucket whose root page stands elsewhere.
    pub(crate) fn encode_root(root: u64, sequence: u64) -> Bytes {
        let mut value = BytesMut::with_capacity(BUCKET_HEADER);
        value.put_u64_le(root);
        value.put_u64_le(sequence);
        value.freeze()
    }

    /// The page of an inline bucket found on page `holder`.
    pub(crate) fn inline_page(holder: u64, image: Bytes) -> Result<Page> {
        let page = Page::decode(0, image).map_err(|error| match error {
            Error::Corrupt { reason, .. } => Error::corrupt(holder, format!("inline bucket: {reason}")),
            other => other,
        })?;
        if page.is_leaf() { Ok(page) } else { Err(Error::corrupt(holder, "an inline bucket is a branch")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Entry, Item, Node};

    fn leaf() -> Vec<u8> {
        let item = |key: &'static str, len: usize, flags| Item {
            flags,
            key: Bytes::from(key),
            value: Bytes::from(vec![7; len]),
        };
        let items = vec![item("a", 0, 0), item("b", 300, 0), item("bucket", 16, BUCKET_VALUE), item("c", 5, 0)];
        Node::Leaf(items).encode(9, 0, 512).to_vec()
    }

    fn branch() -> Vec<u8> {
        let entry = |key: &'static str, child| Entry { key: Bytes::from(key), child };
        Node::Branch(vec![entry("a", 4), entry("m", 5), entry("z", 6)]).encode(9, 0, 512).to_vec()
    }

    #[test]
    fn leaves_read_as_they_were_written() {
        let page = Page::decode(9, Bytes::from(leaf())).unwrap();
        assert!(page.is_leaf() && page.count() == 4);
        assert_eq!((page.key(1), page.value_bytes(1).len()), (&b"b"[..], 300));
        assert!(page.is_bucket(2) && !page.is_bucket(3));
        assert_eq!((page.search(b"bu"), page.search(b"c"), page.search(b"d")), ((2, false), (3, true), (4, false)));
    }

    #[test]
    fn branches_lead_to_the_last_child_at_or_before() {
        let page = Page::decode(9, Bytes::from(branch())).unwrap();
        let child = |key: &[u8]| page.child(page.child_for(key));
        assert_eq!([child(b"A"), child(b"a"), child(b"l"), child(b"m"), child(b"zz")], [4, 4, 4, 5, 6]);
    }

    #[test]
    fn impossible_pages_are_refused() {
        let refused = |at: usize, new: &[u8]| {
            let mut bytes = leaf();
            bytes[at..at + new.len()].copy_from_slice(new);
            Page::decode(9, Bytes::from(bytes)).err().map(|error| error.to_string())
        };
        assert_eq!(refused(0, &[8]).as_deref(), Some("page 9: its header names page 8"));
        assert_eq!(refused(8, &[4]).as_deref(), Some("page 9: flags 0x4 are neither branch nor leaf"));
        assert_eq!(refused(10, &[0xff, 0xff]).as_deref(), Some("page 9: 65535 elements do not fit"));
        assert_eq!(refused(20, &[0xff; 4]).as_deref(), Some("page 9: element 0 lies outside of the page"));
        assert_eq!(refused(24, &[0; 4]).as_deref(), Some("page 9: element 0 has an empty key"));
        assert_eq!(refused(16 + 2 * 16 + 12, &[15]).as_deref(), Some("page 9: element 2: a bucket of 15 bytes"));
        assert_eq!(refused(80, b"b").as_deref(), Some("page 9: its keys 0 and 1 are out of order"));
        assert!(Page::decode(9, Bytes::from(vec![0; 15])).is_err());
    }

    /// Whatever decodes can be read through every accessor.
    #[test]
    fn mutated_pages_are_refused_or_readable() {
        let mut seed = 1u64;
        let mut next = |bound: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % bound
        };
        let mut readable = 0;
        for round in 0..20_000 {
            let mut bytes = if round % 2 == 0 { leaf() } else { branch() };
            for _ in 0..1 + next(3) {
                let at = next(if round % 3 == 0 { 512 } else { 96 });
                bytes[at] = if next(2) == 0 { next(256) as u8 } else { bytes[at] ^ 1 << next(8) };
            }
            bytes.truncate(512 - if next(8) == 0 { next(512) } else { 0 });
            let Ok(page) = Page::decode(9, Bytes::from(bytes)) else { continue };
            readable += 1;
            for i in 0..page.count() {
                assert_eq!(page.search(page.key(i)), (i, true));
                if page.is_leaf() {
                    let value = page.value_bytes(i);
                    if let Ok(BucketValue { inline: Some(image), .. }) = BucketValue::decode(9, &value) {
                        BucketValue::inline_page(9, image).ok();
                    }
                } else {
                    page.child(page.child_for(page.key(i)));
                }
            }
        }
        assert!(readable > 1000, "{readable} of the mutated pages are readable");
    }
}
