//! JSON text as Go's encoder writes it, so that files and answers are equal to the byte.

/// Collects JSON text.
#[derive(Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Text that is JSON already.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// The name of a member of an object, with the comma that it needs.
    pub(super) fn name(&mut self, name: &str) {
        let comma = self.out.last().is_some_and(|c| *c != b'{');
        self.raw(if comma { ",\"" } else { "\"" });
        self.raw(name);
        self.raw("\":");
    }

    pub(super) fn number(&mut self, n: impl std::fmt::Display) {
        self.raw(&n.to_string());
    }

    /// A string with the characters escaped that Go escapes: also `<`, `>`, `&`, U+2028 and U+2029.
    pub(super) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        let mut copied = 0;
        for (at, c) in text.char_indices() {
            if !needs_escape(c) {
                continue;
            }
            self.raw(&text[copied..at]);
            copied = at + c.len_utf8();
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                c => self.raw(&format!("\\u{:04x}", u32::from(c))),
            }
        }
        self.raw(&text[copied..]);
        self.out.push(b'"');
    }
}

fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}') || c < ' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        let mut w = Writer::default();
        w.string("<&>\"\\/ é \n\r\t\u{8}\u{c}\u{7f}\u{2028}\u{2029}");
        w.number(-5i64);
        let want = "\"\\u003c\\u0026\\u003e\\\"\\\\/ é \\n\\r\\t\\u0008\\u000c\u{7f}\\u2028\\u2029\"-5";
        assert_eq!(String::from_utf8(w.into_bytes()).unwrap(), want);
    }
}
