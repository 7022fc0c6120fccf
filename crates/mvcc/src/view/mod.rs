//! The read half: a moment of the store, taken in O(1), read at leisure.

mod events;
mod hash;
mod image;
mod query;
mod range;
mod sort;

use std::borrow::Borrow;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

pub use events::EventScan;
pub use hash::{HashKv, HashRule};
pub use image::Image;
pub use query::{KeysOnly, RangeQuery, SortOrder, SortTarget};
pub use range::{EncodedRange, Range, RangeItem};

pub(crate) use hash::{CompactionHash, Keep};

/// An [`Image`] shared by pointer. Holds back the reuse of pages of the file: let go of it in bounded time.
#[derive(Clone, Debug)]
pub struct View(Arc<Image>);

impl Deref for View {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.0
    }
}

impl Borrow<Image> for View {
    fn borrow(&self) -> &Image {
        &self.0
    }
}

impl View {
    pub(crate) fn new(image: Image) -> View {
        View(Arc::new(image))
    }

    /// As [`Image::range`], with a result that holds the view itself.
    pub fn range(&self, query: &RangeQuery) -> Result<Range<View>> {
        Range::new(self.clone(), query)
    }

    /// All changes from main revision `from` on, up to this view's current revision, in revision order. The scan reads
    /// as it is advanced: take as much as suits, and go on later with a new scan from the next revision.
    ///
    /// Errs with `Compacted` where `from` is below the compact revision; at it, the changes are still served.
    pub fn events(&self, from: i64) -> Result<EventScan> {
        if from < self.compact_revision() {
            return Err(Error::Compacted);
        }
        Ok(EventScan::new(self.clone(), from))
    }
}

/// Hands out views of the last published moment, from any thread.
#[derive(Clone)]
pub struct Reader {
    published: Arc<Mutex<View>>,
}

impl Reader {
    pub(crate) fn new(view: View) -> Reader {
        Reader { published: Arc::new(Mutex::new(view)) }
    }

    /// The last published moment, in O(1): the lock is held for a pointer's clone.
    pub fn view(&self) -> View {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, view: View) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *published, view);
        // What only the old view held is freed outside the lock.
        drop(published);
        drop(before);
    }
}
