//! Meta pages (docs/formats/bolt.md, "Meta page") and how the valid one is found.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{During, Error, Result};
use crate::page::{HEADER, Header, META, u32_at, u64_at};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Header and fields up to and including the checksum.
pub(crate) const META_LEN: usize = 80;
const CHECKSUM_AT: usize = 72;
/// The free list is not stored.
pub(crate) const NO_FREE_LIST: u64 = u64::MAX;

/// No writer gets here by counting; beyond, counting on could overflow.
const TXID_MAX: u64 = u64::MAX / 2;

pub(crate) const PAGE_SIZE_MIN: u32 = 1024;
pub(crate) const PAGE_SIZE_MAX: u32 = 1 << 24;

const _: () = assert!(HEADER + 4 * 4 + 5 * 8 + 2 * 8 <= META_LEN + 8 && CHECKSUM_AT + 8 == META_LEN);

/// What one commit publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) page_size: u32,
    /// Root page of the tree of buckets.
    pub(crate) root: u64,
    pub(crate) sequence: u64,
    pub(crate) free_list: u64,
    /// First page id never allocated.
    pub(crate) high_water: u64,
    pub(crate) txid: u64,
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Meta {
    /// `None` unless magic, version and checksum are right and the fields are possible.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Meta> {
        let valid = bytes.len() >= META_LEN
            && u32_at(bytes, 16) == MAGIC
            && u32_at(bytes, 20) == VERSION
            && u64_at(bytes, CHECKSUM_AT) == fnv1a(&bytes[HEADER..CHECKSUM_AT]);
        if !valid {
            return None;
        }
        let meta = Meta {
            page_size: u32_at(bytes, 24),
            root: u64_at(bytes, 32),
            sequence: u64_at(bytes, 40),
            free_list: u64_at(bytes, 48),
            high_water: u64_at(bytes, 56),
            txid: u64_at(bytes, 64),
        };
        meta.is_possible().then_some(meta)
    }

    fn is_possible(&self) -> bool {
        let allocated = |id: u64| id >= 2 && id < self.high_water;
        self.page_size.is_power_of_two()
            && self.txid <= TXID_MAX
            && (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&self.page_size)
            && self.high_water <= u64::MAX / u64::from(self.page_size) / 2
            && allocated(self.root)
            && (self.free_list == NO_FREE_LIST || allocated(self.free_list))
    }

    /// The whole meta page with id `id`.
    pub(crate) fn encode(&self, id: u64) -> Bytes {
        let mut page = BytesMut::with_capacity(self.page_size as usize);
        Header { id, flags: META, count: 0, overflow: 0 }.encode(&mut page);
        page.put_u32_le(MAGIC);
        page.put_u32_le(VERSION);
        page.put_u32_le(self.page_size);
        page.put_u32_le(0);
        page.put_u64_le(self.root);
        page.put_u64_le(self.sequence);
        page.put_u64_le(self.free_list);
        page.put_u64_le(self.high_water);
        page.put_u64_le(self.txid);
        let checksum = fnv1a(&page[HEADER..CHECKSUM_AT]);
        page.put_u64_le(checksum);
        page.resize(self.page_size as usize, 0);
        page.freeze()
    }

    /// The meta page that this one is written to.
    pub(crate) fn slot(&self) -> u64 {
        self.txid % 2
    }

    /// Length that the file has at least.
    pub(crate) fn size(&self) -> u64 {
        self.high_water * u64::from(self.page_size)
    }
}

/// Both meta pages of a file, valid or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metas {
    pub(crate) slots: [Option<Meta>; 2],
}

impl Metas {
    /// Reads both; the page size comes from the first, or where that is damaged, from wherever the second is found.
    pub(crate) fn read(file: &dyn disk::File) -> Result<Metas> {
        let first = read_at(file, 0)?;
        if let Some(meta) = first {
            let second = read_at(file, u64::from(meta.page_size))?;
            return Ok(Metas { slots: [first, second.filter(|other| other.page_size == meta.page_size)] });
        }
        for shift in 0..15 {
            let page_size = PAGE_SIZE_MIN << shift;
            let second = read_at(file, u64::from(page_size))?;
            if let Some(meta) = second.filter(|meta| meta.page_size == page_size) {
                return Ok(Metas { slots: [None, Some(meta)] });
            }
        }
        Err(Error::Invalid { reason: "no valid meta page" })
    }

    /// The valid meta with the higher transaction id.
    pub(crate) fn newest(&self) -> Result<Meta> {
        let newest = self.slots.iter().flatten().max_by_key(|meta| meta.txid);
        newest.copied().ok_or(Error::Invalid { reason: "no valid meta page" })
    }

    /// The highest mark of the two; `None` while one is damaged.
    pub(crate) fn high_water_max(&self) -> Option<u64> {
        match self.slots {
            [Some(a), Some(b)] => Some(a.high_water.max(b.high_water)),
            _ => None,
        }
    }
}

fn read_at(file: &dyn disk::File, offset: u64) -> Result<Option<Meta>> {
    let mut bytes = [0; META_LEN];
    let got = file.read_at(offset, &mut bytes).during("read a meta page")?;
    Ok(Meta::decode(&bytes[..got]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_a_real_meta_page() {
        let meta = Meta { page_size: 4096, root: 2, sequence: 0, free_list: NO_FREE_LIST, high_water: 7, txid: 32 };
        let page = meta.encode(0);
        assert_eq!(page.len(), 4096);
        assert_eq!(page[72..80], [0xa6, 0xa0, 0xcb, 0xc4, 0xf3, 0x77, 0xaf, 0x3c]);
        assert_eq!(Meta::decode(&page), Some(meta));
    }

    #[test]
    fn a_transaction_id_that_leaves_no_room_is_refused() {
        let meta = Meta { page_size: 4096, root: 3, sequence: 0, free_list: 2, high_water: 4, txid: u64::MAX };
        assert_eq!(Meta::decode(&meta.encode(1)), None);
        let last = Meta { txid: TXID_MAX, ..meta };
        assert_eq!(Meta::decode(&last.encode(1)), Some(last));
    }

    #[test]
    fn any_flipped_bit_in_the_fields_is_seen() {
        let meta = Meta { page_size: 4096, root: 3, sequence: 0, free_list: 2, high_water: 4, txid: 1 };
        let page = meta.encode(1);
        for bit in HEADER * 8..META_LEN * 8 {
            let mut damaged = page.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Meta::decode(&damaged), None, "bit {bit}");
        }
    }
}
