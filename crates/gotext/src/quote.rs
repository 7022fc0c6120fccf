//! Go's quoted text: writing (`%q`) and reading (`strconv.Unquote`).

/// Text in double quotes, as `%q` writes it.
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// As [`quote`]; what is no UTF-8 becomes `\xNN`.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| quote_char(c, &mut out));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

fn quote_char(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if is_printable(c) => out.push(c),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
        c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // The standard library has the same table of what can be printed, but shows it only through this; the first
    // character is treated apart there, hence the `a`.
    let mut text = [0; 5];
    text[0] = b'a';
    let len = c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..=len]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// Reads one quoted text (double or back quotes) at the beginning of `text`: its value and what follows.
pub fn quoted_prefix(text: &str) -> Option<(Vec<u8>, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (raw, rest) = raw.split_once('`')?;
        return Some((raw.replace('\r', "").into_bytes(), rest));
    }
    let mut rest = text.strip_prefix('"')?;
    let mut value = Vec::new();
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some((value, rest)),
            '\n' => return None,
            '\\' => rest = unescape(rest, &mut value)?,
            c => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads an escape after its backslash; returns what follows it.
fn unescape<'a>(text: &'a str, value: &mut Vec<u8>) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => {
            value.push(u8::try_from(digits(rest, 2, 16)?).ok()?);
            return Some(&rest[2..]);
        }
        'u' | 'U' => {
            let len = if c == 'u' { 4 } else { 8 };
            let decoded = char::from_u32(digits(rest, len, 16)?)?;
            value.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(&rest[len..]);
        }
        '0'..='7' => {
            value.push(u8::try_from(digits(text, 3, 8)?).ok()?);
            return Some(&text[3..]);
        }
        _ => return None,
    };
    value.push(simple);
    Some(rest)
}

fn digits(text: &str, len: usize, base: u32) -> Option<u32> {
    let digits = text.get(..len)?;
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    u32::from_str_radix(digits, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unquote(text: &str) -> Option<Vec<u8>> {
        quoted_prefix(text).and_then(|(value, rest)| rest.is_empty().then_some(value))
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(quote("v 2\"q"), r#""v 2\"q""#);
        assert_eq!(quote_bytes(b"\x01\x7f\xff\n\t\x07"), r#""\x01\x7f\xff\n\t\a""#);
        assert_eq!(quote("ключ ☃"), "\"ключ ☃\"");
        assert_eq!(quote("e\u{301}"), "\"e\u{301}\"", "a combining mark can be printed");
        assert_eq!(quote("\u{a0}\u{200b}\u{e000}\u{10ffff}"), r#""\u00a0\u200b\ue000\U0010ffff""#);
    }

    #[test]
    fn unquotes_as_go_does() {
        assert_eq!(unquote(r#""a b\tc""#).unwrap(), b"a b\tc");
        assert_eq!(unquote(r#""\x41\101\u0042\U00000043\"""#).unwrap(), b"AABC\"");
        assert_eq!(unquote("`raw\\n`").unwrap(), b"raw\\n");
        for bad in
            ["", "a", "\"", "\"a", "\"\\q\"", "\"\\x4\"", "\"\\u00\"", "\"\\ud800\"", "\"\\400\"", "\"a\"b", "\"\\'\""]
        {
            assert_eq!(unquote(bad), None, "{bad}");
        }
        assert_eq!(quoted_prefix(r#""k1") = "2""#), Some((b"k1".to_vec(), ") = \"2\"")));
    }
}
