//! Who measures the applier: it reads no clock itself.

use mvcc::{Image, SweepProgress};
use proto::raftpb::Entry;
use state::Version;

/// Hears of each piece of an [`crate::Applier`]'s work as it begins and ends.
pub trait Observer: Send {
    /// A run of entries begins; each [`Observer::applied`] ends one and begins the next.
    fn applying(&mut self) {}
    /// The entry was applied, and not published yet.
    fn applied(&mut self, _entry: &Entry, _applied: &state::Applied) {}
    /// A slice of a sweep begins.
    fn sweeping(&mut self) {}
    /// The slice ended; `swept_records` counts the records swept away since the start.
    fn swept(&mut self, _progress: SweepProgress, _swept_records: u64, _image: &Image) {}
    /// The storage has been brought to this version.
    fn migrated(&mut self, _version: Version) {}
}

/// Hears nothing.
pub(super) struct Nobody;

impl Observer for Nobody {}
