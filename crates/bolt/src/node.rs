//! A page while it is changed: its elements in memory, not yet bound to a page id.

use bytes::{BufMut, Bytes, BytesMut};

use crate::page::{BRANCH, ELEMENT, HEADER, Header, LEAF, Page};

/// Fewest elements that a split leaves on a page.
const SPLIT_MIN: usize = 2;
/// Most elements on one page; 0xFFFF has a meaning of its own in free lists.
const ELEMENTS_MAX: usize = 0xFFFE;
/// Most bytes on one page, so that 32 bits hold every distance.
const SIZE_MAX: usize = u32::MAX as usize - (1 << 20);

/// A leaf element.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) flags: u32,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// A branch element.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Bytes,
    pub(crate) child: u64,
}

/// Elements of one level, as many as there are; [`Node::split`] makes pages of them.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Leaf(Vec<Item>),
    Branch(Vec<Entry>),
}

impl Item {
    pub(crate) fn of(page: &Page, i: usize) -> Item {
        Item { flags: page.flags(i), key: page.key_bytes(i), value: page.value_bytes(i) }
    }

    fn size(&self) -> usize {
        ELEMENT + self.key.len() + self.value.len()
    }
}

impl Entry {
    pub(crate) fn of(page: &Page, i: usize) -> Entry {
        Entry { key: page.key_bytes(i), child: page.child(i) }
    }

    fn size(&self) -> usize {
        ELEMENT + self.key.len()
    }
}

