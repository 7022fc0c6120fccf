//! The comparison of one step with its transcript.

use serde_json::Value;

/// Lines that say what differs; none if nothing does.
pub fn differences(want: &Value, got: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for key in ["exit", "stdout", "stderr", "exists"] {
        if want[key] != got[key] {
            out.extend(lines(key, &want[key], &got[key]));
        }
    }
    let slow = want.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with("took_at_least"));
    for (key, want) in slow {
        if *want != got[key] {
            out.push(format!("{key}: {} instead of {want}", got[key]));
        }
    }
    let (all, none) = (want["compare_log"].as_bool().unwrap_or(false), Vec::new());
    let log = |step: &Value| -> Vec<Value> {
        let entries = step["log"].as_array().unwrap_or(&none).iter();
        // Warnings are optional, what ends the program is not.
        entries.filter(|entry| all || matches!(entry["level"].as_str(), Some("fatal" | "panic"))).cloned().collect()
    };
    let (want, got) = (log(want), log(got));
    if want != got {
        out.extend(lines("log", &want.into(), &got.into()));
    }
    out
}

fn lines(key: &str, want: &Value, got: &Value) -> Vec<String> {
    let each = |sign: char, value: &Value, other: &Value| -> Vec<String> {
        match (value, other) {
            (Value::Array(items), Value::Array(others)) => {
                items.iter().filter(|item| !others.contains(item)).map(|item| format!("{sign} {key}: {item}")).collect()
            }
            (value, _) => vec![format!("{sign} {key}: {value}")],
        }
    };
    let mut out = [each('-', want, got), each('+', got, want)].concat();
    if out.is_empty() {
        out.push(format!("{key}: the same lines in another order or number"));
    }
    out
}
