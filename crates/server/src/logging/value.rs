//! Values of fields: what JSON can say, and durations in Go's form.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use crate::config::{Url, format_duration};

/// Name and value.
pub type Field<'a> = (&'a str, Value<'a>);

/// The value of a field.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Uint(u64),
    Float(f64),
    Bool(bool),
    /// Written as `7.000913671s`.
    Duration(Duration),
    List(Vec<String>),
    /// An object or anything else that is JSON already.
    Json(String),
}

impl Value<'_> {
    /// A member or cluster id: lower-case hexadecimal without leading zeros.
    pub fn id(id: u64) -> Value<'static> {
        Value::Text(format!("{id:x}").into())
    }

    /// URLs as a list of strings.
    pub fn urls(urls: &[Url]) -> Value<'static> {
        Value::List(urls.iter().map(ToString::to_string).collect())
    }

    /// Appends the value as JSON.
    pub(crate) fn render(&self, out: &mut String) {
        // Writing to a String does not fail.
        let done = match self {
            Value::Text(text) => return quote(text, out),
            Value::Int(n) => write!(out, "{n}"),
            Value::Uint(n) => write!(out, "{n}"),
            Value::Float(n) if n.is_finite() => write!(out, "{n}"),
            Value::Float(n) => write!(out, "\"{n}\""),
            Value::Bool(b) => write!(out, "{b}"),
            Value::Duration(d) => write!(out, "\"{}\"", format_duration(d.as_nanos() as i128)),
            Value::List(items) => return list(items, out),
            Value::Json(json) => {
                out.push_str(json);
                return;
            }
        };
        done.unwrap_or_default();
    }
}

fn list(items: &[String], out: &mut String) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        quote(item, out);
    }
    out.push(']');
}

/// Appends text as a JSON string.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c == '\u{2028}' || c == '\u{2029}' => {
                write!(out, "\\u{:04x}", c as u32).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text.as_str().into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<Duration> for Value<'_> {
    fn from(d: Duration) -> Self {
        Value::Duration(d)
    }
}

impl From<&[String]> for Value<'_> {
    fn from(items: &[String]) -> Self {
        Value::List(items.to_vec())
    }
}

impl From<Vec<String>> for Value<'_> {
    fn from(items: Vec<String>) -> Self {
        Value::List(items)
    }
}

impl From<f64> for Value<'_> {
    fn from(n: f64) -> Self {
        Value::Float(n)
    }
}

macro_rules! integers {
    ($variant:ident as $wide:ty: $($kind:ty),*) => {$(
        impl From<$kind> for Value<'_> {
            fn from(n: $kind) -> Self {
                Value::$variant(n as $wide)
            }
        }
    )*};
}

integers!(Int as i64: i32, i64);
integers!(Uint as u64: u16, u32, u64, usize);
