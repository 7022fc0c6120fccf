//! Reading JSON without recursion, so that no depth of nesting can exhaust the stack.

use std::borrow::Cow;

/// The text is not the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub struct JsonError {
    pub at: usize,
    pub what: &'static str,
}

type Result<T> = std::result::Result<T, JsonError>;

/// A place in JSON text.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    pub(super) fn fail<T>(&self, what: &'static str) -> Result<T> {
        Err(JsonError { at: self.at, what })
    }

    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Takes this character if it is next.
    pub(super) fn take(&mut self, c: u8) -> bool {
        let is = self.peek() == Some(c);
        self.at += usize::from(is);
        is
    }

    pub(super) fn expect(&mut self, c: u8, what: &'static str) -> Result<()> {
        if self.take(c) { Ok(()) } else { self.fail(what) }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { self.fail("more after the end") }
    }

    /// Takes `null` if it is next.
    pub(super) fn null(&mut self) -> bool {
        self.word(b"null")
    }

    fn word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let is = self.text[self.at..].starts_with(word);
        self.at += if is { word.len() } else { 0 };
        is
    }

    /// The name of the next member of an object whose `{` is taken; `None` takes its `}`. `first` is true for the first.
    pub(super) fn member(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !std::mem::take(first) {
            self.expect(b',', "',' or '}' expected")?;
        }
        let name = self.string()?;
        self.expect(b':', "':' expected")?;
        Ok(Some(name))
    }

    /// Whether another element of an array follows whose `[` is taken; false takes its `]`.
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool> {
        if self.take(b']') {
            return Ok(false);
        }
        if !std::mem::take(first) {
            self.expect(b',', "',' or ']' expected")?;
        }
        Ok(true)
    }

    pub(super) fn bool(&mut self) -> Result<bool> {
        if self.word(b"true") {
            return Ok(true);
        }
        if self.word(b"false") || self.null() { Ok(false) } else { self.fail("true or false expected") }
    }

    /// A whole number; null is 0.
    pub(super) fn integer(&mut self) -> Result<i128> {
        if self.null() {
            return Ok(0);
        }
        let start = self.at;
        self.at += usize::from(self.text.get(self.at) == Some(&b'-'));
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        digits.parse().or_else(|_| self.fail("whole number expected"))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        let n = self.integer()?;
        u64::try_from(n).or_else(|_| self.fail("number out of range"))
    }

    /// A string; null is the empty one.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.null() {
            return Ok(Cow::Borrowed(""));
        }
        self.expect(b'"', "string expected")?;
        let start = self.at;
        while self.text.get(self.at).is_some_and(|c| !matches!(c, b'"' | b'\\')) {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(String::from_utf8_lossy(&self.text[start..self.at - 1]));
        }
        self.at = start;
        self.string_with_escapes().map(Cow::Owned)
    }

    fn string_with_escapes(&mut self) -> Result<String> {
        let mut out = Vec::new();
        loop {
            let Some(&c) = self.text.get(self.at) else {
                return self.fail("string without end");
            };
            self.at += 1;
            match c {
                b'"' => return Ok(String::from_utf8_lossy(&out).into_owned()),
                b'\\' => {
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let Some(&c) = self.text.get(self.at) else {
            return self.fail("string without end");
        };
        self.at += 1;
        Ok(match c {
            b'"' | b'\\' | b'/' => char::from(c),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return self.fail("unknown escape"),
        })
    }

    // Halves of pairs that stand alone become the replacement character.
    fn unicode(&mut self) -> Result<char> {
        let high = self.hex()?;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with(b"\\u") {
            let after_high = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_high;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let Some(text) = digits.and_then(|d| std::str::from_utf8(d).ok()) else {
            return self.fail("four hex digits expected");
        };
        self.at += 4;
        u32::from_str_radix(text, 16).or_else(|_| self.fail("four hex digits expected"))
    }

    /// Steps over a value of any kind.
    pub(super) fn skip(&mut self) -> Result<()> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(c @ (b'{' | b'[')) => {
                    self.at += 1;
                    open.push(c + 2);
                    continue;
                }
                Some(c) if open.last() == Some(&c) => {
                    self.at += 1;
                    open.pop();
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b't' | b'f' | b'n') => {
                    self.bool()?;
                }
                Some(c) if c == b'-' || c.is_ascii_digit() => self.skip_number(),
                _ => return self.fail("value expected"),
            }
            if open.is_empty() {
                return Ok(());
            }
            if self.take(b':') || self.take(b',') {
                continue;
            }
            if self.peek() != open.last().copied() {
                return self.fail("',' or the end of a list expected");
            }
        }
    }

    fn skip_number(&mut self) {
        while self.text.get(self.at).is_some_and(|c| matches!(c, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (json, want) in [
            (r#""""#, ""),
            ("null", ""),
            (r#""a b""#, "a b"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u003c\u00e9\u2028""#, "<é\u{2028}"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
        ] {
            let mut r = Reader::new(json.as_bytes());
            assert_eq!(r.string().unwrap(), want);
            r.end().unwrap();
        }
        for bad in ["", "a", "\"", r#""\"#, r#""\x""#, r#""\u12"#, r#""\u12g4""#] {
            assert!(Reader::new(bad.as_bytes()).string().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_value_can_be_skipped() {
        for json in ["1", "-1.5e3", "\"x\"", "null", "[]", "{}", r#"{"a":[1,{"b":null},"c"],"d":{}}"#, "[[[]],{}]"] {
            let mut r = Reader::new(json.as_bytes());
            r.skip().unwrap();
            r.end().unwrap();
        }
        let deep = [b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat();
        Reader::new(&deep).skip().unwrap();
        for bad in ["", "[", "{]", "[1", "[1 2]", "x", "{\"a\""] {
            assert!(Reader::new(bad.as_bytes()).skip().is_err(), "{bad}");
        }
    }
}
