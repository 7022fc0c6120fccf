//! Numbers, durations and quoted text by the rules of Go, which the command line shows everywhere.

mod duration;
mod humanize;
mod number;
mod quote;
mod time;
mod url;

pub use duration::{format_duration, parse_duration};
pub use humanize::humanize_bytes;
pub use number::{parse_bool, parse_int, parse_uint};
pub use quote::{quote, quote_bytes, quoted_prefix};
pub use time::timestamp;
pub use url::{parse_urls, split_name_urls};
