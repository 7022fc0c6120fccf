//! History as events, for watchers that catch up.

use crate::error::Result;
use crate::event::Event;

/// The changes of all keys in revision order, read in slices from the `key` bucket.
pub struct EventScan {}

impl Iterator for EventScan {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