impl Node {
    pub(crate) fn of(page: &Page) -> Node {
        if page.is_leaf() {
            Node::Leaf((0..page.count()).map(|i| Item::of(page, i)).collect())
        } else {
            Node::Branch((0..page.count()).map(|i| Entry::of(page, i)).collect())
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Branch(entries) => entries.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size of the page image.
    pub(crate) fn size(&self) -> usize {
        HEADER
            + match self {
                Node::Leaf(items) => items.iter().map(Item::size).sum::<usize>(),
                Node::Branch(entries) => entries.iter().map(Entry::size).sum(),
            }
    }

    /// Whether the node, after elements have gone from it, should be joined with a neighbour.
    pub(crate) fn is_sparse(&self, page_size: usize) -> bool {
        self.size() <= page_size / 4 || matches!(self, Node::Branch(entries) if entries.len() < 2)
    }

    /// Appends the elements of the node that follows. False, and nothing is done, if the levels differ.
    pub(crate) fn append(&mut self, next: Node) -> bool {
        match (self, next) {
            (Node::Leaf(items), Node::Leaf(next)) => items.extend(next),
            (Node::Branch(entries), Node::Branch(next)) => entries.extend(next),
            _ => return false,
        }
        true
    }

    /// Cuts into pieces that fit a page. All but the last are filled to `fill_percent` of it; elements that are larger
    /// than a page share it with at most one other and overflow.
    pub(crate) fn split(self, page_size: usize, fill_percent: u8) -> Vec<Node> {
        let threshold = page_size * usize::from(fill_percent.clamp(10, 100)) / 100;
        match self {
            Node::Leaf(items) => cut(items, Item::size, page_size, threshold).into_iter().map(Node::Leaf).collect(),
            Node::Branch(entries) => {
                cut(entries, Entry::size, page_size, threshold).into_iter().map(Node::Branch).collect()
            }
        }
    }

    /// The first key; `None` in an empty node.
    pub(crate) fn first_key(&self) -> Option<&Bytes> {
        match self {
            Node::Leaf(items) => items.first().map(|item| &item.key),
            Node::Branch(entries) => entries.first().map(|entry| &entry.key),
        }
    }

    /// The page image with id `id`, in `len` bytes; zeros follow the elements.
    pub(crate) fn encode(&self, id: u64, overflow: u32, len: usize) -> Bytes {
        debug_assert!(self.size() <= len, "{} bytes in a page of {len}", self.size());
        let mut page = BytesMut::with_capacity(len);
        self.encode_into(&mut page, id, overflow);
        page.resize(len, 0);
        page.freeze()
    }

    pub(crate) fn encode_into(&self, page: &mut BytesMut, id: u64, overflow: u32) {
        debug_assert!(self.len() <= ELEMENTS_MAX, "{} elements on a page", self.len());
        let flags = if matches!(self, Node::Leaf(_)) { LEAF } else { BRANCH };
        Header { id, flags, count: self.len() as u16, overflow }.encode(page);
        // Distance from an element to its data: the elements that follow, and the data of those before.
        let mut distance = self.len() * ELEMENT;
        match self {
            Node::Leaf(items) => {
                for item in items {
                    page.put_u32_le(item.flags);
                    page.put_u32_le(distance as u32);
                    page.put_u32_le(item.key.len() as u32);
                    page.put_u32_le(item.value.len() as u32);
                    distance = distance + item.key.len() + item.value.len() - ELEMENT;
                }
                for item in items {
                    page.put_slice(&item.key);
                    page.put_slice(&item.value);
                }
            }
            Node::Branch(entries) => {
                for entry in entries {
                    page.put_u32_le(distance as u32);
                    page.put_u32_le(entry.key.len() as u32);
                    page.put_u64_le(entry.child);
                    distance = distance + entry.key.len() - ELEMENT;
                }
                for entry in entries {
                    page.put_slice(&entry.key);
                }
            }
        }
    }
}

fn cut<T>(elements: Vec<T>, size: fn(&T) -> usize, page_size: usize, threshold: usize) -> Vec<Vec<T>> {
    let sizes: Vec<usize> = elements.iter().map(size).collect();
    let mut rest_size: usize = sizes.iter().sum();
    let mut rest = elements.into_iter();
    let mut done = 0;
    let mut pieces = Vec::new();
    loop {
        let len = piece_len(&sizes[done..], rest_size, page_size, threshold);
        pieces.push(rest.by_ref().take(len).collect());
        rest_size -= sizes[done..done + len].iter().sum::<usize>();
        done += len;
        if done == sizes.len() {
            return pieces;
        }
    }
}

/// How many elements of the given sizes, `sum` together, go on the next page.
fn piece_len(sizes: &[usize], sum: usize, page_size: usize, threshold: usize) -> usize {
    let fits = sizes.len() <= SPLIT_MIN * 2 || HEADER + sum <= page_size;
    if fits && sizes.len() <= ELEMENTS_MAX && sum <= SIZE_MAX {
        return sizes.len();
    }
    // Both sides of a cut keep the fewest that a split leaves.
    let mut piece_size = HEADER;
    for (i, size) in sizes.iter().enumerate() {
        let full = piece_size + size > threshold && i >= SPLIT_MIN;
        let last_chance = i + SPLIT_MIN >= sizes.len() && i > 0;
        if full || last_chance || i == ELEMENTS_MAX || (i > 0 && piece_size + size > SIZE_MAX) {
            return i;
        }
        piece_size += size;
    }
    sizes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(sizes: &[usize]) -> Node {
        let item = |(i, size): (usize, &usize)| Item {
            flags: 0,
            key: Bytes::from(format!("{i:06}")),
            value: Bytes::from(vec![1; size - ELEMENT - 6]),
        };
        Node::Leaf(sizes.iter().enumerate().map(item).collect())
    }

    fn split(sizes: &[usize], fill_percent: u8) -> Vec<usize> {
        leaf(sizes).split(1024, fill_percent).iter().map(Node::len).collect()
    }

    #[test]
    fn what_fits_is_not_cut() {
        assert_eq!(split(&[], 50), [0]);
        assert_eq!(split(&[100; 10], 50), [10]);
        assert_eq!(split(&[500; 4], 50), [4], "four elements stay together, whatever their size");
    }

    #[test]
    fn pieces_are_filled_as_asked() {
        assert_eq!(split(&[100; 23], 50), [4, 4, 4, 4, 7]);
        assert_eq!(split(&[100; 23], 90), [9, 9, 5]);
    }

    #[test]
    fn each_piece_has_two_elements() {
        assert_eq!(split(&[900; 7], 50), [2, 2, 3]);
        assert_eq!(split(&[30, 30, 30, 30, 30, 5000], 90), [4, 2]);
        assert_eq!(split(&[5000, 30, 30, 30, 30, 30], 90), [2, 4]);
    }

    #[test]
    fn sizes_are_those_of_the_images() {
        for node in [leaf(&[50, 30, 100]), Node::Branch(vec![Entry { key: Bytes::from("abc"), child: 3 }])] {
            let mut image = BytesMut::new();
            node.encode_into(&mut image, 5, 0);
            assert_eq!(image.len(), node.size());
        }
    }
}
