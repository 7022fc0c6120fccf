//! The lines that operators search for, with etcd's words and fields (facts: observability, 6.2 and 6.3).
//!
//! Only lines that this build writes have a function here. Each says what happened; whether it is logged at all is the
//! level's business.

mod bootstrap;
mod running;
mod starting;

pub use bootstrap::*;
pub use running::*;
pub use starting::*;

use super::Value;

fn path(path: &std::path::Path) -> Value<'static> {
    path.to_string_lossy().into_owned().into()
}
