//! Text by the rules of Go's standard library, whose words and errors etcd's users know: quoting, numbers, durations, URLs.
//!
//! The flags of the server and the command lines of the tools are read and refused by the same functions. This room knows
//! no flag and no command, and needs nothing but the standard library.

mod duration;
mod number;
mod quote;
mod url;

pub use duration::{format_duration, parse_duration};
pub use number::{NumberError, parse_bool, parse_int, parse_uint};
pub use quote::{quote, quote_bytes, quoted_prefix};
pub use url::{NamedUrls, Url, join, parse_named};
