//! The bolt file as this room uses it: the only place that names `bolt`.

use std::sync::Arc;

/// A failure of the file.
pub type Failure = std::io::Error;

/// A pinned root of the file: what was committed last when it was taken.
#[derive(Clone)]
pub struct Root(Arc<()>);
