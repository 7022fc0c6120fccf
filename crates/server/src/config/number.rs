//! Numbers of flags by the rules of Go's `strconv`: base 0, where a prefix chooses the base.

pub use gotext::{NumberError, parse_bool, quote};

/// Up to `max`.
pub fn parse_uint(text: &str, max: u64) -> Result<u64, NumberError> {
    gotext::parse_uint(text, 0, max)
}

/// As [`parse_uint`], with a sign.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    gotext::parse_int(text, 0)
}
