//! Numbers and booleans by the rules of Go's `strconv`.

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It is no number.
    Syntax,
    /// It does not fit.
    Range,
}

impl NumberError {
    /// The text of package `flag`.
    pub fn flag_text(self) -> &'static str {
        match self {
            Self::Syntax => "parse error",
            Self::Range => "value out of range",
        }
    }

    /// The text of package `strconv`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Syntax => "invalid syntax",
            Self::Range => "value out of range",
        }
    }

    /// The whole error of a function of package `strconv`, as `ParseInt`, that was given `text`.
    pub fn of(self, function: &str, text: &str) -> String {
        format!("strconv.{function}: parsing {}: {}", crate::quote(text), self.text())
    }
}

/// An unsigned number up to `max`. Base 0 takes `0x`, `0o`, `0b`, a leading `0`, and `_` between digits.
pub fn parse_uint(text: &str, base: u32, max: u64) -> Result<u64, NumberError> {
    let lower = text.to_ascii_lowercase();
    let (base, digits, prefixed) = match (base, lower.as_bytes()) {
        (0, [b'0', b'x', ..]) => (16, &lower[2..], true),
        (0, [b'0', b'o', ..]) => (8, &lower[2..], true),
        (0, [b'0', b'b', ..]) => (2, &lower[2..], true),
        (0, [b'0', _, ..]) => (8, &lower[1..], true),
        (0, _) => (10, lower.as_str(), false),
        (base, _) => (base, lower.as_str(), false),
    };
    if digits.is_empty() || !underscores_ok(digits, prefixed) {
        return Err(NumberError::Syntax);
    }
    let mut value: Option<u64> = Some(0);
    for digit in digits.chars().filter(|c| *c != '_') {
        let digit = digit.to_digit(base).ok_or(NumberError::Syntax)?;
        value = value.and_then(|v| v.checked_mul(base.into())?.checked_add(digit.into()));
    }
    value.filter(|value| *value <= max).ok_or(NumberError::Range)
}

/// A signed number, see [`parse_uint`].
pub fn parse_int(text: &str, base: u32) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = parse_uint(digits, base, 1 << 63)?;
    if negative {
        return Ok((value as i64).wrapping_neg());
    }
    i64::try_from(value).map_err(|_| NumberError::Range)
}

/// Underscores stand between digits or after a base prefix, never elsewhere, and only with a prefix.
fn underscores_ok(digits: &str, prefixed: bool) -> bool {
    !digits.contains('_') || prefixed && !digits.ends_with('_') && !digits.contains("__")
}

/// `1 t T TRUE true True 0 f F FALSE false False`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_bases() {
        for (text, value) in [("10", 10), ("0x64", 100), ("0b101", 5), ("0o17", 15), ("017", 15), ("0", 0), ("0x_1", 1)]
        {
            assert_eq!(parse_uint(text, 0, u64::MAX), Ok(value), "{text}");
        }
        for text in ["", "abc", "-1", "+1", "1_0", "0x", "09", "0x1_", "1 "] {
            assert_eq!(parse_uint(text, 0, u64::MAX), Err(NumberError::Syntax), "{text}");
        }
        assert_eq!(parse_uint("99999999999999999999", 0, u64::MAX), Err(NumberError::Range));
        assert_eq!(parse_uint("4294967296", 0, u32::MAX.into()), Err(NumberError::Range));
        assert_eq!(parse_uint("ffffffffffffffff", 16, u64::MAX), Ok(u64::MAX));
        assert_eq!(parse_int("694d", 16), Ok(0x694d));
        assert_eq!(parse_int("0x7b", 16), Err(NumberError::Syntax));
        assert_eq!(parse_int("1_0", 10), Err(NumberError::Syntax));
        assert_eq!(parse_int("-5", 0), Ok(-5));
        assert_eq!(parse_int("-9223372036854775808", 0), Ok(i64::MIN));
        assert_eq!(parse_int("9223372036854775808", 0), Err(NumberError::Range));
    }

    #[test]
    fn whole_errors() {
        let error = NumberError::Syntax.of("ParseInt", "x");
        assert_eq!(error, "strconv.ParseInt: parsing \"x\": invalid syntax");
    }
}
