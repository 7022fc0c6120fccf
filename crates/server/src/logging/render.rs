//! The two forms of a line.

use super::Line;
use super::value::quote;
use crate::config::{LogFormat, LogLevel};

/// The word for a level.
pub fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::DPanic => "dpanic",
        LogLevel::Panic => "panic",
        LogLevel::Fatal => "fatal",
    }
}

/// A line with its newline; `at` is the time as it is written.
pub fn render(format: LogFormat, line: &Line<'_>, at: &str) -> String {
    match format {
        LogFormat::Json => json(line, at),
        LogFormat::Console => console(line, at),
    }
}

fn json(line: &Line<'_>, at: &str) -> String {
    let mut out = String::with_capacity(256);
    out.push_str("{\"level\":\"");
    out.push_str(level_word(line.level));
    out.push_str("\",\"ts\":\"");
    out.push_str(at);
    out.push('"');
    if let Some(logger) = line.logger {
        out.push_str(",\"logger\":");
        quote(logger, &mut out);
    }
    out.push_str(",\"caller\":");
    quote(&caller(line), &mut out);
    out.push_str(",\"msg\":");
    quote(line.message, &mut out);
    for (name, value) in line.fields {
        out.push(',');
        quote(name, &mut out);
        out.push(':');
        value.render(&mut out);
    }
    out.push_str("}\n");
    out
}

fn console(line: &Line<'_>, at: &str) -> String {
    let mut out = String::with_capacity(256);
    for part in [Some(at), Some(level_word(line.level)), line.logger].into_iter().flatten() {
        out.push_str(part);
        out.push('\t');
    }
    out.push_str(&caller(line));
    out.push('\t');
    out.push_str(line.message);
    for (at, (name, value)) in line.fields.iter().enumerate() {
        out.push_str(if at == 0 { "\t{" } else { ", " });
        quote(name, &mut out);
        out.push_str(": ");
        value.render(&mut out);
    }
    if !line.fields.is_empty() {
        out.push('}');
    }
    out.push('\n');
    out
}

/// Directory, file and line of the code that wrote the line: `run/boot.rs:63`.
fn caller(line: &Line<'_>) -> String {
    format!("{}:{}", short(line.file), line.line)
}

/// The last directory and the file of a path; `src` is left out, since every file is below it.
fn short(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| *part != "src").collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

/// The directory of [`caller`], which etcd calls the package.
pub fn package(line: &Line<'_>) -> String {
    short(line.file).split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;
    use std::time::Duration;

    fn line<'a>(fields: &'a [(&'a str, Value<'a>)], logger: Option<&'a str>) -> Line<'a> {
        let file = "crates/server/src/run/boot.rs";
        Line { level: LogLevel::Info, logger, file, line: 7, message: "opened \"db\"", fields }
    }

    #[test]
    fn writes_json_as_etcd_does() {
        let fields = [
            ("path", Value::from("a\tb")),
            ("took", Duration::from_nanos(64_015).into()),
            ("n", 3u64.into()),
            ("urls", vec!["x".to_owned(), "y".to_owned()].into()),
        ];
        assert_eq!(
            render(LogFormat::Json, &line(&fields, Some("raft")), "2026-01-02T15:04:05.123456Z"),
            "{\"level\":\"info\",\"ts\":\"2026-01-02T15:04:05.123456Z\",\"logger\":\"raft\",\"caller\":\"run/boot.rs:7\",\
             \"msg\":\"opened \\\"db\\\"\",\"path\":\"a\\tb\",\"took\":\"64.015µs\",\"n\":3,\"urls\":[\"x\",\"y\"]}\n"
        );
    }

    #[test]
    fn writes_console_lines() {
        let fields = [("n", Value::from(3u64)), ("ok", true.into())];
        assert_eq!(
            render(LogFormat::Console, &line(&fields, None), "T"),
            "T\tinfo\trun/boot.rs:7\topened \"db\"\t{\"n\": 3, \"ok\": true}\n"
        );
        assert_eq!(render(LogFormat::Console, &line(&[], None), "T"), "T\tinfo\trun/boot.rs:7\topened \"db\"\n");
    }
}
