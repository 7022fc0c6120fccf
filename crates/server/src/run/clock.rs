//! The clocks of the process, read in one place.

use node::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Measures from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    pub fn now(&self) -> Now {
        // A wall clock before 1970 is one that is not set; it only enters values, never deadlines.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: self.start.elapsed(), unix_millis: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }
}
