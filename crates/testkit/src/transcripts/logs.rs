//! Log lines on stderr, told from what else stands there.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::normalise::{Extra, Normaliser, Wishes, extra};

static CONSOLE: LazyLock<Regex> = LazyLock::new(|| {
    let text = r"^\d{4}-\d\d-\d\dT[^\t]*\t(debug|info|warn|error|panic|fatal)\t(?:[\w/.-]+:\d+\t)?([^\t]*)(?:\t(.*))?$";
    Regex::new(text).expect("invariant: the pattern is valid")
});
const LEFT_OUT: [&str; 5] = ["ts", "caller", "stacktrace", "target", "peer"];
const SIZES: [&str; 3] = ["size", "took", "snapshot-size"];

/// The other lines, and the log as objects.
pub fn split(lines: Vec<String>, normaliser: &mut Normaliser, wishes: &Wishes) -> (Vec<String>, Vec<Value>) {
    let (mut rest, mut log) = (Vec::new(), Vec::new());
    for line in lines {
        let parsed = if line.starts_with("{\"level\"") { serde_json::from_str(&line).ok() } else { None };
        if let Some(Value::Object(fields)) = parsed {
            log.push(Value::Object(entry(fields, normaliser, &wishes.extra)));
        } else if let Some(found) = CONSOLE.captures(&line) {
            log.push(json!({"level": &found[1], "msg": normaliser.line(&found[2], &Wishes::default())}));
        } else {
            rest.push(line);
        }
    }
    (rest, log)
}

fn entry(fields: Map<String, Value>, normaliser: &mut Normaliser, replaced: &Extra) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in fields {
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let value = match value {
            _ if SIZES.contains(&name.as_str()) => {
                let placeholder = format!("<{}>", name.to_uppercase());
                Value::String(extra(normaliser.line(&placeholder, &Wishes::default()), replaced))
            }
            Value::String(text) => Value::String(extra(normaliser.line(&text, &Wishes::default()), replaced)),
            Value::Number(number) if number.is_f64() || number.as_i64().is_some_and(|n| n > 1_000_000_000) => {
                "<NUMBER>".into()
            }
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Value::String(normaliser.line(&text, &Wishes::default())),
                    other => other,
                })
                .collect(),
            other => other,
        };
        out.insert(name, value);
    }
    out
}
