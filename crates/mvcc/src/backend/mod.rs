//! The database: overlays of changes over a bolt file, cut only at entry boundaries.

pub(crate) mod base;
mod commit;
mod scan;
mod schema;
mod source;

pub use commit::{CommitJob, Committed};
pub use scan::RawScan;
pub use schema::{Bucket, MetaKey};
pub use source::SnapshotSource;
