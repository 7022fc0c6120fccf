//! Log lines on stderr: JSON for `etcdctl`, tab-separated for `etcdutl`, both in etcd's form.

use crate::go::timestamp;

/// What stands in a field.
pub enum Field {
    Text(String),
    Number(i64),
}

impl From<&str> for Field {
    fn from(text: &str) -> Field {
        Field::Text(text.to_owned())
    }
}

impl From<String> for Field {
    fn from(text: String) -> Field {
        Field::Text(text)
    }
}

impl From<i64> for Field {
    fn from(number: i64) -> Field {
        Field::Number(number)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Field {
    fn json(&self) -> String {
        match self {
            Field::Text(text) => quoted(text),
            Field::Number(number) => number.to_string(),
        }
    }
}

/// One JSON line. `logger` may be empty.
pub fn json(level: &str, logger: &str, place: &str, message: &str, fields: &[(&str, Field)]) {
    let logger = if logger.is_empty() { String::new() } else { format!("\"logger\":{},", quoted(logger)) };
    let fields: String = fields.iter().map(|(name, field)| format!(",{}:{}", quoted(name), field.json())).collect();
    eprintln!(
        "{{\"level\":\"{level}\",\"ts\":\"{}\",{logger}\"caller\":{},\"msg\":{}{fields}}}",
        timestamp(true),
        quoted(place),
        quoted(message)
    );
}

/// One line of columns: time, level, place, message, fields.
pub fn console(level: &str, place: &str, message: &str, fields: &[(&str, Field)]) {
    let fields: Vec<String> =
        fields.iter().map(|(name, field)| format!("{}: {}", quoted(name), field.json())).collect();
    let fields = if fields.is_empty() { String::new() } else { format!("\t{{{}}}", fields.join(", ")) };
    eprintln!("{}\t{level}\t{place}\t{message}{fields}", timestamp(false));
}
