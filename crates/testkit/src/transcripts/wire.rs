//! Protobuf messages as lines, one for each field.

use super::normalise::{Normaliser, Wishes};

/// Shows a message; field 1 counts as a response header if `header` is set.
pub fn dump(bytes: &[u8], normaliser: &mut Normaliser, header: bool) -> Vec<String> {
    fields(bytes, normaliser, header).unwrap_or_else(|| vec!["<NOT A PROTOBUF MESSAGE>".into(), format!("{bytes:?}")])
}

/// `4: 2` of a header, whose term is volatile.
pub fn without_term(lines: Vec<String>) -> Vec<String> {
    let is_term =
        |line: &str| line.strip_prefix("4: ").is_some_and(|term| term.bytes().all(|byte| byte.is_ascii_digit()));
    lines.into_iter().map(|line| if is_term(&line) { "4: <TERM>".into() } else { line }).collect()
}

fn fields(bytes: &[u8], normaliser: &mut Normaliser, header: bool) -> Option<Vec<String>> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let number = tag >> 3;
        match tag & 7 {
            0 => match varint(&mut rest)? {
                value if value >= 10_u64.pow(16) => out.push(format!("{number}: <ID{}:d>", normaliser.ident(value))),
                value => out.push(format!("{number}: {value}")),
            },
            2 => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                let data = rest.get(..len)?;
                rest = &rest[len..];
                if number == 1 && header {
                    let inner = without_term(fields(data, normaliser, false)?);
                    out.push(format!("1: {{{}}}", inner.join(", ")));
                } else {
                    let text: String = data.iter().map(|byte| char::from(*byte)).collect();
                    let text = normaliser.line(&text, &Wishes::default());
                    out.push(format!("{number}: {}", ascii(&serde_json::Value::String(text).to_string())));
                }
            }
            _ => return None,
        }
    }
    Some(out)
}

/// Everything else as JSON's escapes, which the transcripts use.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() { out.push(c) } else { out.push_str(&format!("\\u{:04x}", c as u32)) }
    }
    out
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 127).checked_shl(shift)?;
        if *byte < 128 {
            return Some(value);
        }
        shift += 7;
    }
}
