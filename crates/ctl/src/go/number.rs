//! Numbers and booleans by the rules of Go's `strconv`, errors included.

use super::quote::quote;

fn failed(function: &str, text: &str, why: &str) -> String {
    format!("strconv.{function}: parsing {}: {why}", quote(text))
}

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

/// An unsigned number. Base 0 takes `0x`, `0o`, `0b`, a leading `0` and `_` between digits.
pub fn parse_uint(text: &str, base: u32) -> Result<u64, String> {
    magnitude(text, base).map_err(|why| failed("ParseUint", text, why))
}

/// A signed number, see [`parse_uint`].
pub fn parse_int(text: &str, base: u32) -> Result<i64, String> {
    let fail = |why| failed("ParseInt", text, why);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = magnitude(digits, base).map_err(fail)?;
    match i64::try_from(value) {
        Ok(value) if negative => Ok(-value),
        Ok(value) => Ok(value),
        Err(_) if negative && value == 1 << 63 => Ok(i64::MIN),
        Err(_) => Err(fail(RANGE)),
    }
}

/// `1 t T TRUE true True 0 f F FALSE false False`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(failed("ParseBool", text, SYNTAX)),
    }
}

fn magnitude(text: &str, base: u32) -> Result<u64, &'static str> {
    let lower = text.to_ascii_lowercase();
    let (base, digits, prefixed) = match (base, lower.as_bytes()) {
        (0, [b'0', b'x', ..]) => (16, &lower[2..], true),
        (0, [b'0', b'o', ..]) => (8, &lower[2..], true),
        (0, [b'0', b'b', ..]) => (2, &lower[2..], true),
        (0, [b'0', _, ..]) => (8, &lower[1..], true),
        (0, _) => (10, lower.as_str(), false),
        (base, _) => (base, lower.as_str(), false),
    };
    let misplaced = digits.contains('_') && (!prefixed || digits.ends_with('_') || digits.contains("__"));
    if digits.is_empty() || misplaced {
        return Err(SYNTAX);
    }
    let mut value: Option<u64> = Some(0);
    for digit in digits.chars().filter(|c| *c != '_') {
        let digit = digit.to_digit(base).ok_or(SYNTAX)?;
        value = value.and_then(|v| v.checked_mul(base.into())?.checked_add(digit.into()));
    }
    value.ok_or(RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_bases() {
        assert_eq!(parse_int("0x10", 0), Ok(16));
        assert_eq!(parse_int("017", 0), Ok(15));
        assert_eq!(parse_int("0x_1", 0), Ok(1));
        assert_eq!(parse_int("-5", 0), Ok(-5));
        assert_eq!(parse_int("694d", 16), Ok(0x694d));
        assert_eq!(parse_int("-9223372036854775808", 10), Ok(i64::MIN));
        assert_eq!(parse_uint("ffffffffffffffff", 16), Ok(u64::MAX));
    }

    #[test]
    fn refusals_carry_gos_text() {
        assert_eq!(parse_int("x", 0).unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(parse_int("0x7b", 16).unwrap_err(), "strconv.ParseInt: parsing \"0x7b\": invalid syntax");
        assert_eq!(parse_int("1_0", 10).unwrap_err(), "strconv.ParseInt: parsing \"1_0\": invalid syntax");
        assert_eq!(
            parse_int("9223372036854775808", 10).unwrap_err(),
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range"
        );
        assert_eq!(parse_uint("-1", 10).unwrap_err(), "strconv.ParseUint: parsing \"-1\": invalid syntax");
        assert_eq!(parse_bool("maybe").unwrap_err(), "strconv.ParseBool: parsing \"maybe\": invalid syntax");
    }
}
