//! Numbers, sizes, durations and quoted text by the rules of Go, which the command line shows everywhere.

mod humanize;
mod number;
mod time;

pub use gotext::{format_duration, parse_duration, quote, quote_bytes, quoted_prefix};
pub use humanize::humanize_bytes;
pub use number::{parse_bool, parse_int, parse_uint};
pub use time::timestamp;
