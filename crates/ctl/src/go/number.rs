//! Numbers and booleans, with the whole errors of Go's `strconv`.

use gotext::NumberError;

/// An unsigned number. Base 0 takes `0x`, `0o`, `0b`, a leading `0` and `_` between digits.
pub fn parse_uint(text: &str, base: u32) -> Result<u64, String> {
    gotext::parse_uint(text, base, u64::MAX).map_err(|why| why.of("ParseUint", text))
}

/// A signed number, see [`parse_uint`].
pub fn parse_int(text: &str, base: u32) -> Result<i64, String> {
    gotext::parse_int(text, base).map_err(|why| why.of("ParseInt", text))
}

/// `1 t T TRUE true True 0 f F FALSE false False`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    gotext::parse_bool(text).ok_or_else(|| NumberError::Syntax.of("ParseBool", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_carry_gos_text() {
        assert_eq!(parse_int("x", 0).unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(
            parse_int("9223372036854775808", 10).unwrap_err(),
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range"
        );
        assert_eq!(parse_uint("-1", 10).unwrap_err(), "strconv.ParseUint: parsing \"-1\": invalid syntax");
        assert_eq!(parse_bool("maybe").unwrap_err(), "strconv.ParseBool: parsing \"maybe\": invalid syntax");
    }
}
