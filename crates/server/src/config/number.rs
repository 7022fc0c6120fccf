//! Numbers, booleans and quoted text by the rules of Go's `strconv`.

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    Syntax,
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
}

/// Base 0: `0x`, `0o`, `0b` and a leading `0` choose the base, `_` may stand between digits.
pub fn parse_uint(text: &str, max: u64) -> Result<u64, NumberError> {
    let lower = text.to_ascii_lowercase();
    let (base, digits, prefixed) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..], true),
        [b'0', b'o', ..] => (8, &lower[2..], true),
        [b'0', b'b', ..] => (2, &lower[2..], true),
        [b'0', _, ..] => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    if digits.is_empty() || !underscores_ok(digits, prefixed) {
        return Err(NumberError::Syntax);
    }
    let mut value: Option<u64> = Some(0);
    for digit in digits.bytes().filter(|b| *b != b'_') {
        let digit = char::from(digit).to_digit(base).ok_or(NumberError::Syntax)?;
        value = value.and_then(|v| v.checked_mul(u64::from(base))?.checked_add(u64::from(digit)));
    }
    value.filter(|v| *v <= max).ok_or(NumberError::Range)
}

/// As [`parse_uint`], with a sign.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = parse_uint(digits, 1 << 63)?;
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

/// Text in double quotes, as Go's `%q` writes it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_bases() {
        for (text, value) in [("10", 10), ("0x64", 100), ("0b101", 5), ("0o17", 15), ("017", 15), ("0", 0), ("0x_1", 1)]
        {
            assert_eq!(parse_uint(text, u64::MAX), Ok(value), "{text}");
        }
        for text in ["", "abc", "-1", "+1", "1_0", "0x", "09", "0x1_", "1 "] {
            assert_eq!(parse_uint(text, u64::MAX), Err(NumberError::Syntax), "{text}");
        }
        assert_eq!(parse_uint("99999999999999999999", u64::MAX), Err(NumberError::Range));
        assert_eq!(parse_uint("4294967296", u32::MAX.into()), Err(NumberError::Range));
        assert_eq!(parse_int("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_int("9223372036854775808"), Err(NumberError::Range));
    }

    #[test]
    fn quotes() {
        assert_eq!(quote("a\"b\n\u{1}ü"), "\"a\\\"b\\n\\x01ü\"");
    }
}
