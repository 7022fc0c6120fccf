//! The database: overlays of changes over a bolt file, cut only at entry boundaries.
//!
//! Changes gather in a live overlay. Sealing freezes it; a job writes it into the file in one bolt transaction,
//! together with the consistent index and term of exactly its last entry, while the next overlay gathers. What is read
//! at one moment is the pinned root of the file, the overlays frozen above it, and a snapshot of the live one.

pub(crate) mod base;
mod commit;
pub(crate) mod layers;
pub(crate) mod log;
pub(crate) mod overlay;
pub(crate) mod scan;
mod schema;
pub(crate) mod shrink;
mod source;

pub use commit::{CommitJob, Committed};
pub use scan::RawScan;
pub use schema::{Bucket, MetaKey};
pub use shrink::{ShrinkJob, Shrunk};
pub use source::{SnapshotChunks, SnapshotSource};
