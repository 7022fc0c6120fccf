//! Where pages come from: the file, through the cache.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use disk::File;

use crate::cache::Cache;
use crate::error::{During, Error, Result};
use crate::page::{HEADER, Header, Page};

pub(crate) struct Source {
    pub(crate) file: Arc<dyn File>,
    pub(crate) page_size: usize,
    pub(crate) cache: Cache,
}

impl Source {
    /// The page `id` of a tree whose pages are all below `high_water`.
    pub(crate) fn page(&self, id: u64, high_water: u64) -> Result<Page> {
        if let Some(page) = self.cache.get(id) {
            return Ok(page);
        }
        let page = self.read_page(id, high_water)?;
        self.cache.insert(page.clone());
        Ok(page)
    }

    /// The same past the cache, for walks over everything.
    pub(crate) fn read_page(&self, id: u64, high_water: u64) -> Result<Page> {
        Page::decode(id, self.read_raw(id, high_water)?)
    }

    /// The bytes of the page `id` and of its overflow pages.
    pub(crate) fn read_raw(&self, id: u64, high_water: u64) -> Result<Bytes> {
        if id < 2 || id >= high_water {
            return Err(Error::corrupt(id, format!("outside of the pages 2 to {high_water}")));
        }
        let mut bytes = BytesMut::zeroed(self.page_size);
        self.read_exact(id, &mut bytes)?;
        let header = Header::decode(&bytes);
        if header.overflow == 0 || header.id != id {
            return Ok(bytes.freeze());
        }
        if header.pages() > high_water - id {
            return Err(Error::corrupt(id, format!("{} overflow pages reach beyond {high_water}", header.overflow)));
        }
        let mut whole = BytesMut::zeroed(header.pages() as usize * self.page_size);
        whole[..self.page_size].copy_from_slice(&bytes);
        self.read_exact(id + 1, &mut whole[self.page_size..]).map_err(|error| {
            if error.is_corruption() { Error::corrupt(id, "cut off by the end of the file") } else { error }
        })?;
        Ok(whole.freeze())
    }

    /// The header that stands at the page `id`, whatever it is.
    pub(crate) fn read_header(&self, id: u64) -> Result<Header> {
        let mut bytes = [0; HEADER];
        self.read_exact(id, &mut bytes)?;
        Ok(Header::decode(&bytes))
    }

    fn read_exact(&self, id: u64, buf: &mut [u8]) -> Result<()> {
        let offset = id * self.page_size as u64;
        let got = self.file.read_at(offset, buf).during("read a page")?;
        if got == buf.len() { Ok(()) } else { Err(Error::corrupt(id, "beyond the end of the file")) }
    }
}
